"""What a terminal shows of the leaderboard."""

from __future__ import annotations

import attrs
import pytest
from finished import finished_run, seeded_cell, with_cells
from rich.console import Console

from vlrb import FinishedRun, NoParams, RunResult
from vlrb_plugins.reports.board import LeaderboardReport
from vlrb_plugins.shared import text_table


def text(result: RunResult) -> str:
    return LeaderboardReport(NoParams()).text(FinishedRun(result))


@pytest.fixture
def result() -> RunResult:
    return finished_run()


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
def test_no_number_is_cut_on_a_narrow_terminal(result: RunResult, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole columns are left out from the right, and named; the name, the kind and the metric that orders are always there."""
    monkeypatch.setattr(text_table, "console", lambda: Console(width=width))
    table = text(result)

    assert "…" not in table
    squeezed = "".join(c for c in table if c not in " │\n")
    for mark in ("oracle", "0.5500±0.0707", "0.7000", "router", "costless"):
        assert mark in squeezed
    if "columns left out" in table:
        assert "accuracy %" in table.partition("columns left out")[2]
    else:
        assert "60.00 ± 14.14" in table


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_marks_are_on_every_terminal(result: RunResult, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winning point, `chosen`, what a fit chose and what failed are shown at any width, in the table or below it."""
    points = tuple(
        attrs.evolve(c, cell=attrs.evolve(c.cell, point={"x": i}), chosen={"lambda": 30.0})
        for i, c in enumerate([seeded_cell("swept", 1, 0.5, 0.1), seeded_cell("swept", 1, 0.6, 0.2)])
    )
    monkeypatch.setattr(text_table, "console", lambda: Console(width=width))
    swept = with_cells(result, *result.cells, *points, winners={"swept": "x=1"})
    shown = " ".join(text(swept).split())

    for mark in ("x=1, best of 2 on dev; chose lambda=30", "1 of 1 cells failed", "chosen", "x=0", "reference"):
        assert mark in shown


def test_labels_are_shown_as_they_are(result: RunResult) -> None:
    """A label with square brackets is no markup."""
    odd = with_cells(result, seeded_cell("c[bold]x", 1, 0.5, 0.5))

    assert "c[bold]x" in text(odd)
