"""Which point of a sweep stands for its router."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import attrs

from vlrb.api.results import CellResult, MetricInfo
from vlrb.api.routing import Undefined


@attrs.frozen
class Winner:
    """The point of a router's sweep that was chosen, as :attr:`CellInfo.point_name`, and the metric that decided."""

    point: str
    metric: str


def select_winners(
    cells: Sequence[CellResult], metrics: Sequence[MetricInfo], selected: str, split: str
) -> dict[str, Winner]:
    """Return label -> the point of its sweep with the best mean of a metric over its seeds; ties go to the first point.

    A point with a failed cell cannot win.  Where the selection metric is undefined for every point, the next metric that has
    values decides.  A router whose every point has a failed cell has no winner.

    :param metrics: in the order in which they decide, after the selection metric
    :param selected: the name of the selection metric
    """
    order = sorted(metrics, key=lambda m: m.name != selected)
    points: dict[str, dict[str, list[CellResult]]] = {}
    for cell in cells:
        points.setdefault(cell.cell.label, {}).setdefault(cell.cell.point_name, []).append(cell)
    winners = {label: _winner(of_label, order, split) for label, of_label in points.items()}
    return {label: winner for label, winner in winners.items() if winner is not None}


def _winner(points: dict[str, list[CellResult]], metrics: Sequence[MetricInfo], split: str) -> Winner | None:
    finished = {p: cells for p, cells in points.items() if len(points) == 1 or all(c.status == "done" for c in cells)}
    if len(finished) == len(points) == 1:
        return Winner(next(iter(points)), metrics[0].name)
    for metric in metrics:
        means = {p: m for p, cells in finished.items() if (m := _mean(cells, metric.name, split)) is not None}
        if means:
            sign = 1 if metric.higher_is_better else -1
            return Winner(max(means, key=lambda p: sign * means[p]), metric.name)
    return None


def _mean(cells: Sequence[CellResult], metric: str, split: str) -> float | None:
    """Return the mean of a metric over the seeds; None where one of them has no value."""
    values = [c.scores[split]["overall"][metric] for c in cells]
    numbers = [v for v in values if not isinstance(v, Undefined)]
    return statistics.fmean(numbers) if len(numbers) == len(values) else None
