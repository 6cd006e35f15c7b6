"""Outcomes: thinking, failures, judges' texts, stored verdicts, stale verdicts, rotations, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from vlrb_plugins.vlmevalkit.outcomes import split_thinking

CHANGED = "answers that have changed since they were judged"


def said(logs: Any, *predictions: object, **params: Any) -> list[dict[str, Any]]:
    """Write predictions into a workbook and read their outcomes."""
    rows = [{"index": i, "prediction": p} for i, p in enumerate(predictions)]
    return logs.outcomes(logs.book("book.xlsx", rows), **params)


# --- thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer", "thinking"),
    [
        ("<think>a</think>B", "B", "<think>a</think>"),
        ("<think>a</think>\n\nB \n", "B", "<think>a</think>\n\n"),
        ("a</think>B", "B", "a</think>"),
        ("<think>a</think>b</think>C", "C", "<think>a</think>b</think>"),
        ("<think>a</think>", "", "<think>a</think>"),
        ("</think>B", "B", "</think>"),
        ("<think>a", "<think>a", None),
        ("<thinking>a</thinking>\nB", "B", "<thinking>a</thinking>\n"),
        ("◁think▷a◁/think▷B", "B", "◁think▷a◁/think▷"),
        ("<think>a</think>b</thinking>C", "C", "<think>a</think>b</thinking>"),
        ("<thinking>a", "<thinking>a", None),
        ("B", "B", None),
        (" B ", " B ", None),
    ],
)
def test_thinking_is_split_off(text: str, answer: str, thinking: str | None) -> None:
    """The answer stands after the last end of a thought; an unclosed thought stays, as in VLMEvalKit."""
    assert split_thinking(text) == (answer, thinking)


def test_thinking_costs_and_is_not_scored(logs: Any) -> None:
    """Thoughts are kept beside the answer, so that they are counted as tokens."""
    (row,) = said(logs, "<think>not A</think>B")
    assert (row["prediction"], row["thinking"]) == ("B", "<think>not A</think>")


def test_thinking_may_be_kept(logs: Any) -> None:
    """thinking = "keep" scores all that was written."""
    (row,) = said(logs, "<think>not A</think>B", thinking="keep")
    assert (row["prediction"], row["thinking"]) == ("<think>not A</think>B", None)


@pytest.mark.parametrize("policy", ["split", "keep"])
def test_the_column_of_thoughts(logs: Any, policy: str) -> None:
    """SPLIT_THINK leaves thoughts in a column of their own, empty where there were none."""
    rows = [{"index": i, "prediction": "B", "thinking": t} for i, t in enumerate(["why", "", None])]
    got = logs.outcomes(logs.book("book.xlsx", rows), thinking=policy)
    assert [row["thinking"] for row in got] == ["why", None, None]


def test_thoughts_in_both_places(logs: Any) -> None:
    """A second thought in the answer comes after those of the column."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "b</think>C", "thinking": "a"}])
    (row,) = logs.outcomes(path)
    assert (row["prediction"], row["thinking"]) == ("C", "ab</think>")


@pytest.mark.parametrize("policy", ["split", "keep"])
def test_unclosed_thoughts_are_counted(logs: Any, policy: str) -> None:
    """An answer that was cut off while thinking is no answer: the report counts them."""
    said(logs, "<think>a", "<think>a</think>B", "<think>a</think><think>b", "A", "<thinking>a", "◁think▷a", "I think")
    counts = logs.counts(logs.root / "book.xlsx", thinking=policy)
    assert counts == {"answers that end before </think>": 4}


# --- failures and lost texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("Failed to obtain answer via API.", True),
        ("Failed to obtain answer: <class 'RuntimeError'> out of memory", True),
        ("x Failed to obtain answer via API. y", True),
        ("<think>Failed to obtain answer</think>B", False),
        ("failed", False),
        ("", False),
    ],
)
def test_failed_calls(logs: Any, text: str, failed: bool) -> None:
    """The mark of a failed call is an answer like any other, and counted separately."""
    (row,) = said(logs, text)
    assert row["failed"] is failed


def test_what_is_counted(logs: Any) -> None:
    """Answers that may have lost something are counted for the data report."""
    said(logs, "x" * 32_767, "x" * 32_766, "", None, 3, True, "A")
    assert logs.counts(logs.root / "book.xlsx") == {
        "answers of 32,767 characters, the most that a workbook's cell holds": 1,
        "empty answers": 2,
        "answers stored as numbers, dates or truth values": 2,
    }


def test_text_files_cut_nothing(logs: Any) -> None:
    """An answer of 32,767 characters in a TSV file is just that long."""
    path = logs.tsv("x.tsv", [{"index": "1", "prediction": "x" * 32_767}])
    assert logs.counts(path, outcomes=True) == {}


# --- verdicts that VLMEvalKit stores ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "cell", "score"),
    [
        ("DocVQA_VAL", "[0.0]", 1),
        ("DocVQA_VAL", "[1.0, 0.25]", 0.75),
        ("InfoVQA_VAL", "[0.5]", 0.5),
        ("InfoVQA_VAL", "[0.51, 1.0]", 0),
        ("DocVQA_VAL", "[1.0]", 0),
        ("ChartQA_TEST", "[0.0, 1.0]", 1),
        ("ChartQA_TEST", "[0.0]", 0),
        ("ChartQA_TEST", 1, 1),
        ("TextVQA_VAL", "[0.0, 1.0, 1.0, 1.0]", 0.75),
        ("TextVQA_VAL", "[True, False, False, True]", 0.5),
    ],
)
def test_eval_match(logs: Any, dataset: str, cell: object, score: float) -> None:
    """DocVQA's and InfoVQA's ``eval_match`` holds distances, ChartQA's and TextVQA's matches with each gold answer."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "eval_match": cell, "eval_score": 0.36}])
    assert logs.outcomes(path, dataset=dataset)[0]["score"] == score
    assert logs.verdict(path, dataset=dataset).startswith("eval_match of ")


def test_is_correct_comes_before_eval_match(logs: Any) -> None:
    """The published archive's own verdict wins over what VLMEvalKit left beside it."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "eval_match": "[1.0]", "is_correct": 1}])
    assert logs.outcomes(path, dataset="DocVQA_VAL")[0]["score"] == 1


@pytest.mark.parametrize(
    ("dataset", "column"), [("MathVista_MINI", "res"), ("MathVision_MINI", "res"), ("MathVerse_MINI", "extract")]
)
def test_what_a_judge_extracted(logs: Any, dataset: str, column: str) -> None:
    """A judge's extraction is no verdict; the scorer gets it under its column's name, numbers that are not whole also as such."""
    cells = [14, "", 14.9, "14.9"]
    log = {"res": "log", "extract": "log_extract"}[column]
    made = [{"index": i, "prediction": "x", column: c, log: "Succeed"} for i, c in enumerate(cells, 1)]
    path = logs.book("book.xlsx", made)
    rows = logs.outcomes(path, dataset=dataset)
    assert [row["score"] for row in rows] == [None] * 4
    assert [row["judged"] for row in rows] == [
        [(column, "14")],
        [(column, "")],
        [(column, "14.9"), (f"{column}:number", "14.9")],
        [(column, "14.9")],
    ]


def test_verdicts_drawn_at_random(logs: Any) -> None:
    """Where its judge failed, VLMEvalKit draws an option: whether that is right says nothing of the model."""
    logged = ["x Failed to predict, thus randomly generate one. ", "fine", None, "no GPT-based answer matching under"]
    rows = [{"index": i, "prediction": "x", "hit": 1, "log": log} for i, log in enumerate(logged)]
    path = logs.book("book.xlsx", rows)
    assert [row["score"] for row in logs.outcomes(path)] == [None, 1, 1, 1]
    assert [row["judge_failed"] for row in logs.outcomes(path)] == [True, False, False, False]
    assert logs.counts(path) == {
        "verdicts by exact matching, which found nothing and asked no judge": 1,
    }


# --- stale verdicts -----------------------------------------------------------------------------------------------------


def judged(logs: Any, then: object, now: object, **params: Any) -> Any:
    """Read the score of an answer that was judged when it was ``then`` and is ``now``; another one has not changed."""
    answers = logs.book("answers.xlsx", [{"index": 1, "prediction": now}, {"index": 2, "prediction": "B"}])
    scored = logs.book("scored.xlsx", [{"index": i, "prediction": p, "hit": 1} for i, p in ((1, then), (2, "B"))])
    return [row["score"] for row in logs.outcomes(answers, scored, **params)]


def test_stale_verdicts_are_refused(logs: Any, refused: Any) -> None:
    """VLMEvalKit reuses verdicts by index, also when the answer is another by now."""
    scored = logs.root / "scored.xlsx"
    with refused("1 answers are not those of", "'1'", place=f"{scored}, sheet 'Sheet1', row 2", fix='"drop-verdict"'):
        judged(logs, "A", "B")


@pytest.mark.parametrize(("policy", "scores"), [("drop-verdict", [None, 1]), ("keep", [1, 1])])
def test_policies_for_stale_verdicts(logs: Any, policy: str, scores: list[float | None]) -> None:
    """The experiment may leave stale verdicts to the scorer, or keep them; either is counted."""
    assert judged(logs, "A", "B", stale=policy) == scores
    assert logs.counts(logs.root / "answers.xlsx", logs.root / "scored.xlsx", stale=policy) == {CHANGED: 1}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("", "None"),
        (None, "N/A"),
        (7, "007"),
        (3.0, "3"),
        (1000, "1e3"),
        (True, "True"),
        ("a_x000D_\nb", "a\r\nb"),
        ("a", "a\0b"),
        (" A", "A\n"),
        ("x" * 32_767, "x" * 32_767),
    ],
)
def test_what_reading_and_writing_does_is_no_change(logs: Any, then: object, now: object) -> None:
    """Scoring reads the predictions and writes them again: gaps, numbers and escapes come out otherwise."""
    assert judged(logs, then, now) == [1, 1]


def test_cut_answers_are_no_change(logs: Any) -> None:
    """A workbook of verdicts cuts what a TSV file of predictions holds whole."""
    answers = logs.tsv("answers.tsv", [{"index": "1", "prediction": "x" * 50_000}])
    scored = logs.book("scored.xlsx", [{"index": 1, "prediction": "x" * 32_767, "hit": 1}])
    assert logs.outcomes(answers, scored)[0]["score"] == 1


# --- rotations and duplicates -------------------------------------------------------------------------------------------


def test_answers_to_rotations(logs: Any) -> None:
    """The scorer sees what was said to each rotation that was asked, by its index."""
    indices = (5, 1_000_005, 2_000_005, 6, 1_000_007)
    path = logs.book("book.xlsx", [{"index": i, "prediction": f"<think>x</think>p{i}"} for i in indices])
    rows = logs.outcomes(path, dataset="MMBench_DEV_EN_V11")
    assert [(row["key"], row["prediction"], row["thinking"]) for row in rows] == [
        ("5", "p5", "<think>x</think>"),
        ("6", "p6", "<think>x</think>"),
    ]
    assert rows[0]["rotations"] == [{"key": str(i), "prediction": f"p{i}"} for i in (1_000_005, 2_000_005)]
    assert rows[1]["rotations"] is None
    counts = logs.counts(path, dataset="MMBench_DEV_EN_V11")
    assert counts == {"rotations left out, there is no row of their question": 1}


def test_the_first_of_duplicates(logs: Any) -> None:
    """duplicates = "first" keeps the first row of an index, in either file, and counts the others."""
    answers = logs.book("answers.xlsx", [{"index": i, "prediction": p} for i, p in ((1, "A"), (2, "B"), (1.0, "C"))])
    scored = logs.book("scored.xlsx", [{"index": i, "hit": h} for i, h in ((2, 1), (2, 0), (1, 0), ("1", 1))])
    rows = logs.outcomes(answers, scored, duplicates="first")
    assert [(row["key"], row["prediction"], row["score"]) for row in rows] == [("1", "A", 0), ("2", "B", 1)]
    assert logs.counts(answers, scored, duplicates="first") == {
        "rows left out, their index stood in an earlier one": 1,
        "verdicts left out, their index stood in an earlier row": 2,
    }


def test_rows_of_one_model_that_another_lacks(logs: Any) -> None:
    """A run on part of a dataset gives the rows it has: what becomes of the others is for [benchmark] to say."""
    assert [row["key"] for row in said(logs, "A", "B")] == ["0", "1"]


def test_columns_of_any_name_and_type(logs: Any) -> None:
    """Unknown columns, columns without a name and names that are numbers are no matter."""
    header = ["index", "prediction", "", "", 7, "comment"]
    path = logs.book("book.xlsx", [dict(zip("abcdef", [1, "A", "x", "y", "z", "w"], strict=True))], header)
    assert logs.outcomes(path)[0]["prediction"] == "A"
