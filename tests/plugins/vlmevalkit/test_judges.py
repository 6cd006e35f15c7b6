"""Judges that failed: every way in which VLMEvalKit marks it, and what is not a failure."""

from __future__ import annotations

from typing import Any

import pytest

GAVE_UP = "Try 0: output is x, failed to parse.\nAll 5 retries failed.\n"
NO_REPLY = "Failed to obtain answer via API. "
READ, PREFETCHED = "Succeed", "Prefetch succeed"
QUOTED = f"Try 0: output is {NO_REPLY}, failed to parse.\nSucceed"
CUT = "Try 0: output is " + "x" * 200


def book(logs: Any, *rows: dict[str, Any], prediction: str = "x") -> Any:
    """Write a table of results."""
    return logs.book("book.xlsx", [{"index": i, "prediction": prediction} | row for i, row in enumerate(rows)])


def failed(logs: Any, dataset: str, *rows: dict[str, Any], **changes: Any) -> list[bool]:
    """Read a table of results; a failed judge leaves neither a verdict nor an extraction."""
    got = logs.outcomes(book(logs, *rows, **changes), dataset=dataset)
    assert all(row["score"] is None and row.get("judged") is None for row in got if row["judge_failed"])
    return [row["judge_failed"] for row in got]


@pytest.mark.parametrize("dataset", ["MathVista_MINI", "MathVision_MINI"])
@pytest.mark.parametrize(
    ("res", "log", "fails"),
    [
        ("", GAVE_UP, True),
        ("7", GAVE_UP, True),
        ("7", "All 5 retries failed.\n", True),
        ("", NO_REPLY, True),
        ("", "", True),
        (" ", "", True),
        ("", CUT, True),
        (NO_REPLY, READ, True),
        ("Failed to obtain answer via bailingMM API.", READ, True),
        ("7", READ, False),
        ("7", PREFETCHED, False),
        ("7", QUOTED, False),
        ("7", "", False),
        ("7", "All 5 retries failed. Then it was asked again.", False),
        ("", READ, False),
    ],
)
def test_extractions(logs: Any, dataset: str, res: str, log: str, fails: bool) -> None:
    """A judge that gave up, or whose call failed, extracted nothing; one that found nothing to extract is heard."""
    assert failed(logs, dataset, {"res": res, "log": log}, {"res": "8", "log": READ}) == [fails, False]


def test_extractions_without_a_log(logs: Any) -> None:
    """VLMEvalKit leaves an extraction empty only where its judge gave up."""
    assert failed(logs, "MathVista_MINI", {"res": ""}, {"res": "7"}) == [True, False]


@pytest.mark.parametrize(
    ("cells", "fails"),
    [
        (("", GAVE_UP, False, READ), True),
        (("", GAVE_UP, True, PREFETCHED), True),
        ((NO_REPLY, READ, False, READ), True),
        (("C", READ, False, GAVE_UP), True),
        (("C", READ, "", GAVE_UP), True),
        (("C", READ, False, "All 5 retries failed.\n"), True),
        (("C", READ, NO_REPLY, READ), True),
        (("C", READ, False, CUT), True),
        (("", "", False, READ), True),
        (("C", READ, False, READ), False),
        (("C", READ, True, PREFETCHED), False),
        (("", READ, False, READ), False),
        (("C", QUOTED, False, QUOTED), False),
    ],
)
def test_both_stages_of_mathverse(logs: Any, cells: tuple[Any, ...], fails: bool) -> None:
    """A verdict of MathVerse stands on two judgements: where one of them failed, False says nothing."""
    row = dict(zip(("extract", "log_extract", "score", "log_score"), cells, strict=True))
    good = {"extract": "C", "log_extract": READ, "score": True, "log_score": READ}
    assert failed(logs, "MathVerse_MINI", row, good) == [fails, False]
    scores = [row["score"] for row in logs.outcomes(logs.root / "book.xlsx", dataset="MathVerse_MINI")]
    assert scores == [None if fails else float(cells[2]), 1]


@pytest.mark.parametrize(
    ("said", "log", "fails"),
    [
        ("x", "Match Log: Failed to predict, thus randomly generate one. . ", True),
        ("x", f"Match Log: {NO_REPLY}. ", True),
        (NO_REPLY, f"Match Log: {NO_REPLY}. ", False),
        ("x", "Match Log: x. ", False),
        ("x", "Failed in Prefetch, no GPT-based answer matching under `exact_matching` policy.", False),
    ],
)
def test_multiple_choice(logs: Any, said: str, log: str, fails: bool) -> None:
    """An option drawn at random is not a verdict; a log that quotes a failed answer tells nothing of the judge."""
    assert failed(logs, "MMStar", {"hit": 0, "log": log}, prediction=said) == [fails]


def test_a_log_that_quotes_a_rotation(logs: Any) -> None:
    """The log of a circular question quotes the answer to any of its rotations."""
    rows = [{"index": 5, "prediction": "A"}, {"index": 1_000_005, "prediction": NO_REPLY}]
    log = f"Failed in Rolling 1: Answer is A; Prediction is {NO_REPLY}; Pre-fetched is Z; Match Log is Z.\n"
    answers = logs.book("answers.xlsx", rows)
    scored = logs.book("scored.xlsx", [{"index": 5, "prediction": "A", "hit": 0, "log": log}])
    (row,) = logs.outcomes(answers, scored, dataset="MMBench_DEV_EN_V11")
    assert (row["judge_failed"], row["score"]) == (False, 0)


def test_is_correct_stands(logs: Any) -> None:
    """Whoever wrote is_correct has decided; that VLMEvalKit's judge had failed is counted, and what it left is not read."""
    rows = [{"res": "", "log": GAVE_UP, "is_correct": 0}, {"res": "7", "log": READ, "is_correct": 1}]
    path = book(logs, *rows)
    got = logs.outcomes(path, dataset="MathVista_MINI")
    assert [(row["score"], row["judge_failed"], row["judged"]) for row in got] == [
        (0, False, None),
        (1, False, [("res", "7")]),
    ]
    assert logs.counts(path, dataset="MathVista_MINI") == {
        "verdicts in is_correct on answers whose judge in VLMEvalKit failed": 1
    }


@pytest.mark.parametrize(("matches", "score"), [("[1.0]", None), ("[0.3, 0.3, 0.0]", None), ("[1, 1, 0, 0]", 0.5)])
def test_vqa_scores_on_few_gold_answers(logs: Any, matches: str, score: float | None) -> None:
    """VLMEvalKit gives a VQA score to any number of gold answers; below four it cannot be 1, and is left out."""
    path = book(logs, {"eval_match": matches})
    (row,) = logs.outcomes(path, dataset="TextVQA_VAL")
    assert (row["score"], row["judge_failed"]) == (score, False)
    assert sum(logs.counts(path, dataset="TextVQA_VAL").values()) == (score is None)
