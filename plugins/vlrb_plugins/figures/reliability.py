"""The figure ``reliability``: estimated against observed accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np

from vlrb import Array, FinishedRun, NoParams, Undefined
from vlrb_plugins.figures.style import (
    GREY,
    described,
    legend_name,
    listed,
    look,
    new_figure,
    plain_axes,
    say_what_is_left_out,
)
from vlrb_plugins.figures.values import estimated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS, MOST_ROUTERS = 10, 7


@attrs.frozen(eq=False)
class Bins:
    """Mean estimate, share that is right and number of samples in each bin; ``gap`` is their mean absolute difference."""

    estimate: Array
    observed: Array
    counts: Array

    @property
    def gap(self) -> float:
        """Return the mean of |estimate - observed| over the samples, by bins."""
        return float((np.abs(self.estimate - self.observed) * self.counts).sum() / self.counts.sum())


def draw_reliability(_: NoParams) -> Callable[[FinishedRun], Figure | Undefined]:
    """Return the function that draws the figure."""
    return _draw


def _draw(run: FinishedRun) -> Figure | Undefined:
    found: dict[str, Bins] = {}
    for router in run.result.routers:
        pairs = list(estimated(run.chosen(router.label), run.samples.quality))
        if pairs:
            found[router.label] = binned(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
    if not found:
        return Undefined("no router estimates how likely a model is to be right")
    estimating = len(found)
    found = dict(list(found.items())[:MOST_ROUTERS])
    figure = new_figure(6.2, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axes in (above, below):
        plain_axes(axes)
    above.plot([0, 100], [0, 100], linestyle=(0, (4, 3)), color=GREY, linewidth=1.0)
    for number, (name, bins) in enumerate(found.items()):
        style = look(number)
        text = f"{legend_name(name)} (mean gap {100 * bins.gap:.1f} points)"
        above.plot(100 * bins.estimate, 100 * bins.observed, **style, markersize=6, linewidth=1.4, label=text)
        below.plot(100 * bins.estimate, bins.counts, **style, markersize=4, linewidth=1.2)
    above.set(xlim=(-2, 102), ylim=(-2, 102), ylabel="observed accuracy %")
    figure.legend(loc="outside upper left", fontsize=8.5, frameon=False)
    below.set(xlabel="estimated probability of being right, in %", ylabel="samples")
    below.set_ylim(bottom=0)
    say_what_is_left_out(figure, routers=(len(found), estimating))
    gaps = listed(f"{name} {100 * b.gap:.1f}" for name, b in found.items())
    return described(figure, f"Estimated against observed accuracy in ten bins. Mean gaps in points: {gaps}.")


def binned(estimate: Array, right: Array) -> Bins:
    """Return the bins of equal width that hold samples."""
    places = np.minimum((estimate * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    held = counts > 0
    sums = [np.bincount(places, weights=w, minlength=BINS)[held] for w in (estimate, right.astype(float))]
    return Bins(sums[0] / counts[held], sums[1] / counts[held], counts[held])
