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
    Executor,
    Failure,
    Job,
    Limits,
    Listener,
    Progress,
    Report,
    Task,
    available_threads,
    error_text,
)
from vlrb.experiment.portable import pack_plan, unpack_plan
from vlrb.plugins.observers import Observers
from vlrb.running.cells import run_cell
from vlrb.running.context import RunContext
from vlrb.storage import Places

Finish = Callable[[CellInfo, str], None]


def with_features(context: RunContext, cells: Sequence[CellInfo], finish: Finish, progress: Progress) -> list[CellInfo]:
    """Make the features that cells need, once; cells whose features cannot be made have failed. Return the others."""
    failed: dict[str, str] = {}
    for name in dict.fromkeys(c.features for c in cells if c.features):
        try:
            context.encoded(name, progress)
        except StorageError:
            raise
        except VlrbError as error:
            failed[name] = error_text(error)
    for cell in cells:
        if cell.features in failed:
            finish(cell, f"feature set {cell.features!r}: {failed[cell.features]}")
    return [c for c in cells if c.features not in failed]


def run_cells(
    context: RunContext,
    run: RunInfo,
    cells: Sequence[CellInfo],
    observers: Observers,
    jobs: int,
    finish: Finish,
    progress: Progress,
) -> None:
    """Run cells in this process, or each in one of its own; what the system refuses ends the run."""

    def ended(task: Task, result: Failure | None) -> None:
        if result is not None and isinstance(result.error, StorageError):
            raise result.error
        finish(task.arguments[0], result.text if result is not None else "")

    def tell(hook: str, task: Task, **more: Any) -> None:
        observers.call(hook, run=run, cell=task.arguments[0], **more)

    listener = Listener(
        ended,
        progress,
        started=lambda task: tell("vlrb_cell_start", task),
        log=lambda task, step, values: tell("vlrb_cell_log", task, step=step, values=values),
    )
    threads = max(1, available_threads() // jobs)
    tasks = [Task(c.name, (c, threads)) for c in cells]
    plan = pack_plan(context.plan) if jobs > 1 else b""
    shared = (plan, context.places, context.benchmark.directory, context.split, context.evaluator.bounds)
    here = context if jobs < 2 else None
    limits = Limits(jobs, isolated=jobs > 1, threads=threads)
    executor: Executor = context.plan.executor.make("run")
    executor.run(Job(_unpacked, shared, _work_on), tasks, listener, here, limits=limits)


def _unpacked(packed: bytes, places: Places, directory: Path, split: Split, bounds: CostBounds) -> RunContext:
    """Return what cells share, in another process; they compute the metric that selects and no other."""
    places.use()
    plan, benchmark = unpack_plan(packed), load(directory)
    return RunContext(plan, places, benchmark, split, Evaluator(benchmark, split, bounds, (), plan.selection_metric()))


def _work_on(context: RunContext, report: Report, cell: CellInfo, threads: int) -> None:
    """Run a cell.

    :raises VlrbError: naming samples as the logs do
    """
    if context.key_of(cell) != cell.key:
        what = f"cell {cell.name!r} is not in the plan any more: the experiment, a plugin or the weights changed during the run"
        raise ConfigError(what, where=str(context.plan.document.path), fix="run again")
    try:
        run_cell(context, cell, threads, report.log, report.progress)
    except DataError as error:
        raise context.benchmark.naming(error) from error.__cause__
