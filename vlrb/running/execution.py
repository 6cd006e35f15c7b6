"""The cells of a run in progress: taken over from the cache, or run in this process or each in its own process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from vlrb.api.results import CellInfo, CellResult, RunInfo
from vlrb.api.routing import Timing
from vlrb.errors import ConfigError, DataError, StorageError, VlrbError
from vlrb.evaluation.metrics import Chosen, Evaluator
from vlrb.evaluation.splits import Splitting, unpacked
from vlrb.executor import Failure, Job, Limits, Listener, Progress, Report, Task, quiet, stage
from vlrb.experiment.portable import PortablePlan, do_tasks, plan_versions
from vlrb.locks import locked
from vlrb.plugins.observers import Observers
from vlrb.running.cell_files import ROUTED, read_routed
from vlrb.running.cells import run_cell
from vlrb.running.context import RunContext
from vlrb.running.results import adopt_cell, check_directory
from vlrb.storage import Places, read_json, remove_folder, write_text
from vlrb.threads import available_threads


@attrs.frozen(eq=False)
class CellsInProgress:
    """The cells of a run, and the results of those that have ended; observers are told of each.

    ``failed`` is called with the name of a cell or feature set that has failed, at once.
    """

    context: RunContext
    run: RunInfo
    observers: Observers
    progress: Progress
    failed: Callable[[str, Failure], None] = quiet
    _asked: list[CellInfo] = attrs.field(factory=list, init=False)
    _results: dict[str, CellResult] = attrs.field(factory=dict, init=False)

    def finish(self, cells: Sequence[CellInfo], jobs: int) -> tuple[CellResult, ...]:
        """Return the results of some cells; those that are not in the cache are run.

        :raises StorageError: when the system refuses to write, whichever cell was writing
        """
        context = self.context
        self._asked.extend(cells)
        waiting = self._with_features([c for c in cells if not self._take_over(c)], jobs)
        run_cells(
            context, waiting, jobs, Listener(self._task_ended, self.progress, self._task_started, self._task_logged)
        )
        return tuple(self._results[c.name] for c in cells)

    def _take_over(self, cell: CellInfo) -> bool:
        with locked(self.context.folder(cell), to_read=True):  # nobody may remove it meanwhile
            if not self.context.finished(cell):
                return False
            with contextlib.suppress(OSError):  # the cache may be read-only
                remove_folder(self.context.work_folder(cell))  # a kill may have come before it was gone
            self._end(cell, reused=True)
            return True

    def _with_features(self, cells: Sequence[CellInfo], jobs: int) -> list[CellInfo]:
        """Make the features that cells need, once; cells whose features cannot be made fail.  Return the others."""
        failed = make_features(self.context, cells, jobs, self.progress, self.failed)
        for cell in (c for c in cells if c.features in failed):
            self._end(cell, failed[cell.features])
        return [c for c in cells if c.features not in failed]

    def _task_started(self, task: Task) -> None:
        self.progress(f"fitting {task.name}", 0, 0)
        self.observers.call("vlrb_cell_start", run=self.run, cell=task.arguments[0])

    def _task_logged(self, task: Task, step: int, values: Mapping[str, float]) -> None:
        self.observers.call("vlrb_cell_log", run=self.run, cell=task.arguments[0], step=step, values=values)

    def _task_ended(self, task: Task, failure: Failure | None) -> None:
        if failure is not None and isinstance(failure.error, StorageError):
            raise failure.error
        self.progress(f"fitting {task.name}", 1, 0)
        if failure is not None:
            self.failed(task.name, failure)
        self._end(task.arguments[0], failure.text if failure is not None else "")

    def _end(self, cell: CellInfo, error: str = "", reused: bool = False) -> None:
        check_directory(self.run.directory)
        directory = self.run.directory / "cells" / cell.name
        if error:
            write_text(directory / "error.txt", error + "\n")
            first, *more = error.splitlines()
            fix = f" ({more[0].strip()})" if more and more[0].startswith("    fix: ") else ""
            result = CellResult(cell, "failed", False, directory, {}, first + fix)
        else:
            result = self._adopted(cell, directory, reused)
        self._results[cell.name] = result
        self.observers.call("vlrb_cell_end", run=self.run, result=result)
        self.progress("cells", len(self._results), len(self._asked))

    def _adopted(self, cell: CellInfo, directory: Path, reused: bool) -> CellResult:
        adopt_cell(self.context.folder(cell), directory)
        (directory / "error.txt").unlink(missing_ok=True)
        return cell_result(self.context, cell, directory, reused)


def make_features(
    context: RunContext,
    cells: Sequence[CellInfo],
    jobs: int,
    progress: Progress,
    failed: Callable[[str, Failure], None],
) -> dict[str | None, str]:
    """Make the features that cells need, once; return feature set -> why it could not be made.

    :param failed: called with the name of a feature set that has failed, at once
    """
    errors: dict[str | None, str] = {}
    for name in dict.fromkeys(c.features for c in cells if c.features):
        try:
            with stage(progress, f"features {name}"):
                context.encoded(name, progress, jobs)
        except StorageError:
            raise
        except VlrbError as error:
            failure = Failure.of(error)
            errors[name] = f"feature set {name!r}: {failure.text}"
            failed(f"feature set {name!r}", failure)
    return errors


def run_cells(
    context: RunContext, cells: Sequence[CellInfo], jobs: int, listener: Listener, *, isolated: bool = False
) -> None:
    """Have the experiment's executor run cells, whose features are there; their results are in the cache then.

    :param isolated: run none in this process, which goes on if one dies; so it is with several jobs
    """
    isolated = isolated or jobs > 1
    threads = max(1, available_threads() // jobs)
    resources = {r.label: r.resources for r in context.plan.routers}
    tasks = [Task(c.name, (c, threads), makes=context.fit_folder(c), resources=resources[c.label]) for c in cells]
    shared = (PortablePlan(context.plan), context.places, context.benchmark.directory, context.splitting)
    here = None if isolated else context
    limits = Limits(jobs, isolated=isolated, threads=threads)
    do_tasks(context.plan.executor, Job(_unpacked, shared, _work_on, plan_versions), tasks, listener, here, limits)


def cell_result(context: RunContext, cell: CellInfo, directory: Path, reused: bool) -> CellResult:
    """Return the result of a cell whose files are in a folder.

    :param reused: whether it was known before
    """
    split = context.scored_split(cell)
    models = [c.name for c in context.benchmark.candidates]
    about = read_json(directory / "cell.json")
    timing = {name: Timing(**t) for name, t in about["timing"].items()}
    scores, counts = {}, {}
    for name in ROUTED:
        routed = read_routed(directory, name, context.ids(split, name), models)
        on = context.evaluated([split], name)
        (scores[name],) = context.evaluator.scores(on, [Chosen(routed.choices, timing.get(name), routed.read_estimate)])
        counts[name] = np.bincount(routed.choices, minlength=len(models)).tolist()
    return CellResult(
        cell=cell,
        status="done",
        reused=reused,
        directory=directory,
        scores=scores,
        fit_seconds=about["fit_seconds"],
        timing=timing.get("test"),
        choices={n: dict(zip(models, c, strict=True)) for n, c in counts.items()},
        hardware=about["hardware"],
        chosen=about["chosen"],
    )


def _unpacked(sent: PortablePlan, places: Places, directory: Path, splitting: Splitting) -> RunContext:
    """Return what cells share, in another process; they compute the selection metric and no other."""
    plan, benchmark = unpacked(sent, places, directory)
    return RunContext(plan, places, benchmark, splitting, Evaluator(benchmark, (), plan.selection_metric()))


def _work_on(context: RunContext, report: Report, cell: CellInfo, threads: int) -> None:
    """Run a cell; errors name samples as the logs do."""
    if context.key_of(cell) != cell.key:
        what = f"cell {cell.name!r} is not in the plan: the experiment, a plugin or the weights changed during the run"
        raise ConfigError(what, where=str(context.plan.document.path), fix="run again")
    try:
        run_cell(context, cell, report.threads or threads, report.log, report.progress)
    except DataError as error:
        raise context.benchmark.naming(error) from error.__cause__
