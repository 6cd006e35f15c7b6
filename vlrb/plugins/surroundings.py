"""What all plugins of a process share, restored after one of them has changed it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import attrs

logger = logging.getLogger("vlrb")

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
OF_LIBRARIES = ("KMP_", "CUBLAS_", "TORCHINDUCTOR_", "TRITON_", "_MLFLOW_")
"""Prefixes of variables that libraries set for good when they are loaded or first used; these stay."""
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _is_same(before: Any, now: Any) -> bool:
    """Compare by identity, and values of Python by value: an object of a plugin may have an odd ``__eq__``."""
    return now is before or (isinstance(before, int | dict | tuple) and bool(now == before))


@attrs.frozen
class Shared:
    """Something that plugins share: how to read, write and compare it; without a name it is restored silently."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    same: Callable[[Any, Any], bool] = _is_same

    def restore(self, wanted: Any) -> bool:
        """Return whether it had changed and has a name."""
        if self.same(wanted, self.read()):
            return False
        self.write(wanted)
        return bool(self.name)


@contextlib.contextmanager
def restore_surroundings(who: str) -> Iterator[None]:
    """Restore what plugins share after a block of one plugin's code, and warn of what it changed.

    These are the working directory, the environment, the filters of warnings, the limit of recursion, the handlers of interrupts,
    the settings of numpy, scikit-learn and torch, and the standard streams.  Global random states are restored silently.

    :param who: begins the warning
    """
    with contextlib.ExitStack() as stack:
        loaded = [name for name in LIBRARIES if name in sys.modules]
        states = [(shared, shared.read()) for shared in _all_shared(stack)]
        states += [(shared, shared.read()) for name in loaded for shared, _ in LIBRARIES[name](sys.modules[name])]
        kept = {number: os.dup(number) for number in STREAMS.values() if _is_open(number)}
        open_before = {name for name in STREAMS if not _is_closed(name)}  # multiprocessing closes stdin
        for copy in kept.values():
            stack.callback(os.close, copy)
        try:
            yield
        finally:
            later = [name for name in LIBRARIES if name in sys.modules and name not in loaded]
            new = [LIBRARIES[name](sys.modules[name]) for name in later]
            states += [(shared, initial()) for library in new for shared, initial in library]
            changed = [shared.name for shared, wanted in states if shared.restore(wanted)]
            changed += _streams_put_back(kept, open_before)
            if changed:
                what = ", ".join(dict.fromkeys(changed))
                logger.warning("%s changed %s for all others: it is put back", who, what)


def _all_shared(stack: contextlib.ExitStack) -> Iterator[Shared]:
    import numpy as np
    from numpy.random import mtrand

    with contextlib.suppress(OSError):
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, here)
        yield Shared("the working directory", _working_directory, lambda _: os.fchdir(here))
    yield Shared("the environment", _variables, _set_variables)
    yield Shared("the filters of warnings", _filters, _set_filters, _has_filters)
    yield Shared("the limit of recursion", sys.getrecursionlimit, sys.setrecursionlimit)
    for number in HANDLED if threading.current_thread() is threading.main_thread() else ():
        if signal.getsignal(number) is not None:  # None: a handler that Python did not set
            read, write = partial(signal.getsignal, number), partial(signal.signal, number)
            yield Shared(f"the handler of {number.name}", read, write)
    yield Shared("numpy's treatment of errors", np.geterr, lambda wanted: np.seterr(**wanted))
    yield Shared("numpy's print options", np.get_printoptions, lambda wanted: np.set_printoptions(**wanted))
    yield Shared("", mtrand.get_bit_generator, mtrand.set_bit_generator)
    yield Shared("", partial(mtrand.get_state, legacy=False), mtrand.set_state, lambda *_: False)
    yield Shared("", random.getstate, random.setstate)
    for name in STREAMS:
        yield Shared(f"sys.{name}", partial(getattr, sys, name), partial(setattr, sys, name))


def _working_directory() -> tuple[int, int] | None:
    try:
        status = os.stat(".")  # noqa: PTH116  (Path.cwd fails in a folder that is gone)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OF_LIBRARIES)}


def _set_variables(wanted: dict[str, str]) -> None:
    for name in _variables().keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _filters() -> tuple[list[Any], Any]:
    return list(warnings.filters), warnings.showwarning


def _has_filters(before: tuple[list[Any], Any], now: tuple[list[Any], Any]) -> bool:
    """Tell whether all filters are still there; those that libraries add when they are imported may stay."""
    added = [f for f in now[0] if f not in before[0]]
    return now[1] is before[1] and all(f in now[0] for f in before[0]) and all(f[0] != "error" for f in added)


def _set_filters(wanted: tuple[list[Any], Any]) -> None:
    warnings.filters[:], warnings.showwarning = wanted  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


Library = list[tuple[Shared, Callable[[], Any]]]
"""What plugins share of a library, and how to tell the state it has just after it is loaded."""


def _of_sklearn(sklearn: Any) -> Library:
    def initial() -> Any:
        with ThreadPoolExecutor(1) as pool:  # each thread has a configuration, which begins as the initial one
            return pool.submit(sklearn.get_config).result()

    write = lambda wanted: sklearn.set_config(**wanted)  # noqa: E731
    return [(Shared("scikit-learn's configuration", sklearn.get_config, write), initial)]


def _of_torch(torch: Any) -> Library:
    def unforeseen() -> Any:
        (generator := torch.Generator()).seed()
        return generator.get_state()

    settings = [
        # use_deterministic_algorithms imports for seconds
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, lambda: 0),
        (torch.get_default_dtype, torch.set_default_dtype, lambda: torch.float32),
        (torch.is_grad_enabled, torch.set_grad_enabled, lambda: True),
        (torch.get_num_threads, torch.set_num_threads, torch.get_num_threads),  # what it was is unknown
    ]
    found = [(Shared("torch's settings", read, write), initial) for read, write, initial in settings]
    return [*found, (Shared("", torch.get_rng_state, torch.set_rng_state), unforeseen)]


LIBRARIES = {"sklearn": _of_sklearn, "torch": _of_torch}


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
    """Open closed descriptors again, and Python's streams on them, which log handlers refer to."""
    changed = []
    for name, number in STREAMS.items():
        closed = name in open_before and _is_closed(name)
        same = number not in kept or (_is_open(number) and os.path.sameopenfile(number, kept[number]))
        if same and not (closed and number in kept):
            continue
        os.dup2(kept[number], number)
        if closed:
            stream: Any = getattr(sys, f"__{name}__")
            raw = open(number, "rb" if name == "stdin" else "wb", closefd=False)  # noqa: SIM115
            stream.__init__(raw, stream.encoding, stream.errors, line_buffering=name == "stderr")
        changed.append(name)
    return changed
