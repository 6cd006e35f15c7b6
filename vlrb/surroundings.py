"""What all plugins of a process share, put back after one of them has changed it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger("vlrb")

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def put_back(who: str) -> Iterator[None]:
    """Put back, after a block of a plugin's code, what it shares with all others, and warn of what it has changed.

    These are the working directory, the filters of warnings, the limit of recursion, the handlers of interrupts, numpy's treatment
    of floating-point errors, and the standard streams.

    :param who: begins the warning
    """
    restoring = [*_steps()]
    with contextlib.ExitStack() as stack:
        kept = {number: os.dup(number) for number in STREAMS.values() if _is_open(number)}
        open_before = {name for name in STREAMS if not _is_closed(name)}  # multiprocessing closes stdin
        for copy in kept.values():
            stack.callback(os.close, copy)
        try:
            yield
        finally:
            changed = [what for what, restore in restoring if restore()]
            changed += _streams_put_back(kept, open_before)
            if changed:
                logger.warning("%s changed %s for all others: it is put back", who, ", ".join(changed))


def _steps() -> Iterator[tuple[str, Any]]:
    """Yield what is shared, and how to put it back: a function that tells whether it had been changed."""
    yield "the working directory", _directory()
    yield "the filters of warnings", _filters()
    yield "the limit of recursion", _restored(sys.getrecursionlimit, sys.setrecursionlimit)
    for number in HANDLED if threading.current_thread() is threading.main_thread() else ():
        handler = signal.getsignal(number)
        if handler is not None:  # None: one that Python did not set

            def handle(wanted: Any, number: signal.Signals = number) -> None:
                signal.signal(number, wanted)

            yield f"the handler of {number.name}", _restored(lambda number=number: signal.getsignal(number), handle)
    import numpy as np

    yield "numpy's treatment of errors", _restored(np.geterr, lambda wanted: np.seterr(**wanted))
    for name in STREAMS:
        yield (
            f"sys.{name}",
            _restored(lambda name=name: getattr(sys, name), lambda wanted, name=name: setattr(sys, name, wanted)),
        )


def _restored(read: Any, write: Any) -> Any:
    before = read()

    def restore() -> bool:
        now = read()
        if now is before or (isinstance(before, int | dict) and now == before):
            return False
        write(before)
        return True

    return restore


def _directory() -> Any:
    try:
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return lambda: False

    def restore() -> bool:
        try:
            try:
                if os.path.samestat(Path().stat(), os.fstat(before)):
                    return False
            except OSError:  # the folder that it is in now is gone
                pass
            os.fchdir(before)
            return True
        finally:
            os.close(before)

    return restore


def _filters() -> Any:
    before, shows = list(warnings.filters), warnings.showwarning

    def restore() -> bool:
        now = list(warnings.filters)
        added = [f for f in now if f not in before]
        # libraries add filters of their own when they are imported, which may stay
        if warnings.showwarning is shows and all(f in now for f in before) and all(f[0] != "error" for f in added):
            return False
        warnings.filters[:] = before  # type: ignore[index]
        warnings.showwarning = shows
        warnings._filters_mutated()  # type: ignore[attr-defined]
        return True

    return restore


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _is_closed(name: str) -> bool:
    stream = getattr(sys, f"__{name}__")
    return isinstance(stream, io.TextIOWrapper) and stream.closed


def _streams_put_back(kept: dict[int, int], open_before: set[str]) -> list[str]:
    """Open again what was closed: descriptors, and the streams of Python on them, which handlers of logs hold on to."""
    changed = []
    for name, number in STREAMS.items():
        stream: Any = getattr(sys, f"__{name}__")
        closed = name in open_before and _is_closed(name)
        if number not in kept or (_is_same(number, kept[number]) and not closed):
            continue
        os.dup2(kept[number], number)
        if closed:
            raw = open(number, "rb" if name == "stdin" else "wb", closefd=False)  # noqa: SIM115
            stream.__init__(raw, stream.encoding, stream.errors, line_buffering=name == "stderr")
        changed.append(name)
    return changed


def _is_same(number: int, copy: int) -> bool:
    return _is_open(number) and os.path.samestat(os.fstat(number), os.fstat(copy))
