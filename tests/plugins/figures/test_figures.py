"""The bundled figures: what they show of a run, and that they can be read."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_run import Made, made_run
from split_runs import FOLDS, SWEPT, run_splits

from vlrb import FinishedRun, Undefined
from vlrb_plugins.figures.labels import Label, place_labels
from vlrb_plugins.figures.reliability import binned
from vlrb_plugins.figures.style import COLOURS, GREY, MARKERS, ink_on, look, new_figure, shown_name
from vlrb_plugins.figures.values import (
    call_shares,
    dataset_accuracies,
    model_means,
    non_dominated,
    rows_of,
    swept_lines,
)

FIGURES = ("pareto", "heatmap", "calls", "sweeps", "reliability")
HOSTILE = ("<b>$x$ & \\frac{", "דגם 模型", "a\x1b[31m\udcff\n", "x" * 300)


def made(folder: Path, **what: Any) -> FinishedRun:
    return made_run(folder, Made(**what))


def texts_of(figure: Any) -> list[str]:
    """Return all texts of a figure, legends and ticks included."""
    figure.draw_without_rendering()
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")) if t.get_text()]


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of the tiny logs with folds, seeds and a sweep."""
    run = run_splits(tmp_path_factory.mktemp("folds"), SWEPT, FOLDS, "seeds = [1, 2]")
    return FinishedRun.read(run.files, run.context.places.cache, run.context.plan.registry)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_a_run_with_folds_seeds_and_a_sweep(folds: FinishedRun, name: str) -> None:
    """As a real run leaves it; each says in words what it shows."""
    figure = folds.figure(name)

    assert figure.get_label()
    assert texts_of(figure)


def test_values_are_those_of_the_leaderboard(folds: FinishedRun) -> None:
    """Accuracies by dataset come from the choices; weighted by samples they give the accuracy overall, over folds and seeds."""
    names = list(folds.result.run.benchmark.datasets)
    sizes = np.array([(folds.samples.datasets == name).sum() for name in names])
    for row in rows_of(folds):
        accuracies = dataset_accuracies(folds, row.name, names)
        assert (accuracies * sizes).sum() / sizes.sum() == pytest.approx(row.value("accuracy"), abs=1e-12)


def test_the_best_single_model_is_among_the_models(folds: FinishedRun) -> None:
    """Means of single models are over the same rows as those of reference points; that one chooses alike on all folds here."""
    (single,) = (r for r in rows_of(folds) if r.name == "best-single")

    assert single.value("accuracy") in model_means(folds, folds.samples.quality).tolist()


def test_shares_of_calls(tmp_path: Path) -> None:
    """They sum up to one over all choices; without any choice there are none."""
    run = made(tmp_path)
    shares = call_shares(run.chosen("good"), 3)

    assert shares is not None
    assert shares.sum() == pytest.approx(1)
    assert shares.tolist() == [float((run.chosen("good")[0].choices == j).mean()) for j in range(3)]
    assert call_shares((), 3) is None


def test_non_dominated_models() -> None:
    """One that costs more and is right less often is beaten; of equal costs the more accurate one stays."""
    cost, accuracy = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([0.3, 0.5, 0.6, 0.4, 0.7])

    assert non_dominated(cost, accuracy).tolist() == [0, 2, 4]


def test_bins_of_estimates() -> None:
    """Counts, means and shares by hand; the gap weighs bins by their samples."""
    bins = binned(np.array([0.05, 0.95, 1.0, 0.91]), np.array([False, True, True, False]))

    assert bins.counts.tolist() == [1, 3]
    assert bins.observed.tolist() == pytest.approx([0, 2 / 3])
    assert bins.gap == pytest.approx((0.05 + 3 * (2.86 / 3 - 2 / 3)) / 4)


def test_lines_of_a_sweep_follow_the_number_with_most_values() -> None:
    """Infinity comes last, also as results.json holds it; the other parameter makes lines of its own."""
    points = [({"lambda": value, "c": c}, value) for c in (1, 2) for value in ("inf", 0, 10.0)]
    along, ticks, lines = swept_lines(points)

    assert (along, ticks) == ("lambda", [0, 10.0, "inf"])
    assert lines == {f"c = {c}": [(0, 0), (1, 10.0), (2, "inf")] for c in (1, 2)}


def test_texts_in_a_sweep_keep_their_order() -> None:
    """What are not numbers stand as the experiment names them."""
    assert swept_lines([({"rule": r}, r) for r in ("wins", "majority")])[1] == ["wins", "majority"]


@pytest.mark.parametrize(
    ("what", "missing"),
    [
        ({"models": ("only",), "routers": ("solo",), "swept": False}, {"calls", "sweeps"}),
        ({"estimates": False}, {"reliability"}),
        ({"failed": True}, {"sweeps", "reliability"}),
        ({"undefined": True}, {"pareto", "sweeps"}),
        ({"free": 1}, set()),
        ({"free": 3}, set()),
    ],
)
def test_where_there_is_nothing_to_draw_a_reason_says_so(
    tmp_path: Path, what: dict[str, Any], missing: set[str]
) -> None:
    """One model, no estimates, failed cells, undefined metrics, models that cost nothing: a figure, or why there is none."""
    run = made(tmp_path, **what)
    drawn = {name: run.figure(name) for name in FIGURES}

    assert {name for name, figure in drawn.items() if isinstance(figure, Undefined)} == missing
    assert all(drawn[name].reason for name in missing)
    for name in set(FIGURES) - missing:
        texts_of(drawn[name])


def test_500_models_and_60_routers_are_cut_to_what_can_be_read(tmp_path: Path) -> None:
    """The most accurate models and the best routers stay; the others' calls are summed up."""
    names = [f"model-{i}" for i in range(500)]
    run = made(tmp_path, models=names, routers=[f"r{i}" for i in range(60)], samples=200)
    calls, heat = (texts_of(run.figure(name)) for name in ("calls", "heatmap"))

    assert any("other models" in text for text in calls)
    assert len({text for text in heat if text.startswith("model-")}) == 20
    assert len(run.figure("calls").axes[0].get_yticks()) == 40
    assert "shown: 40 of 62 rows" in calls
    assert "shown: 40 of 60 routers, 20 of 500 models" in heat
    assert "shown: 7 of 60 routers" in texts_of(reliability := run.figure("reliability"))
    assert reliability.get_label().endswith("shown: 7 of 60 routers")


def test_any_name_is_shown_as_it_is(tmp_path: Path) -> None:
    """Markup, dollars that matplotlib would take for formulas, control characters, scripts that its font lacks, 300 characters."""
    models, routers = [f"{name}m" for name in HOSTILE[:2]] + ["x" * 300], [f"{name}r" for name in HOSTILE]
    run = made(tmp_path, models=models, routers=routers, datasets=HOSTILE[:2])
    for name in FIGURES:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*[Gg]lyph")
            run.figure(name).savefig(io.StringIO(), format="svg")

    assert shown_name("a\x1b$b") == r"a\x1b\$b"
    assert len(shown_name("x" * 300)) == 28


def test_a_legend_has_names_with_an_underscore_too(tmp_path: Path) -> None:
    """matplotlib would leave them out."""
    texts = texts_of(made(tmp_path, routers=("_mine", "other")).figure("reliability"))

    assert any(text.startswith(" _mine (mean gap") for text in texts)


@pytest.mark.parametrize("paper", ["#ffffff", "#12161c"])
def test_colours_can_be_seen_on_the_light_and_the_dark_page(paper: str) -> None:
    """WCAG's 3 : 1 for graphics."""
    for colour in (*COLOURS, GREY):
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_numbers_can_be_read_on_every_colour_of_a_map(name: str) -> None:
    """WCAG AA, 4.5 : 1; neither black nor white, which a page would turn into the colour of its text or leave out."""
    from matplotlib import colormaps, colors

    for colour in colormaps[name](np.linspace(0, 1, 256)):
        ground, ink = colors.to_hex(colour), ink_on(colour)
        light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, ground
        assert ink not in ("#000000", "#ffffff")


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_series_differ_by_marker_as_well_as_by_colour() -> None:
    """So many that none looks like another one, and neighbours differ in both."""
    looks = [tuple(look(n).values()) for n in range(len(COLOURS) * len(MARKERS))]

    assert len(set(looks)) == len(looks)
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in itertools.pairwise(looks))


def test_labels_cover_neither_each_other_nor_a_point() -> None:
    """Where there is no room, the less important one is left out."""
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(axes, [Label(0.5, 0.5, f"label {n}") for n in range(60)], [(0.5, 0.5, 0.5, 0.5)])
    texts = [t.get_text() for t in axes.texts]

    assert texts[0] == "label 0"
    assert 3 < len(texts) < 20
    assert texts == [f"label {n}" for n in range(len(texts))]


def test_plugins_with_figures_load_without_matplotlib() -> None:
    """Nor does a run import it before the report draws."""
    code = "import sys, vlrb_plugins.figures, vlrb_plugins.reports; print('matplotlib' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "False"


def test_the_metric_of_sweeps_can_be_chosen(tmp_path: Path) -> None:
    """By its name; an unknown one is a reason that lists those of the run."""
    run = made(tmp_path)

    assert run.figure("sweeps", metric="accuracy").axes[0].get_ylabel() == "accuracy"
    assert re.search("accuracy.*rank-score", run.figure("sweeps", metric="acuracy").reason)
