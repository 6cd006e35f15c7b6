"""What Dask costs: two workers against one on cells of CPU work, the time per cell beyond the local executor's, many tiny cells.

    python benchmarks/dask_overhead.py [--cells 12] [--seconds 2] [--tiny 1000] [--many 10000]

Each ratio is of one run: cells of a fixed number of steps, on clusters of this machine, one after the other.  It says little where
other work shares the CPUs.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from typing import Any

from vlrb import Failure, Job, Limits, Listener, LocalExecutor, Task
from vlrb_plugins.dask.connection import close_connection
from vlrb_plugins.dask.executor import DaskExecutor
from vlrb_plugins.dask.params import DaskParams


def nothing() -> None:
    """Make what the tasks share: nothing."""


def count(_made: None, _report: Any, steps: int) -> int:
    """Do so many steps of pure Python."""
    total = 0
    for i in range(steps):
        total += i & 7
    return total


def steps_in(seconds: float) -> int:
    """Return how many steps take about so long here."""
    began, steps = time.perf_counter(), 2_000_000
    count(None, None, steps)
    return int(steps * seconds / (time.perf_counter() - began))


def timed(executor: Any, tasks: int, steps: int, **more: Any) -> tuple[float, float]:
    """Do tasks; return the seconds of all, and those after the first had ended (processes are there by then)."""
    ends: list[float] = []

    def ended(_: Task, result: Any) -> None:
        if isinstance(result, Failure):
            raise result.error
        ends.append(time.perf_counter())

    job = Job(nothing, (), count)
    began = time.perf_counter()
    executor.run(job, [Task(str(i), (steps,)) for i in range(tasks)], Listener(ended, lambda *_: None), None, **more)
    return time.perf_counter() - began, ends[-1] - ends[0]


def workers_against_one(cells: int, seconds: float) -> None:
    """Print the seconds of cells on one worker and on two, twice each in turn."""
    steps = steps_in(seconds)
    best = {1: float("inf"), 2: float("inf")}
    for workers in (1, 2, 2, 1):
        executor = DaskExecutor(DaskParams(workers=workers))
        timed(executor, workers, 1)  # the cluster is there
        best[workers] = min(best[workers], timed(executor, cells, steps)[0])
        close_connection()
    print(f"{cells} cells of {seconds:g} s: one worker {best[1]:.1f} s, two {best[2]:.1f} s: {best[1] / best[2]:.2f} x")


def tiny_cells(tiny: int, many: int) -> None:
    """Print the time per cell beyond the local executor's, and that of the main process for more and more cells."""
    executor = DaskExecutor(DaskParams(workers=2))
    started = timed(executor, 2, 1)[0]
    whole, dask = timed(executor, tiny, 1)
    local = timed(LocalExecutor(), tiny, 1, limits=Limits(2))[1]
    print(f"{tiny:,} tiny cells on two workers: {whole:.1f} s, and {started:.1f} s to start the cluster")
    per_cell = [1000 * seconds / (tiny - 1) for seconds in (dask, local)]
    print(f"per cell: {per_cell[0]:.2f} ms, local {per_cell[1]:.2f} ms: {per_cell[0] - per_cell[1]:.2f} ms more")
    for cells in (many // 10, many):
        before = time.process_time()
        timed(executor, cells, 1)
        spent = 1000 * (time.process_time() - before) / cells
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{cells:,} cells: {spent:.2f} ms of the main process's CPU per cell, its peak memory {megabytes:.0f} MB")
    close_connection()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--tiny", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["VLRB_CACHE"] = cache
        workers_against_one(options.cells, options.seconds)
        tiny_cells(options.tiny, options.many)


if __name__ == "__main__":
    import dask_overhead  # workers find its functions by this name

    dask_overhead.main()
