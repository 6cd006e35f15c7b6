"""How many threads numerical libraries may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

THREADS = (*(f"{n}_NUM_THREADS" for n in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")), "VECLIB_MAXIMUM_THREADS")
"""Variables that numerical libraries read when they are loaded, which may be long after a call has set a limit."""


def available_threads() -> int:
    """Return how many CPUs this process may use, or fewer where the environment says so (``OMP_NUM_THREADS``)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(cpus, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cpus


@contextlib.contextmanager
def thread_environment(threads: int) -> Iterator[None]:
    """Limit the threads of libraries loaded, and of processes started, in a block."""
    before = {name: os.environ[name] for name in THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(THREADS, str(threads)) if threads else {})
    try:
        yield
    finally:
        for name in THREADS:
            os.environ.pop(name, None)
        os.environ.update(before)
