"""What cells of several splits chose, joined: the test rows of folds are evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.results import CellResult
from vlrb.api.routing import Estimate, Evaluation, Timing
from vlrb.evaluation.drawn_values import TestSet
from vlrb.evaluation.metrics import Chosen, EvaluatedRows
from vlrb.evaluation.on_demand import OnDemand
from vlrb.running.cell_files import read_routed
from vlrb.running.context import RunContext


@attrs.frozen(eq=False)
class Pooled:
    """Choices on rows that are evaluated together, with estimates if every cell has them."""

    on: EvaluatedRows
    chosen: Chosen

    def evaluation(self, context: RunContext) -> Evaluation:
        """Return what a metric sees."""
        return context.evaluator.evaluation(self.on, self.chosen)


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
    estimate = joined_estimates([r.read_estimate for r in routed])
    timings = [r.timing for r in results if r.timing is not None] if name == "test" else []
    timing = _total(timings) if timings else None
    chosen = Chosen(np.concatenate([r.choices for r in routed]), timing, estimate)
    return Pooled(context.evaluated(splits, name), chosen)


def joined_estimates(
    each: Sequence[Callable[[], Estimate] | None], places: Array | None = None
) -> OnDemand[Estimate] | None:
    """Return what reads the estimates of several cells, one after the other; None where one of them has none.

    :param places: int[m]: the places that are kept of these, in this order
    """
    known = [read for read in each if read is not None]

    def read() -> Estimate:
        parts = [one() for one in known]
        joined = [np.concatenate([getattr(p, name) for p in parts]) for name in ("p_correct", "cost")]
        return Estimate(*(sealed(m if places is None else m[places]) for m in joined))

    return OnDemand(read) if len(known) == len(each) else None


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
