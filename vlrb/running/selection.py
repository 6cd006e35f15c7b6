"""Choosing a point of each router's sweep, on each split by itself."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import attrs
import numpy as np

from vlrb.api.frozen import sealed
from vlrb.api.results import CellInfo, CellResult
from vlrb.api.routing import Evaluation, MetricValue, Undefined
from vlrb.evaluation.calibration import calibrate_estimates
from vlrb.evaluation.intervals import standard_error
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.reference import oracle_choices
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.running.context import RunContext
from vlrb.running.pooled import Pooled, pool_cells, test_set

DRAWS = 500
"""Bootstrap draws for a standard error."""

Key = TypeVar("Key")
Values = Mapping[str, MetricValue]
"""Metric -> its value on the rows on which a point is chosen."""


@attrs.frozen
class Selected:
    """The point of a sweep that was chosen on a split, the metric that decided, and the rule by which.

    ``values``: point -> per seed, what was seen of it where points were compared.
    """

    point: str
    metric: str
    rule: str
    values: Mapping[str, Sequence[Values]]


@attrs.frozen(eq=False)
class _Point:
    """A point of a sweep: what its cells, one per seed, chose on the rows on which a point is chosen, and the values there."""

    name: str
    chose: Sequence[Pooled]
    values: Sequence[Values]


def select_points(context: RunContext, results: Sequence[CellResult]) -> dict[str, dict[str, Selected]]:
    """Return label -> split -> the point chosen there: the best mean of the selection metric over the seeds.

    Ties go to the first point.  A point with a failed cell cannot be chosen.  Where the selection metric is undefined for every
    point, the next metric that has values decides.  A router whose every point has a failed cell has none.
    """
    found: dict[tuple[str, str], dict[str, list[CellResult]]] = {}
    for result in results:
        cell = result.cell
        found.setdefault((cell.label, cell.outer_name), {}).setdefault(cell.point_name, []).append(result)
    selected: dict[str, dict[str, Selected]] = {}
    for (label, split), points in found.items():
        choice = _select(context, points)
        if choice is not None:
            selected.setdefault(label, {})[split] = choice
    return selected


def is_chosen(cell: CellInfo, selected: Mapping[str, Mapping[str, Selected]]) -> bool:
    """Tell whether a cell is of the point chosen for its split, and not of an inner fold."""
    of_split = selected.get(cell.label, {}).get(cell.outer_name)
    return of_split is not None and not cell.inner and cell.point_name == of_split.point


def _select(context: RunContext, points: Mapping[str, Sequence[CellResult]]) -> Selected | None:
    section, first = context.plan.selection, context.evaluator.selection.spec.name
    finished = {n: cells for n, cells in points.items() if all(c.status == "done" for c in cells)}
    if len(points) == 1:
        return Selected(next(iter(points)), first, "", {})
    rows = {n: _rows(context, cells) for n, cells in finished.items()}
    predicted = section.rule == "predicted" and all(
        p.chosen.estimate is not None for those in rows.values() for p in those
    )
    rule = "best" if section.rule == "predicted" and not predicted else section.rule
    candidates = [_Point(n, those, [_values(context, p, predicted) for p in those]) for n, those in rows.items()]
    values = {p.name: p.values for p in candidates}
    found = first_defined_metric(context.evaluator, values, lambda point, metric: _mean(values[point], metric))
    if found is None:
        return None
    metric, means = found
    best = max(means, key=means.__getitem__)
    if rule == "one-standard-error":
        best = _cheapest_within_error(context, metric, candidates, means, best)
    return Selected(best, metric.spec.name, rule, values)


def first_defined_metric(
    evaluator: Evaluator, keys: Collection[Key], value: Callable[[Key, str], MetricValue]
) -> tuple[ConfiguredComponent, dict[Key, float]] | None:
    """Return the first metric, that of the selection first, that has a value for any key, and its values, larger being better.

    :param value: returns the value of a metric by its name
    """
    for metric in sorted(evaluator.metrics, key=lambda m: m is not evaluator.selection):
        sign = 1 if metric.spec.higher_is_better else -1
        values = {key: value(key, metric.spec.name) for key in keys}
        if numbers := {key: sign * v for key, v in values.items() if not isinstance(v, Undefined)}:
            return metric, numbers
    return None


def _rows(context: RunContext, cells: Sequence[CellResult]) -> list[Pooled]:
    """Return per seed what the cells of a point chose where points are compared: dev, test, or the inner folds together."""
    on = context.plan.selection.on
    outer = [c for c in cells if not c.cell.inner]
    if on != "folds":
        return [pool_cells(context, [c], on) for c in outer]
    inner = sorted((c for c in cells if c.cell.inner), key=lambda c: c.cell.inner)
    return [pool_cells(context, [c for c in inner if c.cell.seed == o.cell.seed]) for o in outer]


def _values(context: RunContext, chose: Pooled, predicted: bool) -> Values:
    return context.evaluator.overall(_seen(context, chose, predicted))


def _seen(context: RunContext, chose: Pooled, predicted: bool) -> Evaluation:
    """Return what the metrics see: what was observed, or the router's own calibrated estimates in place of right and wrong.

    The Oracle then is the model with the highest estimate, the cheapest of equals.
    """
    evaluation = chose.evaluation(context)
    estimate = evaluation.estimate if predicted else None
    if estimate is None:
        return evaluation
    quality = sealed(calibrate_estimates(estimate.p_correct, evaluation.quality))
    oracle = sealed(oracle_choices(quality == quality.max(axis=1, keepdims=True), evaluation.cost))
    best, highest = (
        float(np.take_along_axis(quality, choices[:, None], axis=1).mean())
        for choices in (evaluation.best_single_choices, oracle)
    )
    return attrs.evolve(
        evaluation, quality=quality, score=quality, oracle_choices=oracle, best_single=best, oracle=highest
    )


def _mean(values: Sequence[Values], metric: str) -> MetricValue:
    """Return the mean over seeds; undefined where a value is."""
    numbers = [number for v in values if not isinstance(number := v[metric], Undefined)]
    return statistics.fmean(numbers) if len(numbers) == len(values) else Undefined("a seed has no value")


def _cheapest_within_error(
    context: RunContext, metric: ConfiguredComponent, points: Sequence[_Point], means: Mapping[str, float], best: str
) -> str:
    """Return the point whose choices cost least of those within one standard error of the best, drawn by groups."""
    chose = next(p.chose for p in points if p.name == best)
    evaluations, test = [c.evaluation(context) for c in chose], test_set(context, chose[0].on)
    error = standard_error(test, evaluations, context.evaluator.measured(metric), DRAWS, context.plan.statistics.seed)
    near = [p for p in points if p.name == best or means.get(p.name, -np.inf) >= means[best] - error]
    return min(near, key=lambda p: statistics.fmean(_cost(context, c) for c in p.chose)).name


def _cost(context: RunContext, chose: Pooled) -> float:
    """Return the mean cost of choices, USD per sample."""
    cost = context.benchmark.cost[chose.on.rows]
    return float(np.take_along_axis(cost, chose.chosen.choices[:, None], axis=1).mean())
