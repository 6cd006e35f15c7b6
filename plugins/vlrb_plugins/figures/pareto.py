"""The figure ``pareto``: accuracy over cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vlrb import Array, CellResult, FinishedRun, NoParams, Undefined
from vlrb_plugins.figures.labels import Box, Label, place_labels
from vlrb_plugins.figures.style import GREY, described, listed, look, new_figure, number_of, plain_axes, shown_name
from vlrb_plugins.figures.values import ACCURACY, COST, Shown, model_means, non_dominated, rows_of, swept_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Points = list[tuple[float, float]]


def draw_pareto(_: NoParams) -> Callable[[FinishedRun], Figure | Undefined]:
    """Return the function that draws the figure."""
    return _draw


def _draw(run: FinishedRun) -> Figure | Undefined:
    rows = [r for r in rows_of(run) if r.value(ACCURACY) is not None and r.value(COST) is not None]
    if not rows:
        return Undefined("no router and no reference point has both an accuracy and a cost")
    figure = new_figure(7.6, 4.8)
    axes = figure.subplots()
    plain_axes(axes)
    models, labels = _draw_models(axes, run)
    routers = [r for r in rows if r.kind == "router"]
    references = [r for r in rows if r.kind != "router"]
    sweeps = [p for n, r in enumerate(routers) for p in _draw_sweep(axes, run, r.name, n)]
    _draw_references(axes, references)
    for number, router in enumerate(routers):
        _draw_router(axes, router, number)
    points = [_point(r) for r in rows] + models + sweeps
    boxes = [(*p, *p) for p in points] + [box for r in routers for box in _bars(r)]
    _set_axes(axes, points)
    figure.legend(*_legend(axes), loc="outside upper left", ncols=4, fontsize=8.5, frameon=False)
    named = [Label(*_point(r), shown_name(r.name), r.kind == "router") for r in (*routers, *references)]
    place_labels(axes, [*named, *labels], boxes)
    texts = [f"{r.name} {r.value(ACCURACY) or 0:.1%} for {r.value(COST) or 0:.3g} USD" for r in rows[:8]]
    return described(figure, f"Accuracy over the cost of 10,000 samples. {listed(texts)}.")


def _point(row: Shown) -> tuple[float, float]:
    return row.value(COST) or 0.0, 100 * (row.value(ACCURACY) or 0.0)


def _draw_models(axes: Any, run: FinishedRun) -> tuple[Points, list[Label]]:
    """Draw the single models; return their points, and labels of those that no other one beats."""
    cost = 1e4 * model_means(run, run.samples.cost)
    accuracy = 100 * model_means(run, run.samples.quality)
    best = non_dominated(cost, accuracy)
    axes.plot(cost[best], accuracy[best], linestyle=(0, (4, 3)), color=GREY, linewidth=1.0)
    axes.plot(cost, accuracy, "s", color=GREY, fillstyle="none", markersize=4.5, label="single model")
    labels = [Label(cost[i], accuracy[i], shown_name(run.samples.models[i], 20)) for i in best[::-1]]
    return list(zip(cost.tolist(), accuracy.tolist(), strict=True)), labels


def _draw_references(axes: Any, references: Sequence[Shown]) -> None:
    for row in references:
        oracle = row.name == "oracle"
        style = {"marker": "*" if oracle else "D", "markersize": 12 if oracle else 6}
        name = "Oracle" if oracle else "other reference point"
        axes.plot(*_point(row), color="black", linestyle="none", label=name, **style)


def _draw_router(axes: Any, row: Shown, number: int) -> None:
    x, y = _point(row)
    (left, _, right, _), (_, bottom, _, top) = _bars(row)
    ends = {"xerr": [[x - left], [right - x]], "yerr": [[y - bottom], [top - y]]}
    axes.errorbar(
        x, y, **ends, **look(number), linestyle="none", markersize=8, elinewidth=1.3, capsize=2.5, label="router"
    )


def _bars(row: Shown) -> tuple[Box, Box]:
    """Return the horizontal and the vertical bar of a row's intervals, through its point."""
    x, y = _point(row)
    left, right = row.interval(COST) or (x, x)
    bottom, top = row.interval(ACCURACY) or (y / 100, y / 100)
    return (min(left, x), y, max(right, x), y), (x, min(100 * bottom, y), x, max(100 * top, y))


def _draw_sweep(axes: Any, run: FinishedRun, label: str, number: int) -> Points:
    """Draw the points of a router's sweep on test, joined along what was swept; return them."""
    found: dict[str, list[CellResult]] = {}
    for result in run.result.cells:
        cell = result.cell
        if cell.label == label and cell.point and cell.inner == 0 and not cell.refit and cell.train_fraction == 1:
            found.setdefault(cell.point_name, []).append(result)
    means = [(cells[0].cell.point, _mean_point(cells)) for cells in found.values()]
    known = [(point, mean) for point, mean in means if mean is not None]
    if len(known) < 2:
        return []
    for line in swept_lines(known)[2].values():
        x, y = zip(*(mean for _, mean in line), strict=True)
        axes.plot(x, y, **look(number), linewidth=1.0, alpha=0.75, markersize=3.5)
    return [mean for _, mean in known]


def _mean_point(cells: Sequence[CellResult]) -> tuple[float, float] | None:
    """Return the mean cost and accuracy on test of a sweep's point, over its cells; None where one has no value."""
    scores = [c.scores.get("test", {}).get("overall", {}) for c in cells]
    cost, accuracy = ([number_of(s.get(m)) for s in scores] for m in (COST, ACCURACY))
    if not scores or None in cost or None in accuracy:
        return None
    return float(np.mean(np.array(cost))), 100 * float(np.mean(np.array(accuracy)))


def _set_axes(axes: Any, points: Points) -> None:
    """Set the scales: costs on a logarithmic one, with models that cost nothing at its left edge."""
    from matplotlib.ticker import LogLocator, NullFormatter

    costs: Array = np.array([p[0] for p in points])
    paid = costs[costs > 0]
    if len(paid) == len(costs):
        axes.set_xscale("log")
    elif len(paid):
        axes.set_xscale("symlog", linthresh=float(paid.min()))
    axes.margins(0.08, 0.1)
    if len(paid) == len(costs):
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("USD per 10,000 samples")
    axes.set_ylabel("accuracy %")


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Return an entry of each kind."""
    entries = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    order = [n for n in ("router", "single model", "Oracle", "other reference point") if n in entries]
    return [entries[n] for n in order], order
