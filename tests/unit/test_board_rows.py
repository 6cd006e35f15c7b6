"""Rows, columns and marks of the leaderboard: which values stand where, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

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
from vlrb.api.routing import CostBounds, MetricValue, Undefined
from vlrb.running.leaderboard import Cell, Leaderboard, fixed, leaderboard

HIGHER = {"accuracy": True, "rank-score": True, "average-cost": False, "cost-per-10k": False, "own": True}


def cell(label: str, seed: int = 1, x: int | None = None, **values: Any) -> CellResult:
    """Return a finished cell whose values on dev are half of those on test."""
    info = CellInfo("k", label, f"p/{label}", {}, seed, None, "p", "d 1", "", {} if x is None else {"x": x})
    test = {k.replace("_", "-"): v for k, v in values.items()}
    dev = {k: v if isinstance(v, Undefined) else v / 2 for k, v in test.items()}
    return CellResult(info, "done", False, Path(), {"dev": {"overall": dev}, "test": {"overall": test}})


def failed(label: str, x: int | None = None) -> CellResult:
    return attrs.evolve(cell(label, x=x), status="failed", scores={}, error="it broke")


def reference(name: str, **scopes: Mapping[str, MetricValue]) -> ReferenceResult:
    """Return a reference point; ``overall`` and others by the slugs of their groups."""
    named = {"overall" if k == "overall" else f"group/{k.replace('_', '-')}": v for k, v in scopes.items()}
    return ReferenceResult(name, "", {"test": named})


def board(
    *cells: CellResult,
    references: tuple[ReferenceResult, ...] = (),
    metrics: tuple[str, ...] = ("accuracy", "rank-score"),
    experiment: Mapping[str, Any] | None = None,
    benchmark: Mapping[str, Any] | None = None,
    leaking: int = 0,
    **more: Any,
) -> Leaderboard:
    """Return the leaderboard of some cells."""
    infos = tuple(MetricInfo(m, "", HIGHER[m], "") for m in metrics)
    about = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {}, 100)
    split = SplitInfo(
        use="splits/given",
        parameters={},
        made="as the logs give it",
        samples={"train": 7, "dev": 1, "test": 2},
        digest="3f2a" * 16,
        groups=6,
        grouped_by={},
        group_also_in_train={"dev": 5, "test": leaking},
    )
    run = RunInfo(
        "r",
        "k",
        Path("r/1"),
        "strict",
        experiment or {"selection": {"metric": "rank-score", "on": "dev"}},
        attrs.evolve(about, **(benchmark or {})),
        split,
        CostBounds(1e-4, 1e-2),
        infos,
        (),
        {},
        {},
    )
    return leaderboard(RunResult(run, cells, references, "", "", **more))


def names(found: Leaderboard) -> list[str]:
    return [r.name for r in found.rows]


def test_smaller_costs_come_first() -> None:
    """Rows are ordered by the selection metric in its own direction; ties go to the next column, then to the name."""
    cells = [cell("dear", average_cost=2.0, accuracy=0.9), cell("cheap", average_cost=1.0, accuracy=0.1)]
    by_cost = {
        "metrics": ("average-cost", "accuracy"),
        "experiment": {"selection": {"metric": "average-cost", "on": "dev"}},
    }
    assert names(board(*cells, **by_cost)) == ["cheap", "dear"]
    assert names(board(*cells, **{**by_cost, "experiment": {"selection": {"metric": "accuracy", "on": "dev"}}})) == [
        "dear",
        "cheap",
    ]

    tied = [cell("b", rank_score=0.5, accuracy=0.1), cell("a", rank_score=0.5, accuracy=0.1)]
    better = cell("c", rank_score=0.5, accuracy=0.2)
    assert names(board(*tied, better)) == ["c", "a", "b"]
    point = reference("a-point", overall={"rank-score": 0.5, "accuracy": 0.1})
    assert names(board(*tied, references=(point,))) == ["a-point", "a", "b"]


def test_columns_begin_with_the_selection_metric() -> None:
    """Then come the known ones that the run has, in one order, then its own; each once."""
    values = {"own": 0.1, "accuracy": 0.2, "rank_score": 0.3, "cost_per_10k": 4.0}
    metrics = ("own", "rank-score", "cost-per-10k", "accuracy")

    assert board(cell("a", **values), metrics=metrics).headings == ("rank-score", "accuracy", "cost-per-10k", "own")
    own = board(cell("a", **values), metrics=metrics, experiment={"selection": {"metric": "p/own", "on": "dev"}})
    assert own.headings == ("own", "accuracy", "cost-per-10k", "rank-score")
    assert [c.value for c in own.rows[0].cells] == [0.1, 0.2, 4.0, 0.3]


def test_task_groups_have_a_column_each() -> None:
    """In the paper's order, others behind by name; a single group is that of all samples, and has none."""
    one = {"accuracy": 0.5, "rank-score": 0.5}
    scopes = {g: {"accuracy": 0.1 * i} for i, g in enumerate(("zoo", "art", "charts_ocr", "stem", "general"))}
    found = board(references=(reference("o", overall=one, **scopes),))

    assert found.headings[2:] == tuple(f"accuracy {g}" for g in ("General", "STEM", "Charts & OCR", "art", "zoo"))
    assert [c.value for c in found.rows[0].cells[2:]] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    assert found.rows[0].cells[2].text("accuracy General") == "40.00"
    single = board(references=(reference("o", overall=one, stem={"accuracy": 0.3}),))
    assert single.headings == ("rank-score", "accuracy")
    without = board(references=(reference("o", overall={"rank-score": 0.5}, **scopes),), metrics=("rank-score",))
    assert without.headings == ("rank-score",)


def test_values_are_those_on_test() -> None:
    """The mean over the seeds, with the deviation where there are several; undefined where one is."""
    two = board(cell("a", 1, rank_score=0.2, accuracy=0.5), cell("a", 2, rank_score=0.4, accuracy=Undefined("odd")))
    (row,) = two.rows
    assert row.cells[0].value == pytest.approx(0.3)
    assert row.cells[0].deviation == pytest.approx(math.sqrt(0.02))
    assert row.cells[1] == Cell(Undefined("odd"))
    assert board(cell("a", rank_score=0.2, accuracy=0.5)).rows[0].cells == (Cell(0.2), Cell(0.5))


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
    assert found.rows[0].cells[0] == Cell(0.2)
    assert [r.any_value for r in found.rows] == [True, True, False]
    assert sum("it broke" in note for note in found.notes) == 2
    assert not any(note.startswith("- in") for note in found.notes)


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
    assert sweep.title == "sweep of a: dev, by accuracy, mean of 2 seeds"
    assert found.rows[0].note == "x=2, best of 3 on dev by accuracy"
    own = board(
        *points(), metrics=("accuracy", "own"), experiment={"selection": {"metric": "p/own", "on": "test"}}, **SWEEP
    )
    assert own.sweeps[0].headings == ("own", "accuracy")
    assert own.sweeps[0].title == "sweep of a: test, by own"
    assert own.rows[0].note == "x=2, best of 3 on test"
    assert own.sweeps[0].rows[0].cells[1].value == pytest.approx(0.1)


def test_a_sweep_without_a_winner_says_so() -> None:
    """Points that failed keep their note, and the row has no values."""
    found = board(failed("a", 1), failed("a", 2))

    assert found.rows[0].note == "all 2 points have a failed cell"
    assert not found.rows[0].any_value
    assert [r.note for r in found.sweeps[0].rows] == ["1 of 1 cells failed"] * 2


def test_what_makes_values_undefined_is_said_once() -> None:
    """With the columns that it concerns; reference points have no reasons of their own."""
    free = Undefined("a model is free")
    cells = [cell(n, rank_score=free, accuracy=0.1) for n in "ab"] + [cell("c", rank_score=0.1, accuracy=free)]
    notes = board(*cells, references=(reference("o", overall={"accuracy": 1.0}),)).notes

    assert [n for n in notes if n.startswith("- in")] == ["- in accuracy, rank-score: a model is free"]


def test_where_nothing_has_a_value_no_order_is_claimed() -> None:
    """And where the selection metric has one, nothing is said of another."""
    free = Undefined("free")
    for found in (
        board(cell("a", rank_score=free, accuracy=free)),
        board(cell("a", rank_score=0.1, accuracy=free), cell("b", rank_score=free, accuracy=0.5)),
    ):
        assert not any(note.startswith("ordered by") for note in found.notes)
    (note,) = (n for n in board(cell("a", rank_score=free, accuracy=0.5)).notes if n.startswith("ordered by"))
    assert note == "ordered by accuracy: rank-score has no value in any row"


def test_made_up_data_are_named_before_all_else() -> None:
    """And nothing is said of leaks, exclusions and free models where there are none."""
    notes = board(cell("a", rank_score=0.1, accuracy=0.1), benchmark={"synthetic": "made up"}).notes
    assert notes[0] == "SYNTHETIC DATA: made up"
    assert len(notes) == 4
    plain = board(cell("a", rank_score=0.1, accuracy=0.1))
    assert len(plain.notes) == 3
    assert plain.title == "r: test"
    leaks = board(cell("a", rank_score=0.1, accuracy=0.1), leaking=1, benchmark={"excluded": {"answers": 1234}}).notes
    assert leaks[3:] == (
        "1 test samples share an image or a group with a train sample",
        "left out or changed: 1,234 answers",
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.12345, "12.35"),
        ("oracle-gap-closed", -0.5, "-50.00"),
        ("accuracy STEM", 1.0, "100.00"),
        ("rank-score", 0.0123456, "0.01235"),
        ("cost-per-10k", 12.3456, "12.35"),
        ("cost-per-10k", 123456.7, "123,457"),
        ("cost-per-10k", 1.5, "1.500"),
        ("cost-per-10k", 1e-12, "0.00000000"),
        ("own", Undefined("none"), "-"),
    ],
)
def test_values_are_shown_with_four_digits_or_in_per_cent(name: str, value: MetricValue, text: str) -> None:
    """Per cent have two digits behind the point; no value is cut before the point."""
    assert Cell(value).text(name) == text


def test_deviations_have_the_digits_of_their_value() -> None:
    """And its unit."""
    assert Cell(0.5, 0.125).text("accuracy") == "50.00 ± 12.50"
    assert Cell(12.3456, 0.0456).text("cost-per-10k") == "12.35 ± 0.05"
    assert fixed(-0.004, 2) == "0.00"
    assert fixed(-0.006, 2) == "-0.01"
    assert fixed(-math.inf, 2) == "-inf"
