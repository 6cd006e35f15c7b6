"""Draws of metrics that are computed again on the rows of each: where this takes long, blocks of draws are tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from vlrb.api.frozen import Array
from vlrb.api.routing import Undefined
from vlrb.errors import PluginError
from vlrb.evaluation.drawn_values import Drawn, MeasuredMetric, Row, values_of_draws
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.splits import unpacked
from vlrb.executor import Failure, Job, Limits, Listener, Progress, Report, Task
from vlrb.experiment.portable import PortablePlan, do_tasks, plan_versions
from vlrb.running.context import RunContext
from vlrb.storage import Places
from vlrb.threads import available_threads

BLOCK = 50
"""Draws of a task."""
PATIENCE = 10.0
"""Seconds of work that this process does alone."""

Known = Sequence[Mapping[int, Undefined]]
"""Of each metric, position of a row -> why it has no value on the samples."""


@attrs.frozen(eq=False)
class SharedDraws:
    """Computes metrics on the rows of all draws, to the values of :func:`vlrb.evaluation.drawn_values.values_of_draws`."""

    context: RunContext
    jobs: int
    progress: Progress

    def __call__(
        self,
        metrics: Sequence[MeasuredMetric],
        rows: Sequence[Row],
        groups: Sequence[Array],
        counts: Array,
        known: Known,
    ) -> list[list[Drawn]]:
        """Return the values."""
        began, rest = time.perf_counter(), counts[:, 1:]
        first = values_of_draws(metrics, rows, groups, counts[:, :1], known)
        if (time.perf_counter() - began) * rest.shape[1] < PATIENCE:
            return first + values_of_draws(metrics, rows, groups, rest, known)
        return first + self._blocks(_Drawing(metrics, rows, groups, rest, known))

    def _blocks(self, drawing: _Drawing) -> list[list[Drawn]]:
        """Return the values of each block of draws."""
        context, size = self.context, drawing.counts.shape[1]
        found: dict[str, list[Drawn]] = {}
        tasks = [
            Task(f"draws {a + 2:,} to {min(a + BLOCK, size) + 1:,}", (a, min(a + BLOCK, size)))
            for a in range(0, size, BLOCK)
        ]

        def ended(task: Task, result: tuple[list[Drawn], list[PluginError]] | Failure) -> None:
            if isinstance(result, Failure):
                raise result.error
            found[task.name], errors = result
            for error in errors:
                context.evaluator.note(error)
            self.progress("drawing", len(found), len(tasks))

        jobs = min(self.jobs, len(tasks))
        names = [m.name for m in drawing.metrics]
        sent = (drawing.rows, drawing.groups, drawing.counts, drawing.known)
        shared = (PortablePlan(context.plan), context.places, context.benchmark.directory, names, sent)
        limits = Limits(jobs, threads=max(1, available_threads() // jobs))
        listener, here = Listener(ended, self.progress), drawing if jobs < 2 else None
        do_tasks(context.plan.executor, Job(_unpacked, shared, _draw, plan_versions), tasks, listener, here, limits)
        return [found[task.name] for task in tasks]


@attrs.frozen(eq=False)
class _Drawing:
    """What tasks share in a process; ``errors`` are those of metrics in a process that was not asked for them."""

    metrics: Sequence[MeasuredMetric]
    rows: Sequence[Row]
    groups: Sequence[Array]
    counts: Array
    known: Known
    errors: list[PluginError] = attrs.Factory(list)


def _unpacked(
    sent: PortablePlan,
    places: Places,
    directory: Path,
    names: Sequence[str],
    drawing: tuple[Sequence[Row], Sequence[Array], Array, Known],
) -> _Drawing:
    """Set up another process."""
    plan, benchmark = unpacked(sent, places, directory)
    evaluator = Evaluator(benchmark, plan.metrics, plan.selection_metric())
    by_name = {m.spec.name: m for m in plan.metrics}
    return _Drawing([evaluator.measured(by_name[n]) for n in names], *drawing, evaluator.errors)


def _draw(drawing: _Drawing, _report: Report, start: int, end: int) -> tuple[list[Drawn], list[PluginError]]:
    """Return the values of a block of draws, and what metrics raised."""
    counts = drawing.counts[:, start:end]
    (values,) = values_of_draws(drawing.metrics, drawing.rows, drawing.groups, counts, drawing.known)
    return values, list(drawing.errors)
