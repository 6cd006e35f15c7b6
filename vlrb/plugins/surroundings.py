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
from functools import partial
from pathlib import Path
from typing import Any

logger = logging.getLogger("vlrb")

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
OF_LIBRARIES = ("KMP_", "CUBLAS_", "TORCHINDUCTOR_", "TRITON_", "_MLFLOW_")
"""Prefixes of variables that libraries set for good when they are loaded or first used; these stay."""

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Restore = Callable[[], bool]
"""Restores something; returns whether it had changed."""


@contextlib.contextmanager
def restore_surroundings(who: str) -> Iterator[None]:
    """Restore what plugins share after a block of one plugin's code, and warn of what it changed.

    These are the working directory, the environment, the filters of warnings, the limit of recursion, the handlers of interrupts,
    the settings of numpy, scikit-learn and torch, and the standard streams.  Global random states are restored silently.

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
            changed = [what for what, restore in restoring if restore() and what]
            changed += _streams_put_back(kept, open_before)
            if changed:
                logger.warning("%s changed %s for all others: it is put back", who, ", ".join(changed))


def _steps() -> Iterator[tuple[str, Restore]]:
    """Yield what is shared and how to restore it; without a name, nothing is said of it."""
    import numpy as np
    from numpy.random import mtrand

    yield "the working directory", _directory()
    yield "the environment", _restored(_variables, _set_variables)
    yield "the filters of warnings", _filters()
    yield "the limit of recursion", _restored(sys.getrecursionlimit, sys.setrecursionlimit)
    for number in HANDLED if threading.current_thread() is threading.main_thread() else ():
        if signal.getsignal(number) is not None:  # None: a handler that Python did not set
            handler = _restored(partial(signal.getsignal, number), partial(signal.signal, number))
            yield f"the handler of {number.name}", handler
    yield "numpy's treatment of errors", _restored(np.geterr, lambda wanted: np.seterr(**wanted))
    yield "numpy's print options", _restored(np.get_printoptions, lambda wanted: np.set_printoptions(**wanted))
    yield "", _restored(mtrand.get_bit_generator, mtrand.set_bit_generator)
    yield "", _restored(lambda: [mtrand.get_state(legacy=False)], lambda wanted: mtrand.set_state(wanted[0]))
    yield "", _restored(random.getstate, random.setstate)
    yield "scikit-learn's configuration", _if_loaded("sklearn", *SKLEARN)
    yield "torch's settings", _if_loaded("torch", *TORCH)
    yield "", _if_loaded("torch", *TORCH_RANDOM)
    for name in STREAMS:
        yield f"sys.{name}", _restored(partial(getattr, sys, name), partial(setattr, sys, name))


def _if_loaded(name: str, read: Any, write: Any, initial: Any) -> Restore:
    """Return how to restore a library's state; a library that is loaded meanwhile gets its initial state.

    :param initial: returns that of a module
    """
    module = sys.modules.get(name)
    before = None if module is None else read(module)

    def restore() -> bool:
        loaded = sys.modules.get(name)
        if loaded is None:
            return False
        wanted = initial(loaded) if module is None else before
        changed = bool(read(loaded) != wanted)
        if changed:
            write(loaded, wanted)
        return changed

    return restore


def _in_a_thread(read: Any) -> Any:
    """Return what a function returns in a new thread, where what each thread has for itself has its initial value."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(read()))
    thread.start()
    thread.join()
    return found[0]


SKLEARN = (
    lambda sklearn: sklearn.get_config(),
    lambda sklearn, wanted: sklearn.set_config(**wanted),
    lambda sklearn: _in_a_thread(sklearn.get_config),
)


def _torch_settings(torch: Any) -> dict[str, Any]:
    return {
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }


def _set_torch(torch: Any, wanted: dict[str, Any]) -> None:
    torch.set_deterministic_debug_mode(wanted["deterministic"])  # use_deterministic_algorithms imports for seconds
    torch.set_default_dtype(wanted["dtype"])
    torch.set_grad_enabled(wanted["gradients"])
    torch.set_num_threads(wanted["threads"])


def _initial_torch(torch: Any) -> dict[str, Any]:
    """Return the settings of a torch that has just been loaded; its number of threads then is unknown."""
    return {"dtype": torch.float32, "deterministic": 0, "gradients": True, "threads": torch.get_num_threads()}


def _unforeseen(torch: Any) -> bytes:
    """Return a random state that nobody chose, such as torch has when it is loaded."""
    generator = torch.Generator()
    generator.seed()
    state: bytes = generator.get_state().numpy().tobytes()
    return state


TORCH = (_torch_settings, _set_torch, _initial_torch)
TORCH_RANDOM = (
    lambda torch: torch.get_rng_state().numpy().tobytes(),
    lambda torch, wanted: torch.set_rng_state(torch.frombuffer(bytearray(wanted), dtype=torch.uint8)),
    _unforeseen,
)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OF_LIBRARIES)}


def _set_variables(wanted: dict[str, str]) -> None:
    for name in _variables().keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _restored(read: Callable[[], Any], write: Callable[[Any], Any]) -> Restore:
    before = read()

    def restore() -> bool:
        now = read()
        changed = now is not before and not (isinstance(before, int | dict) and now == before)
        if changed:
            write(before)
        return changed

    return restore


def _directory() -> Restore:
    try:
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return lambda: False

    def restore() -> bool:
        changed = True
        with contextlib.suppress(OSError):  # the current folder is gone
            changed = not os.path.samestat(Path().stat(), os.fstat(before))
        try:
            if changed:
                os.fchdir(before)
        finally:
            os.close(before)
        return changed

    return restore


def _filters() -> Restore:
    before, shows = list(warnings.filters), warnings.showwarning

    def restore() -> bool:
        now = list(warnings.filters)
        added = [f for f in now if f not in before]
        # filters that libraries add when they are imported may stay
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
    """Open closed descriptors again, and Python's streams on them, which log handlers refer to."""
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
