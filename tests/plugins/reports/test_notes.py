"""The lines below a leaderboard."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from finished import cell, failed, finished_run, reference, result_of, seeded_cell, with_cells

from vlrb import CostBounds, RunResult, Undefined, leaderboard
from vlrb_plugins.reports.notes import leaderboard_notes


def notes_of(result: RunResult) -> tuple[str, ...]:
    return leaderboard_notes(result, leaderboard(result))


@pytest.fixture
def result() -> RunResult:
    return finished_run()


def test_the_notes_say_what_the_figures_are(result: RunResult) -> None:
    """Protocol, split, leaks, exclusions, errors, and why a value is undefined."""
    notes = "\n".join(notes_of(result))

    for text in (
        "protocol strict; split 3f2a3f2a3f2a, 6 groups by the logs' groups (4 samples), image (5 samples), text (1 samples), "
        "seed 42: train 7, dev 1, test 2",
        "1 test samples share an image or a group with a train sample",
        "left out or changed: 3 answers without a verdict",
        "broken-seed1 failed, see cells/broken-seed1/error.txt: it broke",
        "- in rank-score: the mean cost is 0",
    ):
        assert text in notes


def test_a_split_that_the_logs_give_is_called_so(result: RunResult) -> None:
    """No seed and no grouping are claimed where the logs say which samples are for what."""
    split = attrs.evolve(result.run.split, use="splits/given", made="as the logs give it", grouped_by={})
    notes = notes_of(attrs.evolve(result, run=attrs.evolve(result.run, split=split)))

    assert any("split 3f2a3f2a3f2a, as the logs give it: train 7" in note for note in notes)
    assert not any("seed 42" in note or "by image" in note or "by text" in note for note in notes)


def test_a_split_is_said_to_be_grouped_only_by_what_grouped_it(result: RunResult) -> None:
    """Samples without images that the logs group are not called grouped by their text; sample-wise splits have no groups."""

    def said(**changes: Any) -> str:
        split = attrs.evolve(result.run.split, **changes)
        return "\n".join(notes_of(attrs.evolve(result, run=attrs.evolve(result.run, split=split))))

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
    cells = (
        seeded_cell("weak", 1, 0.1, free),
        seeded_cell("a-good-one", 1, 0.9, free),
        seeded_cell("middling", 1, 0.5, free),
    )
    bounds = CostBounds(0.0, 1e-2, "train", ("gratis",))
    free_run = attrs.evolve(with_cells(result, *cells), references=(), run=attrs.evolve(result.run, bounds=bounds))
    notes = "\n".join(notes_of(free_run))

    assert [r.name for r in leaderboard(free_run).rows] == ["a-good-one", "middling", "weak"]
    assert "ordered by accuracy: rank-score has no value" in notes
    assert "models that cost nothing: gratis" in notes
    assert "[[model]]" in notes


def test_what_makes_values_undefined_is_said_once() -> None:
    """With the columns that it concerns; reference points have no reasons of their own."""
    free = Undefined("a model is free")
    cells = [cell(n, rank_score=free, accuracy=0.1) for n in "ab"] + [cell("c", rank_score=0.1, accuracy=free)]
    notes = notes_of(result_of(*cells, references=(reference("o", overall={"accuracy": 1.0}),)))

    assert [n for n in notes if n.startswith("- in")] == ["- in accuracy, rank-score: a model is free"]


def test_where_nothing_has_a_value_no_order_is_claimed() -> None:
    """And where the selection metric has one, nothing is said of another."""
    free = Undefined("free")
    for found in (
        result_of(cell("a", rank_score=free, accuracy=free)),
        result_of(cell("a", rank_score=0.1, accuracy=free), cell("b", rank_score=free, accuracy=0.5)),
    ):
        assert not any(note.startswith("ordered by") for note in notes_of(found))
    (note,) = (n for n in notes_of(result_of(cell("a", rank_score=free, accuracy=0.5))) if n.startswith("ordered by"))
    assert note == "ordered by accuracy: rank-score has no value in any row"


def test_made_up_data_are_named_before_all_else() -> None:
    """And nothing is said of leaks, exclusions and free models where there are none."""
    notes = notes_of(result_of(cell("a", rank_score=0.1, accuracy=0.1), benchmark={"synthetic": "made up"}))
    assert notes[0] == "SYNTHETIC DATA: made up"
    assert len(notes) == 5
    plain = cell("a", rank_score=0.1, accuracy=0.1)
    assert len(notes_of(result_of(plain))) == 4
    leaks = notes_of(result_of(plain, leaking=1, benchmark={"excluded": {"answers": 1234}}))
    assert leaks[3] == "caution: 1 test samples share an image or a group with a train sample"
    assert leaks[5:] == ("left out or changed: 1,234 answers",)


def test_each_failed_cell_is_named() -> None:
    """With its error; nothing more is said of a router without any value."""
    notes = notes_of(result_of(failed("a"), cell("a", 2, rank_score=0.2, accuracy=0.5), failed("b")))

    assert sum("it broke" in note for note in notes) == 2
    assert not any(note.startswith("- in") for note in notes)
