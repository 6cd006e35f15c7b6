"""What cells of several splits chose, joined: the test rows of folds are evaluated together."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.results import CellResult
from vlrb.api.routing import Estimate, Evaluation, Timing
from vlrb.evaluation.drawn_values import TestSet
from vlrb.evaluation.metrics import EvaluatedRows
from vlrb.running.cell_files import read_routed
from vlrb.running.context import RunContext


@attrs.frozen(eq=False)
class Pooled:
    """Choices int[m] on rows that are evaluated together, with estimates if every cell has them."""

    on: EvaluatedRows
    choices: Array
    timing: Timing | None
    estimate: Estimate | None

    def evaluation(self, context: RunContext) -> Evaluation:
        """Return what a metric sees."""
        return context.evaluator.evaluation(self.on, self.choices, self.timing, self.estimate)


def pool_cells(context: RunContext, results: Sequence[CellResult], name: str = "test") -> Pooled:
    """Join what finished cells chose on dev or test, a cell per split.

    :raises DataError: naming a file of a cell that is missing, broken, or of other samples
    """
    models = [c.name for c in context.benchmark.candidates]
    splits = [context.scored_split(r.cell) for r in results]
    routed = [
        read_routed(r.directory, name, context.ids(split, name), models)
        for r, split in zip(results, splits, strict=True)
    ]
    estimate = joined_estimate([r.estimate for r in routed])
    timings = [r.timing for r in results if r.timing is not None] if name == "test" else []
    timing = _total(timings) if timings else None
    return Pooled(context.evaluated(splits, name), np.concatenate([r.choices for r in routed]), timing, estimate)


def joined_estimate(each: Sequence[Estimate | None]) -> Estimate | None:
    """Return the estimates of several cells, one after the other; None where one of them has none."""
    known = [e for e in each if e is not None]
    if len(known) < len(each):
        return None
    return Estimate(*(np.concatenate([getattr(e, name) for e in known]) for name in ("p_correct", "cost")))


def test_set(context: RunContext, on: EvaluatedRows) -> TestSet:
    """Return rows of which the statistics draw whole groups."""
    scopes = {name: member[on.rows] for name, member in context.evaluator.scopes.items()}
    scopes = {name: inside for name, inside in scopes.items() if inside.any()}
    return TestSet(context.splitting.groups[on.rows], context.benchmark.datasets[on.rows], scopes, on.bounds)


def _total(timings: Sequence[Timing]) -> Timing:
    return Timing(
        sum(t.requests for t in timings),
        sum(t.route_seconds for t in timings),
        sum(t.encode_seconds for t in timings),
    )
