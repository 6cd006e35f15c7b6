"""What the statistics of a run say: intervals, paired differences, ranks, and what may mislead.

Sources: Miller, Adding Error Bars to Evals (arXiv 2411.00640), for clustered errors and paired differences; Davison and Hinkley,
Bootstrap Methods and their Application (1997), for the p-value (s + 1) / (draws + 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.routing import MetricValue, Undefined

CHANCE = 0.05
"""A difference whose p-value is at least this may be chance."""

FEW_GROUPS = 200
"""With fewer test groups than this, intervals are wide, and percentile intervals may be too narrow."""


@attrs.frozen
class Interval:
    """A percentile interval over the ``draws`` in which the metric has a value."""

    low: float
    high: float
    draws: int


@attrs.frozen
class Difference:
    """A paired difference ``value`` = a metric of one row of a table less that of another, on the same samples and draws.

    ``p`` is two-sided.  ``p_holm`` is corrected over the routers that the table compares with the same row in this metric; a
    reference point has none.  ``test``: how p was computed; ``mcnemar`` is its exact form.
    """

    value: MetricValue
    interval: Interval | Undefined
    p: float | Undefined
    p_holm: float | Undefined
    test: Literal["bootstrap", "mcnemar"] = "bootstrap"

    @property
    def corrected(self) -> bool:
        """Whether the p-value that decides is corrected (Holm)."""
        return not isinstance(self.p_holm, Undefined)

    @property
    def decisive_p(self) -> float | None:
        """The p-value that decides: the corrected one, else ``p``; None where draws give none."""
        p = self.p_holm if self.corrected else self.p
        return None if isinstance(p, Undefined) else p

    @property
    def may_be_chance(self) -> bool:
        """Whether two rows with values do not differ significantly: no p-value, or one of at least ``CHANCE``."""
        p = self.decisive_p
        return not isinstance(self.value, Undefined) and (p is None or p >= CHANCE)


@attrs.frozen
class RowStatistics:
    """The statistics of a router or reference point on test.

    ``intervals``: scope -> metric -> interval; metrics that are not functions of means have intervals overall only.  ``against``:
    name of another row -> metric -> difference, overall.  ``ranks``: metric -> the first and the last place among the routers that
    it takes in the share ``level`` of the draws, overall; equal routers share the better place.
    """

    intervals: Mapping[str, Mapping[str, Interval | Undefined]] = attrs.field(converter=frozen)
    against: Mapping[str, Mapping[str, Difference]] = attrs.field(factory=dict, converter=frozen)
    ranks: Mapping[str, tuple[int, int]] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class Statistics:
    """The statistics of a run: which samples were drawn; the spread over seeds and splits stands apart in the results.

    ``level`` is that of the intervals, 0.95 for 95 %.  ``groups`` is the number of groups that were drawn, within datasets.
    ``samples``: scope -> number of test samples, of several test sets the mean.
    ``leader`` is the router with the best value of the selection metric, ``""`` without one.  ``cautions`` say where the metrics
    may mislead.
    """

    draws: int
    level: float
    seed: int
    groups: int
    baseline: str
    leader: str
    rows: Mapping[str, RowStatistics] = attrs.field(converter=frozen)
    cautions: tuple[str, ...] = ()
    samples: Mapping[str, float] = attrs.field(factory=dict, converter=frozen)
