"""Which point of a sweep stands for its router."""

from __future__ import annotations

from pathlib import Path

import attrs

from vlrb.api.results import CellInfo, CellResult, MetricInfo
from vlrb.api.routing import MetricValue, Undefined
from vlrb.running.results import select_winners

METRICS = (
    MetricInfo("cost", "", False, ""),
    MetricInfo("accuracy", "", True, ""),
    MetricInfo("rank-score", "", True, ""),
)


def cell(x: int, seed: int = 1, **values: MetricValue) -> CellResult:
    """Return a finished cell of the point x with these values on dev."""
    info = CellInfo("k", "a", "p/a", {}, seed, None, "p", "d 1", "", {"x": x})
    numbers = {"cost": 1.0, "accuracy": 0.5, "rank-score": 0.5, **{k.replace("_", "-"): v for k, v in values.items()}}
    return CellResult(info, "done", False, Path(), {"dev": {"overall": numbers}})


def won(*cells: CellResult, by: str = "rank-score") -> dict[str, tuple[str, str]]:
    """Return the winners on dev."""
    return select_winners(cells, METRICS, by, "dev")


def test_the_best_mean_over_the_seeds_wins_and_ties_go_to_the_first() -> None:
    """One lucky seed does not decide; smaller wins where smaller is better."""
    lucky = [
        cell(1, 1, rank_score=0.9),
        cell(1, 2, rank_score=0.1),
        cell(2, 1, rank_score=0.6),
        cell(2, 2, rank_score=0.6),
    ]

    assert won(*lucky) == {"a": ("x=2", "rank-score")}
    assert won(cell(1, cost=1.0), cell(2, cost=0.5), by="cost") == {"a": ("x=2", "cost")}
    assert won(cell(3), cell(2), cell(1)) == {"a": ("x=3", "rank-score")}


def test_a_point_without_a_value_loses_to_any_that_has_one() -> None:
    """Undefined is not 0, and not the best either."""
    assert won(cell(1, rank_score=Undefined("none")), cell(2, rank_score=0.0)) == {"a": ("x=2", "rank-score")}
    gap = [cell(1, 1, rank_score=0.9), cell(1, 2, rank_score=Undefined("none")), cell(2, 1), cell(2, 2)]
    assert won(*gap) == {"a": ("x=2", "rank-score")}


def test_where_no_point_has_a_value_the_next_metric_decides() -> None:
    """In the order of the metrics: here the cost, then the accuracy; a sweep whose points finished has a winner."""
    free = {"rank_score": Undefined("a model costs nothing")}

    assert won(cell(1, cost=2.0, **free), cell(2, cost=1.0, **free)) == {"a": ("x=2", "cost")}
    nothing = {**free, "cost": Undefined("unknown")}
    assert won(cell(1, accuracy=0.1, **nothing), cell(2, accuracy=0.2, **nothing)) == {"a": ("x=2", "accuracy")}


def test_a_point_with_a_failed_cell_cannot_win() -> None:
    """And where every point has one, there is no winner."""
    failed = attrs.evolve(cell(1, 2), status="failed", scores={})

    assert won(cell(1, 1, rank_score=0.9), failed, cell(2, 1, rank_score=0.1), cell(2, 2, rank_score=0.1)) == {
        "a": ("x=2", "rank-score")
    }
    assert won(failed, attrs.evolve(failed, cell=attrs.evolve(failed.cell, point={"x": 2}))) == {}


def test_the_place_of_a_point_does_not_matter() -> None:
    """The best wins first, last or in the middle."""
    for best in (1, 2, 3):
        cells = [cell(x, rank_score=0.9 if x == best else 0.1 * x) for x in (1, 2, 3)]
        assert won(*cells) == {"a": (f"x={best}", "rank-score")}


def test_a_router_without_a_sweep_stands_for_itself() -> None:
    """Whatever became of its cells: there is nothing to choose from, and the selection metric is named."""
    nothing = {"rank_score": Undefined("free"), "cost": Undefined("unknown"), "accuracy": Undefined("none")}
    failed = attrs.evolve(cell(1, 2), status="failed", scores={})

    for cells in ([cell(1)], [cell(1, **nothing)], [cell(1, 1), failed], [failed]):
        assert won(*cells) == {"a": ("x=1", "rank-score")}


def test_each_router_has_a_winner_of_its_own() -> None:
    """Points of one router are not compared with those of another, and only the split that was asked for counts."""
    cells = [cell(1, rank_score=0.5), cell(2, rank_score=0.4)]
    better = [cell(1, rank_score=0.8), cell(2, rank_score=0.9)]
    other = [attrs.evolve(c, cell=attrs.evolve(c.cell, label="b")) for c in better]
    both = [attrs.evolve(c, scores={**c.scores, "test": better[i].scores["dev"]}) for i, c in enumerate(cells)]

    assert won(*cells, *other) == {"a": ("x=1", "rank-score"), "b": ("x=2", "rank-score")}
    assert won(*both) == {"a": ("x=1", "rank-score")}
    assert select_winners(both, METRICS, "rank-score", "test") == {"a": ("x=2", "rank-score")}
