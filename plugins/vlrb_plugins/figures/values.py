"""Values of finished runs that several figures show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np

from vlrb import Array, Choices, FinishedRun, Interval, leaderboard
from vlrb_plugins.figures.style import number_of

Entry = TypeVar("Entry")
ACCURACY, COST = "accuracy", "cost-per-10k"


@attrs.frozen
class Shown:
    """A row of the leaderboard: its kind, and its scores overall and by scope on test, with intervals overall."""

    name: str
    kind: str
    scores: Mapping[str, Mapping[str, object]]
    intervals: Mapping[str, object]

    def value(self, metric: str, scope: str = "overall") -> float | None:
        """Return a value, or None where it is undefined."""
        return number_of(self.scores.get(scope, {}).get(metric))

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Return the interval of a value overall."""
        found = self.intervals.get(metric)
        return (found.low, found.high) if isinstance(found, Interval) else None


def rows_of(run: FinishedRun) -> list[Shown]:
    """Return the rows of the leaderboard that have results on test, the best first."""
    result = run.result
    tests = {("router", r.label): r.test for r in result.routers}
    tests |= {("reference", r.name): r.test for r in result.references}
    rows = []
    for row in leaderboard(result).rows:
        test, statistics = tests[row.kind, row.name], result.statistics.rows.get(row.name)
        if test is not None:
            intervals = statistics.intervals.get("overall", {}) if statistics is not None else {}
            rows.append(Shown(row.name, row.kind, test.scores, intervals))
    return rows


def tested_rows(run: FinishedRun) -> list[Array]:
    """Return the test rows of every split; those of pooled folds together."""
    found = [c.rows for r in run.result.references[:1] for c in run.chosen(r.name)]
    if run.result.run.split.pooled and found:
        return [np.concatenate(found)]
    return found


def model_means(run: FinishedRun, matrix: Array, inside: Array | None = None) -> Array:
    """Return the mean of a matrix for every model on the test rows, over the splits; NaN where there are none.

    :param inside: bool[n]: the samples that count
    """
    parts = [rows if inside is None else rows[inside[rows]] for rows in tested_rows(run)]
    means = [matrix[rows].mean(axis=0) for rows in parts if len(rows)]
    return np.mean(means, axis=0) if means else np.full(matrix.shape[1], np.nan)


def dataset_accuracies(run: FinishedRun, name: str, datasets: Sequence[str]) -> Array:
    """Return the accuracy of a router or reference point on each dataset, over seeds and splits; NaN where there is none."""
    pooled, samples = run.result.run.split.pooled, run.samples
    parts: dict[tuple[object, str], list[tuple[Array, Array]]] = {}
    for made in run.chosen(name):
        right = samples.quality[made.rows, made.choices]
        parts.setdefault((made.seed, "" if pooled else made.split), []).append((samples.datasets[made.rows], right))
    means = np.full((len(parts), len(datasets)), np.nan)
    for i, found in enumerate(parts.values()):
        where, right = (np.concatenate(column) for column in zip(*found, strict=True))
        for j, dataset in enumerate(datasets):
            inside = where == dataset
            means[i, j] = right[inside].mean() if inside.any() else np.nan
    known = np.isfinite(means)
    return np.where(known.any(axis=0), np.where(known, means, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)


def model_order(run: FinishedRun) -> Array:
    """Return the models by their mean cost on test, the cheapest first."""
    return np.argsort(model_means(run, run.samples.cost), kind="stable")


def call_shares(choices: Iterable[Choices], models: int) -> Array | None:
    """Return the share of the choices that each model gets; None without any choice."""
    counts = sum((np.bincount(c.choices, minlength=models) for c in choices), np.zeros(models))
    return counts / counts.sum() if counts.sum() else None


def non_dominated(cost: Array, accuracy: Array) -> Array:
    """Return the places of those that no other one beats in cost and accuracy, the cheapest first."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order][:-1]]))
    return np.asarray(order[accuracy[order] > best])


def estimated(choices: Iterable[Choices], quality: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the estimated probability that the chosen model is right, and whether it is, of choices with estimates."""
    for made in choices:
        if made.estimate is not None:
            places = np.arange(len(made.choices))
            yield np.asarray(made.estimate.p_correct)[places, made.choices], quality[made.rows, made.choices]


def swept_lines(
    points: Iterable[tuple[Mapping[str, Any], Entry]],
) -> tuple[str, list[Any], dict[str, list[tuple[int, Entry]]]]:
    """Return the points of a sweep as lines along the parameter that has the most values.

    That parameter and its values come first, numbers by their size; then, for each combination of the others (in words), the places
    among the values and what belongs to them.
    """
    found = list(points)
    values = {name: list(dict.fromkeys(point[name] for point, _ in found)) for name in found[0][0]}
    along = max(values, key=lambda name: len(values[name]))
    numbers = {value: _as_number(value) for value in values[along]}
    ticks = sorted(numbers, key=lambda v: numbers[v] or 0.0) if None not in numbers.values() else values[along]
    lines: dict[str, list[tuple[int, Entry]]] = {}
    for point, entry in found:
        rest = point_text({name: value for name, value in point.items() if name != along})
        lines.setdefault(rest, []).append((ticks.index(point[along]), entry))
    return along, ticks, {name: sorted(line, key=lambda e: e[0]) for name, line in lines.items()}


def _as_number(value: Any) -> float | None:
    """Return a swept value as a number; results hold infinity as a text."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def point_text(point: Mapping[str, Any]) -> str:
    """Return the parameters of a point in words."""
    return ", ".join(f"{name} = {value_text(value)}" for name, value in point.items())


def value_text(value: Any) -> str:
    """Return the value of a parameter, a float without needless digits."""
    return f"{value:g}" if isinstance(value, float) else str(value)
