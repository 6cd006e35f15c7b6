"""A shard of a run: one of several processes that share a cache and do its pieces; ``vlrb run`` joins their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from vlrb.api.results import CellInfo, CellResult
from vlrb.errors import ConfigError, ExitCode, StorageError
from vlrb.executor import Failure, Listener, Progress, Task, quiet, stage
from vlrb.experiment.plan import Plan
from vlrb.running.context import RunContext
from vlrb.running.execution import cell_result, make_features, run_cells
from vlrb.running.run import prepare
from vlrb.running.selection import is_chosen, select_points
from vlrb.storage import Places


@attrs.frozen
class ShardOutcome:
    """The cells in the cache, those that the shard ran itself, and name -> why a cell failed."""

    done: tuple[str, ...]
    here: tuple[str, ...]
    failed: dict[str, str]

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit status."""
        return ExitCode.CELLS_FAILED if self.failed else ExitCode.OK


def execute_shard(
    plan: Plan, places: Places, *, progress: Progress = quiet, failed: Callable[[str, Failure], None] = quiet
) -> ShardOutcome:
    """Do the pieces of an experiment that no other shard does, until all are in the cache or have failed here.

    Nothing is written but the cache; observers are not told.

    :param plan: whose executor shares pieces
    :param failed: called with the name of a cell or feature set that has failed, at once
    :raises VlrbError: for what makes the whole run impossible
    """
    if not plan.routers:
        raise ConfigError("there is no router", where=plan.document.where(("router",)), fix="add a table [[router]]")
    context = prepare(plan, places, 1, progress)
    with stage(progress, "planning cells"):
        cells = context.cells()
    work = _Shard(context, progress, failed)
    work.finish(cells)
    if plan.selection.refit:
        results = [work.result(c) for c in cells]
        selected = select_points(context, results)
        work.finish([context.refit(r.cell) for r in results if r.status == "done" and is_chosen(r.cell, selected)])
    return ShardOutcome(tuple(work.done), tuple(work.here), work.failures)


@attrs.frozen(eq=False)
class _Shard:
    context: RunContext
    progress: Progress
    failed: Callable[[str, Failure], None]
    asked: list[CellInfo] = attrs.Factory(list)
    done: list[str] = attrs.Factory(list)
    here: list[str] = attrs.Factory(list)
    failures: dict[str, str] = attrs.Factory(dict)

    def finish(self, cells: Sequence[CellInfo]) -> None:
        """See that cells are in the cache, or have failed."""
        self.asked.extend(cells)
        there = {c.name for c in cells if self.context.finished(c)}
        self.done.extend(c.name for c in cells if c.name in there)
        waiting = [c for c in cells if c.name not in there]
        errors = make_features(self.context, waiting, 1, self.progress, self.failed)
        self.failures.update({c.name: errors[c.features] for c in waiting if c.features in errors})
        waiting = [c for c in waiting if c.features not in errors]
        listener = Listener(self._ended, self.progress, self._started)
        run_cells(self.context, waiting, 1, listener, isolated=True)

    def result(self, cell: CellInfo) -> CellResult:
        """Return the result of a cell."""
        folder = self.context.folder(cell)
        if cell.name in self.failures:
            return CellResult(cell, "failed", False, folder, {}, self.failures[cell.name])
        return cell_result(self.context, cell, folder, reused=True)

    def _started(self, task: Task) -> None:
        if not self.context.finished(task.arguments[0]):
            self.here.append(task.name)
            self.progress(f"fitting {task.name}", 0, 0)

    def _ended(self, task: Task, failure: Failure | None) -> None:
        if failure is not None and isinstance(failure.error, StorageError):
            raise failure.error
        self.progress(f"fitting {task.name}", 1, 0)
        if failure is None:
            self.done.append(task.name)
        else:
            self.failures[task.name] = failure.text
            self.failed(task.name, failure)
        self.progress("cells", len(self.done) + len(self.failures), len(self.asked))
