"""The leaderboard: order, means and marks, which values stand where, and what is said of them."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from finished import (
    cell,
    failed,
    finished_run,
    reference,
    result_of,
    seeded_cell,
    selecting,
    statistics_of,
    with_cells,
)

from vlrb.api.results import CellResult, RunResult
from vlrb.api.routing import Undefined
from vlrb.api.statistics import Difference, Interval, RowStatistics
from vlrb.running.leaderboard import Leaderboard, TableCell, leaderboard


@pytest.fixture
def result() -> RunResult:
    return finished_run()


def test_the_best_by_the_selection_metric_comes_first(result: RunResult) -> None:
    """Rows are ordered by it, seeds averaged; then those where it is undefined, by the next metric; failed rows last."""
    board = leaderboard(result)

    assert [r.name for r in board.rows] == ["oracle", "good", "middling", "costless", "broken"]
    middling = dict(zip(board.headings, board.rows[2].cells, strict=True))
    assert (middling["accuracy"].value, middling["accuracy"].over_seeds) == pytest.approx((0.6, 0.02**0.5))
    assert board.rows[4].note == "1 of 1 cells failed"


def test_a_qualified_selection_metric_orders_too(result: RunResult) -> None:
    """`metrics/rank-score` is `rank-score`."""
    run = attrs.evolve(result.run, experiment=selecting("metrics/rank-score"))

    assert [r.name for r in leaderboard(attrs.evolve(result, run=run)).rows][:2] == ["oracle", "good"]


def test_what_a_fit_chose_stands_in_the_note(result: RunResult) -> None:
    """One value where all seeds agree, one per seed where they differ."""
    chosen = [{"lambda": 30.0, "shrinkage": "half"}, {"lambda": "inf", "shrinkage": "half"}]
    cells = tuple(attrs.evolve(seeded_cell("good", s, 0.8, 0.7), chosen=c) for s, c in enumerate(chosen))
    board = leaderboard(with_cells(result, *cells))

    assert next(r.note for r in board.rows if r.name == "good") == "chose lambda=30 / inf, shrinkage=half"


def test_a_sweep_says_which_metric_decided_instead(result: RunResult) -> None:
    """Where the selection metric has no value at any point."""
    points = [seeded_cell("swept", 1, a, Undefined("free")) for a in (0.5, 0.6)]
    cells = tuple(attrs.evolve(c, cell=attrs.evolve(c.cell, point={"x": i})) for i, c in enumerate(points))
    board = leaderboard(with_cells(result, *cells, winners={"swept": "x=1"}, decided_by={"swept": "accuracy"}))

    assert next(r.note for r in board.rows if r.name == "swept") == "x=1, best of 2 on dev by accuracy"
    assert board.sweeps[0].title == "sweep of swept: dev, by accuracy"
    assert [r.note for r in board.sweeps[0].rows] == ["", "chosen"]


def board(*cells: CellResult, **more: Any) -> Leaderboard:
    """Return the leaderboard of some cells."""
    return leaderboard(result_of(*cells, **more))


def names(found: Leaderboard) -> list[str]:
    return [r.name for r in found.rows]


def test_smaller_costs_come_first() -> None:
    """Rows are ordered by the selection metric in its own direction; ties go to the next column, then to the name."""
    cells = [cell("dear", average_cost=2.0, accuracy=0.9), cell("cheap", average_cost=1.0, accuracy=0.1)]
    by_cost = {"metrics": ("average-cost", "accuracy"), "experiment": selecting("average-cost")}
    assert names(board(*cells, **by_cost)) == ["cheap", "dear"]
    assert names(board(*cells, **{**by_cost, "experiment": selecting("accuracy")})) == ["dear", "cheap"]

    tied = [cell("b", rank_score=0.5, accuracy=0.1), cell("a", rank_score=0.5, accuracy=0.1)]
    better = cell("c", rank_score=0.5, accuracy=0.2)
    assert names(board(*tied, better)) == ["c", "a", "b"]
    point = reference("a-point", overall={"rank-score": 0.5, "accuracy": 0.1})
    assert names(board(*tied, references=(point,))) == ["a-point", "a", "b"]


def test_columns_begin_with_the_selection_metric() -> None:
    """Then come accuracy and cost, the difference from the baseline, the other known ones, and the run's own; each once."""
    values = {"own": 0.1, "accuracy": 0.2, "rank_score": 0.3, "cost_per_10k": 4.0}
    metrics = ("own", "rank-score", "cost-per-10k", "accuracy")

    headings = board(cell("a", **values), metrics=metrics).headings
    assert headings == ("rank-score", "accuracy", "cost-per-10k", "vs best-single", "own")
    own = board(cell("a", **values), metrics=metrics, experiment=selecting("p/own"))
    assert own.headings == ("own", "accuracy", "cost-per-10k", "vs best-single", "rank-score")
    assert [c.value for c in (*own.rows[0].cells[:3], own.rows[0].cells[4])] == [0.1, 0.2, 4.0, 0.3]


def test_task_groups_have_a_column_each() -> None:
    """In the benchmark's order, by their titles; a single group is that of all samples, and has none."""
    one = {"accuracy": 0.5, "rank-score": 0.5}
    scopes = {g: {"accuracy": 0.1 * i} for i, g in enumerate(("zoo", "art", "charts_ocr", "stem", "general"))}
    titles = {"stem": "STEM", "charts-ocr": "Charts & OCR", "zoo": "zoo", "none": "tested on nothing", "art": "art"}
    groups = {"benchmark": {"task_groups": titles}}
    found = board(references=(reference("o", overall=one, **scopes),), **groups)

    assert found.headings[3:] == tuple(f"accuracy {g}" for g in ("STEM", "Charts & OCR", "zoo", "art"))
    assert [c.value for c in found.rows[0].cells[3:]] == pytest.approx([0.3, 0.2, 0.0, 0.1])
    single = board(references=(reference("o", overall=one, stem={"accuracy": 0.3}),), **groups)
    assert single.headings == ("rank-score", "accuracy", "vs best-single")
    without = board(
        references=(reference("o", overall={"rank-score": 0.5}, **scopes),), metrics=("rank-score",), **groups
    )
    assert without.headings == ("rank-score", "vs best-single")


def test_values_are_those_on_test() -> None:
    """The mean over the seeds, with the deviation where there are several; undefined where one is."""
    two = board(cell("a", 1, rank_score=0.2, accuracy=0.5), cell("a", 2, rank_score=0.4, accuracy=Undefined("odd")))
    (row,) = two.rows
    assert row.cells[0].value == pytest.approx(0.3)
    assert row.cells[0].over_seeds == pytest.approx(math.sqrt(0.02))
    assert row.cells[1] == TableCell(Undefined("odd"))
    (alone,) = board(cell("a", rank_score=0.2, accuracy=0.5)).rows
    assert alone.cells[:2] == (TableCell(0.2), TableCell(0.5))


def test_a_router_whose_cells_failed_has_no_values() -> None:
    """Its row stands last and says how many failed; the seeds that finished keep their mean."""
    found = board(
        failed("a"), cell("a", 2, rank_score=0.2, accuracy=0.5), failed("b"), cell("c", rank_score=0.1, accuracy=0.1)
    )

    assert [(r.name, r.note) for r in found.rows] == [
        ("a", "1 of 2 cells failed"),
        ("c", ""),
        ("b", "1 of 1 cells failed"),
    ]
    assert found.rows[0].cells[0] == TableCell(0.2)
    assert all(isinstance(c.value, Undefined) for c in found.rows[2].cells)


def test_what_was_reused_is_said() -> None:
    """Where all cells were; one that was fitted now, or that failed, makes it untrue."""
    kept = [attrs.evolve(cell("a", s, rank_score=0.2, accuracy=0.5), reused=True) for s in (1, 2)]

    assert board(*kept).rows[0].note == "reused"
    assert board(kept[0], attrs.evolve(kept[1], reused=False)).rows[0].note == ""
    assert board(*kept, failed("a")).rows[0].note == "1 of 3 cells failed"


SWEEP = {"winners": {"a": "x=2"}}


def points(seeds: int = 1) -> list[CellResult]:
    return [cell("a", s, x, rank_score=0.2 * x, accuracy=0.1 * x, own=0.0) for x in (1, 2, 3) for s in range(seeds)]


def test_a_sweep_stands_for_its_winner() -> None:
    """With the winner's values on test, and in a table of its own all points on the split that decided."""
    found = board(*points(), metrics=("own", "accuracy", "rank-score"), **SWEEP)
    (row,) = found.rows
    (sweep,) = found.sweeps

    assert (row.name, row.note) == ("a", "x=2, best of 3 on dev")
    assert row.cells[0].value == pytest.approx(0.4)
    assert sweep.title == "sweep of a: dev, by rank-score"
    assert sweep.headings == ("rank-score", "accuracy")
    assert [(r.name, r.kind, r.note) for r in sweep.rows] == [
        ("x=1", "point", ""),
        ("x=2", "point", "chosen"),
        ("x=3", "point", ""),
    ]
    assert [r.cells[0].value for r in sweep.rows] == pytest.approx([0.1, 0.2, 0.3])


def test_the_metric_that_decided_comes_first_in_the_sweep() -> None:
    """Before the selection metric; a router without a sweep has no table."""
    found = board(*points(2), cell("b", rank_score=0.1, accuracy=0.1), **SWEEP, decided_by={"a": "accuracy"})
    (sweep,) = found.sweeps

    assert sweep.headings == ("accuracy", "rank-score")
    assert sweep.title == "sweep of a: dev, by accuracy"
    assert found.rows[0].note == "x=2, best of 3 on dev by accuracy"
    own = board(*points(), metrics=("accuracy", "own"), experiment=selecting("p/own", on="test"), **SWEEP)
    assert own.sweeps[0].headings == ("own", "accuracy")
    assert own.sweeps[0].title == "sweep of a: test, by own"
    assert own.rows[0].note == "x=2, best of 3 on test"
    assert own.sweeps[0].rows[0].cells[1].value == pytest.approx(0.1)


def test_a_sweep_without_a_winner_says_so() -> None:
    """The row has no values, and there is no table of points."""
    found = board(failed("a", 1), failed("a", 2))

    assert found.rows[0].note == "every point has a failed cell"
    assert all(isinstance(c.value, Undefined) for c in found.rows[0].cells)
    assert found.sweeps == ()


NO_P = Undefined("all samples are in one image group")
CORRECTED = Undefined("not corrected")


def compared(p: Any, p_holm: Any, value: Any = 0.1) -> dict[str, Difference]:
    """Return a difference in the selection metric."""
    return {"rank-score": Difference(value, Interval(0.0, 0.2, 2000), p, p_holm)}


def ties(rows: dict[str, dict[str, dict[str, Difference]]], **more: Any) -> dict[str, tuple[str, ...]]:
    """Return what rows are tied with, from their differences from other rows; ``r...`` are reference points."""
    routers = [cell(name, rank_score=0.2, accuracy=0.5) for name in rows if not name.startswith("r")]
    points = tuple(reference(name, overall={"rank-score": 0.2}) for name in rows if name.startswith("r"))
    found = {name: RowStatistics({}, against) for name, against in rows.items()}
    result = attrs.evolve(result_of(*routers, references=points), statistics=statistics_of(rows=found, **more))
    return {row.name: row.tied for row in leaderboard(result).rows}


def test_a_row_is_tied_where_its_corrected_difference_may_be_chance() -> None:
    """The p-value of a router is Holm's, at 0.05; with a smaller one, or an undefined difference, rows are not tied."""
    single = {"best-single": compared(0.01, 0.04)}
    found = ties(
        {
            "separated": single,
            "chance": {"best-single": compared(0.02, 0.05)},
            "no-draws": {"best-single": compared(NO_P, NO_P)},
            "undefined": {"best-single": compared(NO_P, NO_P, NO_P)},
        }
    )

    assert found == {
        "separated": (),
        "chance": ("best-single",),
        "no-draws": ("best-single",),
        "undefined": (),
    }


def test_reference_points_are_tied_by_their_own_p_value() -> None:
    """They are not corrected, and stand in the same words as routers."""
    found = ties(
        {"r-near": {"best-single": compared(0.2, CORRECTED)}, "r-far": {"best-single": compared(0.01, CORRECTED)}}
    )

    assert found == {"r-near": ("best-single",), "r-far": ()}


def test_rows_are_compared_with_baseline_best_single_and_best_router() -> None:
    """Each of the three once, under the name that a reader knows it by; a row is not tied with itself."""
    near = compared(0.9, 0.9)
    rows = {
        "a": {"base": near, "best-single": near},
        "b": {"base": near, "best-single": near, "a": near},
        "base": {"a": near},
    }
    found = ties(rows, baseline="base", leader="a")

    assert found == {
        "a": ("base", "best-single"),
        "b": ("base", "best-single", "best router"),
        "base": ("best router",),
    }


def test_a_router_that_takes_several_places_says_which() -> None:
    """From the draws; one that always takes the same has no such note."""
    cells = [cell(name, rank_score=0.2, accuracy=0.5) for name in ("sure", "unsure")]
    rows = {
        name: RowStatistics({}, {}, {"rank-score": places}) for name, places in (("sure", (1, 1)), ("unsure", (1, 2)))
    }
    found = leaderboard(attrs.evolve(result_of(*cells), statistics=statistics_of(rows=rows)))

    assert {r.name: r.note for r in found.rows} == {"sure": "", "unsure": "rank 1 to 2 of the routers"}
