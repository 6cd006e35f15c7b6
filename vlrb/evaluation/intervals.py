"""Intervals, paired differences and ranks of the rows of a table, from common draws of image groups within datasets.

Sources: Davison and Hinkley, Bootstrap Methods and their Application (1997), 4.2.5 and 5.3, for the p-values and percentile
intervals; Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979); McNemar (1947) in its exact form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.routing import Evaluation, Undefined
from vlrb.api.statistics import Difference, Interval, RowStatistics, Statistics
from vlrb.evaluation.bootstrap import OVERALL, Draws, strata_of
from vlrb.evaluation.drawn_values import Drawn, MeasuredMetric, OfDraws, Row, TestSet, drawn_values

TIE = 1e-13
"""Values that differ by less than this share of the largest are equal: what is left is the order of summation."""
ONE_GROUP = Undefined("all samples are in one image group")
SINGLE_GROUPS = Undefined("no dataset has two image groups to draw from")
NO_DRAW = Undefined("the metric has no value in any draw")
CONSTANT = Undefined("the value is the same in every draw: these samples do not say how much it may vary")
EQUAL = Undefined("the two have the same value in every draw")
SAME_RIGHT = Undefined("the two are right on the same samples")
NOT_ROUTER = Undefined("not corrected: a reference point, not a router")


@attrs.frozen
class Settings:
    """How a table is compared.

    Every row is compared with each of ``others`` that has a value, and with the leader by the metric ``selection``.  ``pairs``:
    (row, other) whose differences are asked for too; without ``others``, instead of these.
    """

    others: tuple[str, ...]
    selection: str
    draws: int = 2000
    level: float = 0.95
    seed: int = 0
    pairs: tuple[tuple[str, str], ...] = ()


def table_statistics(
    tests: Sequence[TestSet],
    rows: Sequence[Row],
    metrics: Sequence[MeasuredMetric],
    settings: Settings,
    of_draws: OfDraws | None = None,
) -> Statistics:
    """Return the statistics of all rows of a table; cautions are left empty.

    A row's value is the mean over test sets of the mean over seeds, in each draw too.  Scopes and metrics without values in draws
    (those of parts, of a metric that is not a function of means) are left out.

    :param of_draws: as :func:`drawn_values` takes it
    """
    numbers, groups, draws = _draw(tests, settings.draws, settings.seed)
    intervals: dict[str, dict[str, dict[str, Interval | Undefined]]] = {r.name: {} for r in rows}
    overall: dict[str, Drawn] = {}
    fixed = {
        s: _without_variation(tests, groups, draws.strata, s) for s in {OVERALL, *(s for t in tests for s in t.scopes)}
    }
    for scope, metric, drawn in drawn_values(tests, rows, metrics, groups, draws, of_draws):
        for row, interval in zip(rows, _intervals(drawn, fixed[scope], settings.level), strict=True):
            intervals[row.name].setdefault(scope, {})[metric.name] = interval
        if scope == OVERALL:
            overall[metric.name] = drawn
    table = Table(tests, rows, metrics, settings, overall, fixed[OVERALL])
    leader = table.leader()
    against, ranks = table.differences(leader if settings.others else ""), table.ranks()
    found = {r.name: RowStatistics(intervals[r.name], against[r.name], ranks[r.name]) for r in rows}
    base = settings.others[0] if settings.others else ""
    return Statistics(settings.draws, settings.level, settings.seed, numbers.size, base, leader, found)


def overall_intervals(
    tests: Sequence[TestSet],
    rows: Sequence[Row],
    metrics: Sequence[MeasuredMetric],
    settings: Settings,
    of_draws: OfDraws | None = None,
) -> dict[str, dict[str, Interval | Undefined]]:
    """Return row -> metric -> interval, overall, from the draws of :func:`table_statistics`; parameters as there."""
    tests = [attrs.evolve(t, scopes={}) for t in tests]
    _, groups, draws = _draw(tests, settings.draws, settings.seed)
    fixed = _without_variation(tests, groups, draws.strata, OVERALL)
    found: dict[str, dict[str, Interval | Undefined]] = {r.name: {} for r in rows}
    for _, metric, drawn in drawn_values(tests, rows, metrics, groups, draws, of_draws):
        for row, interval in zip(rows, _intervals(drawn, fixed, settings.level), strict=True):
            found[row.name][metric.name] = interval
    return found


def _draw(tests: Sequence[TestSet], draws: int, seed: int) -> tuple[Array, list[Array], Draws]:
    """Return the groups of some test sets, the place among them of each sample's, and their draws."""
    numbers, strata = strata_of([t.groups for t in tests], [t.datasets for t in tests])
    groups = [np.searchsorted(numbers, t.groups) for t in tests]
    return numbers, groups, Draws(strata, draws, seed)


def standard_error(
    test: TestSet, evaluations: Sequence[Evaluation], metric: MeasuredMetric, draws: int, seed: int
) -> float:
    """Return the standard deviation of the mean of a metric over some evaluations of the same rows, of whose groups draws are made.

    It is NaN where fewer than two draws have a value.
    """
    _, groups, drawing = _draw([test], draws, seed)
    row = Row("", True, (tuple(evaluations),))
    drawn = next(d for scope, _, d in drawn_values([test], [row], [metric], groups, drawing) if scope == OVERALL)
    values = drawn.values[0, 1:]
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")


def _without_variation(
    tests: Sequence[TestSet], groups: Sequence[Array], strata: Array, scope: str
) -> Undefined | None:
    """Return why draws cannot vary in a scope, None where they can."""
    members = [t.scopes.get(scope, False) if scope != OVERALL else True for t in tests]
    inside = np.unique(np.concatenate([g[np.broadcast_to(m, g.shape)] for g, m in zip(groups, members, strict=True)]))
    if inside.size <= 1:
        return ONE_GROUP
    names, sizes = np.unique(strata, return_counts=True)
    return SINGLE_GROUPS if (sizes[np.searchsorted(names, strata[inside])] == 1).all() else None


def _intervals(drawn: Drawn, fixed: Undefined | None, level: float) -> list[Interval | Undefined]:
    """Return the interval of every row."""
    low, high, draws = percentile_bounds(drawn.values[:, 1:], level)
    found: list[Interval | Undefined] = []
    for row, (a, b, n) in enumerate(zip(low.tolist(), high.tolist(), draws.tolist(), strict=True)):
        problem = drawn.undefined.get(row) or fixed or (NO_DRAW if n == 0 else None)
        found.append(problem or (CONSTANT if a == b and _is_constant(drawn.values[row]) else Interval(a, b, n)))
    return found


def _is_constant(values: Array) -> bool:
    return bool((values[np.isfinite(values)] == values[0]).all())


def percentile_bounds(values: Array, level: float) -> tuple[Array, Array, Array]:
    """Return the lower and upper percentile of every row, and its number of finite values.

    :param values: float64[rows, draws]; what is not finite is left out
    """
    finite = np.isfinite(values)
    draws = finite.sum(axis=1)
    last = np.maximum(draws - 1, 0)
    tail = (1 - level) / 2
    places = np.stack([tail * last, (1 - tail) * last])
    below = places.astype(np.intp)
    above = np.minimum(below + 1, last)
    needed = np.unique([below, above])
    ordered = np.partition(np.where(finite, values, np.nan), needed, axis=1)  # NaN last
    rows = np.arange(len(values))
    low, high = ordered[rows, below] + (ordered[rows, above] - ordered[rows, below]) * (places - below)
    return low, high, draws


def bootstrap_p(differences: Array) -> float | Undefined:
    """Return the two-sided p-value of the differences float64[draws], those that are not finite left out."""
    finite = differences[np.isfinite(differences)]
    if finite.size == 0:
        return NO_DRAW
    fewer = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (finite.size + 1))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(values.size)
    corrected[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)))
    return corrected.tolist()


def rank_ranges(values: Array, level: float) -> list[tuple[int, int]]:
    """Return the first and the last place that each row takes in the share ``level`` of the draws, larger values being better.

    Equal rows share the better place.  Only draws in which all rows have a value count; without any, the list is empty.

    :param values: float64[rows, draws]
    """
    complete = values[:, np.isfinite(values).all(axis=0)].T
    if complete.size == 0:
        return []
    order = np.argsort(-complete, axis=1, kind="stable")
    ordered = np.take_along_axis(complete, order, axis=1)
    places = np.broadcast_to(np.arange(ordered.shape[1]), ordered.shape).copy()
    places[:, 1:][_subtract(ordered[:, :-1], ordered[:, 1:]) == 0] = 0
    ranks = np.empty_like(places)
    np.put_along_axis(ranks, order, np.maximum.accumulate(places, axis=1) + 1, axis=1)
    ranks.sort(axis=0)
    outside = int((1 - level) / 2 * ranks.shape[0])
    return list(zip(ranks[outside].tolist(), ranks[-1 - outside].tolist(), strict=True))


def _subtract(a: Array, b: Array) -> Array:
    """Return a - b, exactly 0 where the two are equal but for rounding."""
    scale = max(float(np.abs(x[np.isfinite(x)]).max(initial=0)) for x in (a, b))
    difference = a - b
    return np.where(np.abs(difference) <= TIE * scale, 0.0, difference)


@attrs.frozen(eq=False)
class Table:
    """Compares the rows of a table with each other, overall; ``fixed``: why draws cannot vary."""

    tests: Sequence[TestSet]
    rows: Sequence[Row]
    metrics: Sequence[MeasuredMetric]
    settings: Settings
    overall: Mapping[str, Drawn]
    fixed: Undefined | None

    def _routers(self, metric: MeasuredMetric) -> list[int]:
        """Return the positions of the routers that have a value on the samples."""
        return [i for i, r in enumerate(self.rows) if r.is_router and i not in self.overall[metric.name].undefined]

    def _larger_is_better(self, metric: MeasuredMetric, rows: list[int]) -> Array:
        """Return the values of some rows in every draw, larger being better."""
        return self.overall[metric.name].values[rows] * (1 if metric.higher_is_better else -1)

    def leader(self) -> str:
        """Return the router with the best value of the selection metric; the next metrics, then names, decide between equals."""
        metrics = sorted(self.metrics, key=lambda m: m.name != self.settings.selection)
        routers = sorted(self._routers(metrics[0]), key=lambda i: self.rows[i].name)
        for metric in metrics:
            known = [i for i in routers if i not in self.overall[metric.name].undefined]
            points = self._larger_is_better(metric, known)[:, 0]
            best = [
                i for i, equal in zip(known, _subtract(points.max(initial=-np.inf), points) == 0, strict=True) if equal
            ]
            routers = best or routers
        return self.rows[routers[0]].name if routers else ""

    def ranks(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Return row -> metric -> places; nothing where draws cannot vary."""
        found: dict[str, dict[str, tuple[int, int]]] = {r.name: {} for r in self.rows}
        for metric in self.metrics if self.fixed is None else ():
            routers = self._routers(metric)
            ranges = rank_ranges(self._larger_is_better(metric, routers)[:, 1:], self.settings.level)
            for row, places in zip(routers, ranges, strict=False):
                found[self.rows[row].name][metric.name] = places
        return found

    def differences(self, leader: str) -> dict[str, dict[str, dict[str, Difference]]]:
        """Return row -> other row -> metric -> difference: against the others, the leader, and as the pairs ask.

        P-values are corrected over the rows that are compared with the same other one, and over the pairs that are left.
        """
        place = {r.name: i for i, r in enumerate(self.rows)}
        others = [b for b in dict.fromkeys((*self.settings.others, leader)) if b in place]
        families = [[(r.name, b) for r in self.rows if r.name != b] for b in others]
        known = {pair for family in families for pair in family}
        families.append([pair for pair in dict.fromkeys(self.settings.pairs) if pair not in known])
        found: dict[str, dict[str, dict[str, Difference]]] = {r.name: {} for r in self.rows}
        for family in families:
            for metric in self.metrics:
                several = [self._difference(metric, place[a], place[b]) for a, b in family]
                corrected = _corrected(several, [self.rows[place[a]].is_router for a, _ in family])
                for (a, b), difference in zip(family, corrected, strict=True):
                    found[a].setdefault(b, {})[metric.name] = difference
        return found

    def _difference(self, metric: MeasuredMetric, a: int, b: int) -> Difference:
        drawn = self.overall[metric.name]
        problem = drawn.undefined.get(a) or drawn.undefined.get(b)
        if problem:
            return Difference(problem, problem, problem, problem)
        differences = _subtract(drawn.values[a], drawn.values[b])
        value, differences = float(differences[0]), differences[1:]
        finite = differences[np.isfinite(differences)]
        equal = finite.size > 0 and not finite.any()
        if equal and self._same_choices(a, b):
            return Difference(0.0, Interval(0.0, 0.0, finite.size), 1.0, 1.0)
        alone = Drawn(np.append(value, differences)[None], {})
        interval = _intervals(alone, self.fixed, self.settings.level)[0]
        if metric.paired_binary and self._is_paired(a, b):
            p = self._mcnemar(metric, a, b)
            return Difference(value, interval, p, p, "mcnemar")
        p = self.fixed or (EQUAL if equal else bootstrap_p(finite))
        return Difference(value, interval, p, p)

    def _same_choices(self, a: int, b: int) -> bool:
        """Return whether every seed of both rows chooses the same models in each test set."""
        for seeds, others in zip(self.rows[a].evaluations, self.rows[b].evaluations, strict=True):
            if not all(np.array_equal(e.choices, seeds[0].choices) for e in (*seeds, *others)):
                return False
        return True

    def _is_paired(self, a: int, b: int) -> bool:
        """Return whether samples are independent and each row has one answer on each: what McNemar's test asks for."""
        return self._independent and all(len(self.rows[i].evaluations[0]) == 1 for i in (a, b))

    @cached_property
    def _independent(self) -> bool:
        """Whether there is one test set, and each of its samples is a group of its own."""
        return len(self.tests) == 1 and np.unique(self.tests[0].groups).size == self.tests[0].groups.size

    def _mcnemar(self, metric: MeasuredMetric, a: int, b: int) -> float | Undefined:
        """Return the p-value of McNemar's exact test."""
        from scipy.stats import binomtest

        first, second = (_only_column(metric, self.rows[i]) for i in (a, b))
        only_a, only_b = int((first > second).sum()), int((second > first).sum())
        return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else SAME_RIGHT


def _only_column(metric: MeasuredMetric, row: Row) -> Array:
    columns: Mapping[str, Any] = metric.metric.columns(attrs.evolve(row.evaluations[0][0], timing=None))
    return np.asarray(next(iter(columns.values())))


def _corrected(differences: Sequence[Difference], routers: Sequence[bool]) -> list[Difference]:
    """Return differences from one row with p-values corrected over the routers among them that have one."""
    counted = [i for i, d in enumerate(differences) if routers[i] and not isinstance(d.p, Undefined)]
    corrected = dict(zip(counted, holm([differences[i].p for i in counted]), strict=True))  # type: ignore[misc]
    return [
        attrs.evolve(d, p_holm=corrected[i] if i in corrected else d.p if routers[i] else NOT_ROUTER)
        for i, d in enumerate(differences)
    ]
