"""The leaderboard: order, means and marks."""

from __future__ import annotations

import attrs
import pytest
from finished import finished_run, seeded_cell

from vlrb.api.results import RunResult
from vlrb.api.routing import Undefined
from vlrb.running.leaderboard import leaderboard


@pytest.fixture
def result() -> RunResult:
    return finished_run()


def test_the_best_by_the_selection_metric_comes_first(result: RunResult) -> None:
    """Rows are ordered by it, seeds averaged; then those where it is undefined, by the next metric; failed rows last."""
    board = leaderboard(result)

    assert [r.name for r in board.rows] == ["oracle", "good", "middling", "costless", "broken"]
    middling = dict(zip(board.headings, board.rows[2].cells, strict=True))
    assert (middling["accuracy"].value, middling["accuracy"].deviation) == pytest.approx((0.6, 0.02**0.5))
    assert board.rows[4].note == "1 of 1 cells failed"


def test_a_qualified_selection_metric_orders_too(result: RunResult) -> None:
    """`metrics/rank-score` is `rank-score`."""
    run = attrs.evolve(result.run, experiment={"selection": {"metric": "metrics/rank-score", "on": "dev"}})

    assert [r.name for r in leaderboard(attrs.evolve(result, run=run)).rows][:2] == ["oracle", "good"]


def test_what_a_fit_chose_stands_in_the_note(result: RunResult) -> None:
    """One value where all seeds agree, one per seed where they differ."""
    chosen = [{"lambda": 30.0, "shrinkage": "half"}, {"lambda": "inf", "shrinkage": "half"}]
    cells = tuple(attrs.evolve(seeded_cell("good", s, 0.8, 0.7), chosen=c) for s, c in enumerate(chosen))
    board = leaderboard(attrs.evolve(result, cells=cells))

    assert next(r.note for r in board.rows if r.name == "good") == "chose lambda=30 / inf, shrinkage=half"


def test_a_sweep_says_which_metric_decided_instead(result: RunResult) -> None:
    """Where the selection metric has no value at any point."""
    points = [seeded_cell("swept", 1, a, Undefined("free")) for a in (0.5, 0.6)]
    cells = tuple(attrs.evolve(c, cell=attrs.evolve(c.cell, point={"x": i})) for i, c in enumerate(points))
    board = leaderboard(attrs.evolve(result, cells=cells, winners={"swept": "x=1"}, decided_by={"swept": "accuracy"}))

    assert next(r.note for r in board.rows if r.name == "swept") == "x=1, best of 2 on dev by accuracy"
    assert board.sweeps[0].title == "sweep of swept: dev, by accuracy"
    assert [r.note for r in board.sweeps[0].rows] == ["", "chosen"]
