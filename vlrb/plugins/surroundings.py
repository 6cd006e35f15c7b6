"""What all plugins of a process share, put back after one of them has changed it."""

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger("vlrb")

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
OF_LIBRARIES = ("KMP_", "CUBLAS_", "TORCHINDUCTOR_", "TRITON_", "_MLFLOW_")
"""How the variables begin that libraries set for good when they are loaded or first used; these stay."""

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def restore_surroundings(who: str) -> Iterator[None]:
    """Put back, after a block of a plugin's code, what it shares with all others, and warn of what it has changed.

    These are the working directory, the environment, the filters of warnings, the limit of recursion, the handlers of interrupts,
    the settings of numpy, scikit-learn and torch, and the standard streams.  The global random states are put back without a word.

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


def _steps() -> Iterator[tuple[str, Any]]:
    """Yield what is shared, and how to put it back: a function that tells whether it had been changed; no name: say nothing."""
    yield "the working directory", _directory()
    yield "the environment", _environment()
    yield "the filters of warnings", _filters()
    yield "the limit of recursion", _restored(sys.getrecursionlimit, sys.setrecursionlimit)
    for number in HANDLED if threading.current_thread() is threading.main_thread() else ():
        handler = signal.getsignal(number)
        if handler is not None:  # None: one that Python did not set

            def handle(wanted: Any, number: signal.Signals = number) -> None:
                signal.signal(number, wanted)

            yield f"the handler of {number.name}", _restored(lambda number=number: signal.getsignal(number), handle)
    yield from _libraries()
    for name in STREAMS:
        yield (
            f"sys.{name}",
            _restored(lambda name=name: getattr(sys, name), lambda wanted, name=name: setattr(sys, name, wanted)),
        )


def _libraries() -> Iterator[tuple[str, Any]]:
    import numpy as np

    yield "numpy's treatment of errors", _restored(np.geterr, lambda wanted: np.seterr(**wanted))
    yield "numpy's print options", _restored(np.get_printoptions, lambda wanted: np.set_printoptions(**wanted))
    yield "", _numpy_random()
    yield "", _restored(random.getstate, random.setstate)
    yield "scikit-learn's configuration", _if_loaded("sklearn", *SKLEARN)
    yield "torch's settings", _if_loaded("torch", *TORCH)
    yield "", _if_loaded("torch", *TORCH_RANDOM)


def _numpy_random() -> Any:
    import numpy as np

    shared: Any = np.random
    generator, before = shared.get_bit_generator(), shared.get_state()

    def restore() -> bool:
        shared.set_bit_generator(generator)
        shared.set_state(before)
        return True

    return restore


def _if_loaded(name: str, read: Any, write: Any, initial: Any) -> Any:
    """Return how to put back what a library holds; one that is loaded meanwhile gets what it holds when it is loaded.

    :param initial: gives that, from the module
    """
    module = sys.modules.get(name)
    before = None if module is None else read(module)

    def restore() -> bool:
        now_there = sys.modules.get(name)
        if now_there is None:
            return False
        wanted = initial(now_there) if module is None else before
        if read(now_there) == wanted:
            return False
        write(now_there, wanted)
        return True

    return restore


def _in_a_thread(read: Any) -> Any:
    """Return what a function returns in a thread of its own, which has the initial values of what each thread has for itself."""
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
    """Return the settings of a torch that has just been loaded; the number of threads of then cannot be told."""
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


def _environment() -> Any:
    before = dict(os.environ)

    def restore() -> bool:
        now = dict(os.environ)
        changed = {
            n for n in before.keys() | now.keys() if before.get(n) != now.get(n) and not n.startswith(OF_LIBRARIES)
        }
        for name in changed:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
        return bool(changed)

    return restore


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
