"""The leaderboard: order, means, and what a narrow terminal shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from vlrb.api.results import (
    BenchmarkInfo,
    CellInfo,
    CellResult,
    MetricInfo,
    ReferenceResult,
    RunInfo,
    RunResult,
    SplitInfo,
)
from vlrb.api.routing import CostBounds, Undefined
from vlrb.cli import show
from vlrb.running.leaderboard import Cell, leaderboard


def cell(label: str, seed: int, accuracy: Any, rank: Any, error: str = "") -> CellResult:
    info = CellInfo("key", label, f"p/{label}", {}, seed, None, "p", "d 1", "")
    scores = {s: {"overall": {"accuracy": accuracy, "rank-score": rank}} for s in ("dev", "test")}
    return CellResult(info, "failed" if error else "done", False, Path(), {} if error else scores, error)


@pytest.fixture
def result() -> RunResult:
    metrics = (MetricInfo("accuracy", "", True, ""), MetricInfo("rank-score", "", True, ""))
    benchmark = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {"answers without a verdict": 3}, 100)
    split = SplitInfo(
        use="splits/grouped",
        parameters={"seed": 42},
        made="seed 42",
        samples={"train": 7, "dev": 1, "test": 2},
        digest="3f2a" * 16,
        groups=6,
        grouped_by={"group": 4, "image": 5, "text": 1},
        group_also_in_train={"dev": 0, "test": 1},
    )
    experiment = {"selection": {"metric": "rank-score", "on": "dev"}}
    run = RunInfo(
        "r", "k", Path("r/1"), "strict", experiment, benchmark, split, CostBounds(1e-4, 1e-2), metrics, (), {}, {}
    )
    cells = (
        cell("middling", 1, 0.5, 0.5),
        cell("middling", 2, 0.7, 0.6),
        cell("broken", 1, 0, 0, "it broke"),
        cell("good", 1, 0.8, 0.7),
        cell("costless", 1, 0.9, Undefined("the mean cost is 0")),
    )
    oracle = ReferenceResult("oracle", "", {"test": {"overall": {"accuracy": 1.0, "rank-score": 0.9}}})
    return RunResult(run, cells, (oracle,), "", "")


def test_the_best_by_the_selection_metric_comes_first(result: RunResult) -> None:
    """Rows are ordered by it, seeds averaged; then those where it is undefined, by the next metric; failed rows last."""
    board = leaderboard(result)

    assert [r.name for r in board.rows] == ["oracle", "good", "middling", "costless", "broken"]
    middling = dict(zip(board.headings, board.rows[2].cells, strict=True))
    assert middling["accuracy"].text("accuracy") == "60.00 ± 14.14"
    assert board.rows[4].note == "1 of 1 cells failed"


def test_a_qualified_selection_metric_orders_too(result: RunResult) -> None:
    """`metrics/rank-score` is `rank-score`."""
    run = attrs.evolve(result.run, experiment={"selection": {"metric": "metrics/rank-score", "on": "dev"}})

    assert [r.name for r in leaderboard(attrs.evolve(result, run=run)).rows][:2] == ["oracle", "good"]


def test_the_notes_say_what_the_figures_are(result: RunResult) -> None:
    """Protocol, split, leaks, exclusions, errors, and why a value is undefined."""
    notes = "\n".join(leaderboard(result).notes)

    for text in (
        "protocol strict; split 3f2a3f2a3f2a, 6 groups by the logs' groups (4 samples), image (5 samples), text (1 samples), "
        "seed 42: train 7, dev 1, test 2",
        "1 test samples share an image or a group with a train sample",
        "left out or changed: 3 answers without a verdict",
        "broken-seed1 failed, see cells/broken-seed1/error.txt: it broke",
        "- in rank-score: the mean cost is 0",
    ):
        assert text in notes


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
def test_no_number_is_cut_on_a_narrow_terminal(
    result: RunResult, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole columns are left out from the right, and named; the name, the kind and the metric that orders are always there."""
    monkeypatch.setattr(show, "console", lambda: Console(width=width))
    show.print_leaderboard(result)
    table = capsys.readouterr().out

    assert "…" not in table
    squeezed = "".join(c for c in table if c not in " │\n")
    for text in ("oracle", "0.5500±0.0707", "0.7000", "router", "costless"):
        assert text in squeezed
    if "columns left out" in table:
        assert "accuracy %" in table.partition("columns left out")[2]
    else:
        assert "60.00 ± 14.14" in table


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_marks_are_on_every_terminal(
    result: RunResult, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The winning point, `chosen`, what a fit chose and what failed are shown at any width, in the table or below it."""
    points = tuple(
        attrs.evolve(c, cell=attrs.evolve(c.cell, point={"x": i}), chosen={"lambda": 30.0})
        for i, c in enumerate([cell("swept", 1, 0.5, 0.1), cell("swept", 1, 0.6, 0.2)])
    )
    monkeypatch.setattr(show, "console", lambda: Console(width=width))
    show.print_leaderboard(attrs.evolve(result, cells=(*result.cells, *points), winners={"swept": "x=1"}))
    shown = " ".join(capsys.readouterr().out.split())

    for text in ("x=1, best of 2 on dev; chose lambda=30", "1 of 1 cells failed", "chosen", "x=0", "reference"):
        assert text in shown


@pytest.mark.parametrize(
    ("value", "text"), [(-1e-12, "0.00000000"), (-0.0, "0.00"), (0.0, "0.00"), (-0.5, "-0.5000"), (math.inf, "inf")]
)
def test_zero_has_no_sign(value: float, text: str) -> None:
    """A value that rounds to zero is not shown as `-0.00000000`."""
    assert Cell(value).text("rank-score") == text


def test_labels_are_shown_as_they_are(result: RunResult, capsys: pytest.CaptureFixture[str]) -> None:
    """A label with square brackets is no markup."""
    odd = attrs.evolve(result, cells=(cell("c[bold]x", 1, 0.5, 0.5),))
    show.print_leaderboard(odd)

    assert "c[bold]x" in capsys.readouterr().out


def test_a_split_that_the_logs_give_is_called_so(result: RunResult) -> None:
    """No seed and no grouping are claimed where the logs say which samples are for what."""
    split = attrs.evolve(result.run.split, use="splits/given", made="as the logs give it", grouped_by={})
    notes = leaderboard(attrs.evolve(result, run=attrs.evolve(result.run, split=split))).notes

    assert any("split 3f2a3f2a3f2a, as the logs give it: train 7" in note for note in notes)
    assert not any("seed 42" in note or "by image" in note or "by text" in note for note in notes)


def test_a_split_is_said_to_be_grouped_only_by_what_grouped_it(result: RunResult) -> None:
    """Samples without images that the logs group are not called grouped by their text; sample-wise splits have no groups."""

    def said(**changes: Any) -> str:
        split = attrs.evolve(result.run.split, **changes)
        return "\n".join(leaderboard(attrs.evolve(result, run=attrs.evolve(result.run, split=split))).notes)

    assert "6 groups by the logs' groups, seed 42" in said(grouped_by={"group": 10})
    assert "text" not in said(grouped_by={"group": 10})
    assert "6 groups by text, texts of similarity 0.8, seed 42" in said(
        grouped_by={"text": 10}, made="texts of similarity 0.8, seed 42"
    )
    single = said(made="sample by sample, seed 42", grouped_by={})
    assert "sample by sample, seed 42" in single
    assert "groups" not in single.splitlines()[1]


def test_where_the_selection_metric_has_no_value_the_next_orders(result: RunResult) -> None:
    """A free model leaves every rank score undefined: rows are ordered by accuracy, and the cause and the way out are said."""
    free = Undefined("a candidate model costs nothing")
    cells = (cell("weak", 1, 0.1, free), cell("a-good-one", 1, 0.9, free), cell("middling", 1, 0.5, free))
    bounds = CostBounds(0.0, 1e-2, "train", ("gratis",))
    board = leaderboard(attrs.evolve(result, cells=cells, references=(), run=attrs.evolve(result.run, bounds=bounds)))
    notes = "\n".join(board.notes)

    assert [r.name for r in board.rows] == ["a-good-one", "middling", "weak"]
    assert "ordered by accuracy: rank-score has no value" in notes
    assert "models that cost nothing: gratis" in notes
    assert "[[model]]" in notes


def test_what_a_fit_chose_stands_in_the_note(result: RunResult) -> None:
    """One value where all seeds agree, one per seed where they differ."""
    chosen = [{"lambda": 30.0, "shrinkage": "half"}, {"lambda": "inf", "shrinkage": "half"}]
    cells = tuple(attrs.evolve(cell("good", s, 0.8, 0.7), chosen=c) for s, c in enumerate(chosen))
    board = leaderboard(attrs.evolve(result, cells=cells))

    assert next(r.note for r in board.rows if r.name == "good") == "chose lambda=30 / inf, shrinkage=half"


def test_a_sweep_says_which_metric_decided_instead(result: RunResult) -> None:
    """Where the selection metric has no value at any point."""
    points = [cell("swept", 1, a, Undefined("free")) for a in (0.5, 0.6)]
    cells = tuple(attrs.evolve(c, cell=attrs.evolve(c.cell, point={"x": i})) for i, c in enumerate(points))
    board = leaderboard(attrs.evolve(result, cells=cells, winners={"swept": "x=1"}, decided_by={"swept": "accuracy"}))

    assert next(r.note for r in board.rows if r.name == "swept") == "x=1, best of 2 on dev by accuracy"
    assert board.sweeps[0].title == "sweep of swept: dev, by accuracy"
    assert [r.note for r in board.sweeps[0].rows] == ["", "chosen"]
