"""Running the cells of a run, in this process or each in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vlrb.api.results import CellInfo, RunInfo
from vlrb.api.routing import CostBounds
from vlrb.benchmark.matrices import load
from vlrb.errors import ConfigError, DataError, StorageError, VlrbError
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.splits import Split
from vlrb.executor import (
    Failure,
    Job,
    Listener,
    LocalExecutor,
    Progress,
    Report,
    Task,
    available_threads,
    error_text,
)
from vlrb.experiment.resolve import plan_document
from vlrb.plugins.observers import Observers
from vlrb.running.cells import run_cell
from vlrb.running.context import Bench
from vlrb.storage import Places

Finish = Callable[[CellInfo, str], None]


def with_features(bench: Bench, cells: Sequence[CellInfo], finish: Finish, progress: Progress) -> list[CellInfo]:
    """Make the features that cells need, once; cells whose features cannot be made have failed. Return the others."""
    failed: dict[str, str] = {}
    for name in dict.fromkeys(c.features for c in cells if c.features):
        try:
            bench.encoded(name, progress)
        except StorageError:
            raise
        except VlrbError as error:
            failed[name] = error_text(error)
    for cell in cells:
        if cell.features in failed:
            finish(cell, f"feature set {cell.features!r}: {failed[cell.features]}")
    return [c for c in cells if c.features not in failed]


def run_cells(
    bench: Bench,
    run: RunInfo,
    cells: Sequence[CellInfo],
    observers: Observers,
    jobs: int,
    finish: Finish,
    progress: Progress,
) -> None:
    """Run cells in this process, or each in one of its own; what the system refuses ends the run."""
    of = {c.name: c for c in cells}

    def failed(task: Task, failure: Failure) -> None:
        if isinstance(failure.error, StorageError):
            raise failure.error
        finish(of[task.name], failure.text)

    listener = Listener(
        started=lambda task: observers.call("vlrb_cell_start", run=run, cell=of[task.name]),
        progress=progress,
        log=lambda task, step, values: observers.call(
            "vlrb_cell_log", run=run, cell=of[task.name], step=step, values=values
        ),
        ended=lambda task, _: finish(of[task.name], ""),
        failed=failed,
    )
    threads = max(1, available_threads() // jobs)
    plan = bench.plan
    shared = (plan.document, plan.options, bench.places, bench.benchmark.directory, bench.split, bench.evaluator.bounds)
    executor = LocalExecutor(jobs, isolated=jobs > 1, threads=threads)
    tasks = [Task(c.name, (c, threads)) for c in cells]
    executor.run(Job(_bench_again, shared, _work_on), tasks, listener, here=bench if jobs < 2 else None)


def _bench_again(
    document: Any, options: tuple[str, ...], places: Places, directory: Path, split: Split, bounds: CostBounds
) -> Bench:
    """Return what cells share, in another process: only the plan is made anew, as plugins cannot be sent."""
    places.use()
    plan, benchmark = plan_document(document, options), load(directory)
    return Bench(
        plan, places, benchmark, split, Evaluator(benchmark, split, bounds, plan.metrics, plan.selection_metric())
    )


def _work_on(bench: Bench, report: Report, cell: CellInfo, threads: int) -> None:
    """Run a cell.

    :raises VlrbError: naming samples as the logs do
    """
    if cell.key not in bench.chosen:
        what = f"cell {cell.name!r} is not in the plan any more: the experiment, a plugin or the weights changed during the run"
        raise ConfigError(what, where=str(bench.plan.document.path), fix="run again")
    try:
        run_cell(bench, cell, threads, report.log, report.progress)
    except DataError as error:
        raise bench.benchmark.naming(error) from error.__cause__
