"""The figure ``heatmap``: accuracy by dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vlrb import Array, FinishedRun, Undefined
from vlrb_plugins.figures.params import ModelsParams
from vlrb_plugins.figures.style import described, ink_on, new_figure, say_what_is_left_out, shown_name
from vlrb_plugins.figures.values import dataset_accuracies, model_means, rows_of, tested_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS, MOST_COLUMNS = 40, 30


def draw_heatmap(params: ModelsParams) -> Callable[[FinishedRun], Figure | Undefined]:
    """Return the function that draws the figure."""
    return lambda run: _draw(run, params.models)


def _draw(run: FinishedRun, most_models: int) -> Figure | Undefined:
    tested = _tested_datasets(run)
    datasets = tested[:MOST_COLUMNS]
    if not datasets:
        return Undefined("no dataset has samples in test")
    blocks = _blocks(run, datasets, most_models)
    blocks = [b for b in blocks if b[0] and np.isfinite(b[1]).any()]
    if not blocks:
        return Undefined("no router, reference point or model has an accuracy")
    names = [name for block, _ in blocks for name in block]
    figure = new_figure(max(4.6, 2.9 + 0.56 * len(datasets)), 1.6 + 0.27 * (len(names) + len(blocks)))
    sizes = [len(block) for block, _ in blocks]
    panels = figure.subplots(len(blocks), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
    values = np.concatenate([v for _, v in blocks])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    for axes, (block, matrix) in zip(panels, blocks, strict=True):
        _draw_block(axes, block, matrix, (low, high if high > low else low + 1))
    panels[0].set_xticks(range(len(datasets)), [shown_name(d, 20) for d in datasets], rotation=45, ha="left")
    panels[0].tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    for label in panels[0].get_xticklabels():
        label.set_rotation_mode("anchor")
    _say_what_is_cut(figure, run, most_models, len(tested))
    return described(
        figure,
        f"Accuracy of {len(names)} routers, reference points and single models on {len(datasets)} datasets: from {low:.0f} % "
        f"to {high:.0f} %. The numbers stand in the cells.",
    )


def _say_what_is_cut(figure: Figure, run: FinishedRun, most_models: int, datasets: int) -> None:
    routers, models = sum(r.kind == "router" for r in rows_of(run)), len(run.samples.models)
    say_what_is_left_out(
        figure,
        routers=(min(routers, MOST_ROWS), routers),
        models=(min(models, most_models), models),
        datasets=(min(datasets, MOST_COLUMNS), datasets),
    )


def _tested_datasets(run: FinishedRun) -> list[str]:
    tested = {str(d) for rows in tested_rows(run) for d in np.unique(run.samples.datasets[rows])}
    return [d for d in run.result.run.benchmark.datasets if d in tested]


def _blocks(run: FinishedRun, datasets: list[str], most_models: int) -> list[tuple[list[str], Array]]:
    """Return names and accuracies in %, rows by datasets, of routers, reference points and the most accurate models."""
    samples, shown = run.samples, rows_of(run)
    inside = {d: samples.datasets == d for d in datasets}
    blocks = []
    for kind in ("router", "reference"):
        rows = [r for r in shown if r.kind == kind][:MOST_ROWS]
        matrix = np.array([dataset_accuracies(run, r.name, datasets) for r in rows]).reshape(-1, len(datasets))
        blocks.append(([r.name for r in rows], 100 * matrix))
    models = np.column_stack([model_means(run, samples.quality, inside[d]) for d in datasets])
    best = np.argsort(-model_means(run, samples.quality), kind="stable")[:most_models]
    blocks.append(([samples.models[i] for i in best], 100 * models[best]))
    return blocks


def _draw_block(axes: Any, names: list[str], matrix: Array, scale: tuple[float, float]) -> None:
    image = axes.imshow(matrix, aspect="auto", cmap="cividis", vmin=scale[0], vmax=scale[1])
    axes.set_yticks(range(len(names)), [shown_name(n) for n in names])
    axes.tick_params(length=0, labelsize=8.5)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for (i, j), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            ink = ink_on(image.to_rgba(value))
            number = axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color=ink)
            number.set_in_layout(False)
