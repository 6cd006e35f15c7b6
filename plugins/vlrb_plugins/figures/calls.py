"""The figure ``calls``: the share of calls that each model gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vlrb import Array, FinishedRun, Undefined
from vlrb_plugins.figures.params import ModelsParams
from vlrb_plugins.figures.style import GREY, described, ink_on, new_figure, plain_axes, say_what_is_left_out, shown_name
from vlrb_plugins.figures.values import call_shares, model_order, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 40
LEAST_NUMBERED = 0.03
"""Share of a part that has room for its number."""


def draw_calls(params: ModelsParams) -> Callable[[FinishedRun], Figure | Undefined]:
    """Return the function that draws the figure."""
    return lambda run: _draw(run, params.models)


def _draw(run: FinishedRun, most: int) -> Figure | Undefined:
    count = len(run.samples.models)
    rows = rows_of(run)
    found = {r.name: call_shares(run.chosen(r.name), count) for r in rows[:MOST_ROWS]}
    shares = {name: share for name, share in found.items() if share is not None}
    if not shares or count < 2:
        return Undefined("no router has chosen" if count > 1 else "there is a single model, which gets every call")
    names, parts, others = _parts(run, np.array(list(shares.values())), most)
    figure = new_figure(7.6, 1.2 + max(0.3 * len(shares), 0.2 * len(names)))
    axes = figure.subplots()
    plain_axes(axes, grid="x")
    _draw_bars(axes, names, parts, grey_last=others)
    axes.set_yticks(range(len(shares)), [shown_name(n) for n in shares])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of calls %")
    figure.legend(
        loc="outside right upper",
        fontsize=8,
        frameon=False,
        handlelength=1.0,
        title="model, by cost",
        title_fontsize=8.5,
    )
    say_what_is_left_out(figure, rows=(len(rows[:MOST_ROWS]), len(rows)))
    tops = [f"{n} calls {run.samples.models[int(s.argmax())]} for {s.max():.0%}" for n, s in shares.items()]
    return described(figure, f"Share of calls per model. Most often, {', '.join(tops[:8])} of the samples.")


def _parts(run: FinishedRun, shares: Array, most: int) -> tuple[list[str], Array, bool]:
    """Return the models with the most calls, by their cost, their shares in %, and whether all others come last together."""
    order = model_order(run)
    called = shares.sum(axis=0)
    kept = {int(i) for i in np.argsort(-called, kind="stable")[:most] if called[i] > 0}
    shown = [int(i) for i in order if int(i) in kept]
    names = [shown_name(run.samples.models[i], 24) for i in shown]
    parts = 100 * shares[:, shown]
    rest = 100 - parts.sum(axis=1)
    others = int((called > 0).sum()) - len(shown)
    if others:
        names, parts = [*names, f"{others} other models"], np.column_stack([parts, rest])
    return names, parts, others > 0


def _draw_bars(axes: Any, names: list[str], parts: Array, *, grey_last: bool) -> None:
    """Draw a bar of parts per row; the last part is that of all other models if ``grey_last``."""
    from matplotlib import colormaps, colors

    colours = colormaps["viridis_r"](np.linspace(0.05, 0.95, len(names)))
    if grey_last:
        colours[-1] = colors.to_rgba(GREY)
    starts = np.zeros(len(parts))
    for number, (name, part, colour) in enumerate(zip(names, parts.T, colours, strict=True), start=1):
        outline = {"edgecolor": "black", "linewidth": 0.4}
        axes.barh(range(len(parts)), part, left=starts, color=colour, height=0.72, label=f"{number}  {name}", **outline)
        _number_parts(axes, number, starts, part, ink_on(colour))
        starts = starts + part


def _number_parts(axes: Any, number: int, starts: Array, part: Array, ink: str) -> None:
    for row, (start, width) in enumerate(zip(starts, part, strict=True)):
        if width >= 100 * LEAST_NUMBERED:
            text = axes.text(start + width / 2, row, str(number), ha="center", va="center", fontsize=7.5, color=ink)
            text.set_in_layout(False)
