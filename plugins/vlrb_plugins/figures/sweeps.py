"""The figure ``sweeps``: a metric along what was swept, where the points were compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vlrb import FinishedRun, RouterResult, Undefined
from vlrb_plugins.figures.params import SweepParams
from vlrb_plugins.figures.style import (
    described,
    legend_name,
    listed,
    look,
    new_figure,
    number_of,
    plain_axes,
    say_what_is_left_out,
    shown_name,
)
from vlrb_plugins.figures.values import point_text, swept_lines, value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS, MOST_LINES, MOST_TICKS = 12, 7, 8

Point = tuple[Mapping[str, Any], float, bool]
"""The swept parameters, the value of the metric, and whether the point was chosen."""


def draw_sweeps(params: SweepParams) -> Callable[[FinishedRun], Figure | Undefined]:
    """Return the function that draws the figure."""
    return lambda run: _draw(run, params.metric or run.result.run.selection_metric)


def _draw(run: FinishedRun, metric: str) -> Figure | Undefined:
    metrics = {m.name for m in run.result.run.metrics}
    if metric not in metrics:
        return Undefined(f"the run has no metric {metric!r}, only {', '.join(sorted(metrics))}")
    swept = {r.label: _points(run, r, metric) for r in run.result.routers if r.sweep}
    shown = {label: points for label, points in swept.items() if len(points) > 1}
    if not shown:
        return Undefined(
            "no router has a sweep of which two points were compared" if not swept else f"{metric} has no value there"
        )
    routers = len(shown)
    shown = dict(list(shown.items())[:MOST_PANELS])
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(max(4.2, 2.6 * columns + 0.6), 2.7 * rows + 0.2)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (label, points) in zip(panels, shown.items(), strict=False):
        _draw_panel(axes, label, points)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(metric)
    say_what_is_left_out(figure, sweeps=(len(shown), routers))
    best = [
        f"{label}: {point_text(p)} chosen with {v:.4g}"
        for label, points in shown.items()
        for p, v, chosen in points
        if chosen
    ]
    return described(figure, f"{metric} along the sweeps of {listed(shown)}. {listed(best)}.")


def _points(run: FinishedRun, router: RouterResult, metric: str) -> list[Point]:
    """Return the points at which a metric has a value."""
    parameters = {c.cell.point_name: c.cell.point for c in run.result.cells if c.cell.label == router.label}
    found = [(parameters.get(p.name, {}), number_of(p.values.get(metric)), p.times_chosen > 0) for p in router.sweep]
    return [(point, value, chosen) for point, value, chosen in found if value is not None and point]


def _draw_panel(axes: Any, label: str, points: Sequence[Point]) -> None:
    """Draw a router's points: along the parameter with the most values, a line for each combination of the others."""
    plain_axes(axes)
    along, ticks, lines = swept_lines((point, (value, chosen)) for point, value, chosen in points)
    for number, (name, line) in enumerate(list(lines.items())[:MOST_LINES]):
        places, entries = zip(*line, strict=True)
        axes.plot(places, [v for v, _ in entries], **look(number), linewidth=1.4, markersize=5, label=legend_name(name))
        rings = [(x, v) for x, (v, chosen) in line if chosen]
        axes.plot([x for x, _ in rings], [v for _, v in rings], "o", color="black", fillstyle="none", markersize=12)
    step = -(-len(ticks) // MOST_TICKS)
    axes.set_xticks(range(0, len(ticks), step), [shown_name(value_text(v), 12) for v in ticks[::step]])
    axes.margins(0.12, 0.15)
    axes.set_xlabel(shown_name(along))
    axes.set_title(shown_name(label), fontsize=10)
    if len(lines) > 1:
        cut = f"{MOST_LINES} of {len(lines)} lines" if len(lines) > MOST_LINES else None
        axes.legend(fontsize=7.5, frameon=False, title=cut, title_fontsize=7.5)
