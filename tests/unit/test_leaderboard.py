"""The leaderboard: order, means, and what a narrow terminal shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from vlrb.cli import show
from vlrb.leaderboard import leaderboard
from vlrb.types import (
    BenchmarkInfo,
    CellInfo,
    CellResult,
    CostBounds,
    MetricInfo,
    ReferenceResult,
    RunInfo,
    RunResult,
    Undefined,
)


def cell(label: str, seed: int, accuracy: Any, rank: Any, error: str = "") -> CellResult:
    info = CellInfo("key", label, f"p/{label}", {}, seed, None, "p", "d 1", "")
    scores = {s: {"overall": {"accuracy": accuracy, "rank-score": rank}} for s in ("dev", "test")}
    return CellResult(info, "failed" if error else "done", False, Path(), {} if error else scores, error)


@pytest.fixture
def result() -> RunResult:
    metrics = (MetricInfo("accuracy", "", True, ""), MetricInfo("rank-score", "", True, ""))
    benchmark = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {"answers without a verdict": 3}, 100)
    split = {
        "samples": {"train": 7, "dev": 1, "test": 2},
        "method": "stratified",
        "group_by": "image",
        "seed": 42,
        "samples_without_images": 2,
        "group_also_in_train": {"dev": 0, "test": 1},
    }
    experiment = {"select_by": "rank-score"}
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
    """Rows are ordered by it, seeds averaged, undefined and failed rows last."""
    board = leaderboard(result)

    assert [r.name for r in board.rows] == ["oracle", "good", "middling", "broken", "costless"]
    middling = dict(zip(board.headings, board.rows[2].cells, strict=True))
    assert middling["accuracy"].text("accuracy") == "60.00 ± 14.14"
    assert board.rows[3].note == "1 of 1 cells failed"


def test_a_qualified_selection_metric_orders_too(result: RunResult) -> None:
    """`metrics/rank-score` is `rank-score`."""
    run = attrs.evolve(result.run, experiment={"select_by": "metrics/rank-score"})

    assert [r.name for r in leaderboard(attrs.evolve(result, run=run)).rows][:2] == ["oracle", "good"]


def test_the_notes_say_what_the_figures_are(result: RunResult) -> None:
    """Protocol, split, leaks, exclusions, errors, and why a value is undefined."""
    notes = "\n".join(leaderboard(result).notes)

    for text in (
        "protocol strict; split by image, seed 42: train 7, dev 1, test 2",
        "1 test samples share an image or a group with a train sample",
        "2 samples have no image and were grouped by their text",
        "left out or changed: 3 answers without a verdict",
        "broken-seed1 failed, see cells/broken-seed1/error.txt: it broke",
        "- in rank-score: the mean cost is 0",
    ):
        assert text in notes


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_number_is_cut_on_a_narrow_terminal(
    result: RunResult, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns are left out before a value is."""
    monkeypatch.setattr(show, "console", lambda: Console(width=width))
    show.print_leaderboard(result)
    table = capsys.readouterr().out

    assert "…" not in table.replace("requests/…", "")
    for text in ("oracle", "60.00 ± 14.14", "0.7000"):
        assert text in table


def test_labels_are_shown_as_they_are(result: RunResult, capsys: pytest.CaptureFixture[str]) -> None:
    """A label with square brackets is no markup."""
    odd = attrs.evolve(result, cells=(cell("c[bold]x", 1, 0.5, 0.5),))
    show.print_leaderboard(odd)

    assert "c[bold]x" in capsys.readouterr().out


def test_a_split_that_the_logs_give_is_called_so(result: RunResult) -> None:
    """No seed and no grouping are claimed where the logs say which samples are for what."""
    split = {**result.run.split, "method": "given", "group_by": "sample"}
    notes = leaderboard(attrs.evolve(result, run=attrs.evolve(result.run, split=split))).notes

    assert any("split as the logs give it: train 7" in note for note in notes)
    assert not any("seed 42" in note or "grouped by their text" in note for note in notes)
