"""Every recorded verdict of VLMEvalKit's own code, where the record is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.api.logs import Case, Rotation
from vlrb_plugins.datasets import DATASETS
from vlrb_plugins.scorers import vlrb_scorers

RECORD = Path(__file__).parents[3].parent / "shared" / "facts" / "scoring-cases.jsonl"

FAILURES = {"MathVista_MINI-291", "TextVQA_VAL-155"}
"""Rows with a score of 0 that is none: the judge failed; there is a single gold answer, of the four that the VQA score needs."""

FIELDS = ("category", "question_type", "answer_type", "answer_option")


def text(value: object) -> str:
    """Return a recorded value as a cell's text."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def case(row: dict[str, Any]) -> Case:
    """Return the case of a recorded row."""
    if row["rule"] == "mcq_circular":
        passes = list(zip(row["choices"], row["answer"], row["prediction"], strict=True))
        options, answer, prediction = passes[0]
        others = tuple(Rotation(tuple(o.items()), a, p) for o, a, p in passes[1:])
        return Case(row["id"], "q", tuple(options.items()), answer, prediction, rotations=others)
    options = tuple(row["choices"].items()) if isinstance(row.get("choices"), dict) else ()
    fields = {name: text(row[name]) for name in FIELDS if name in row}
    if "choices" in row and not isinstance(row["choices"], dict):
        fields["choices"] = text(row["choices"])
    judged = {name: text(row[name]) for name in ("res", "extract") if name in row}
    judged |= {f"{n}:number": repr(row[n]) for n in judged if isinstance(row[n], float) and not row[n].is_integer()}
    return Case(row["id"], "q", options, text(row["answer"]), text(row["prediction"]), fields, judged)


def rows() -> list[dict[str, Any]]:
    """Return the record, empty where it is absent."""
    return [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()] if RECORD.exists() else []


@pytest.mark.skipif(not RECORD.exists(), reason=f"{RECORD} is not here")
def test_the_record_is_whole() -> None:
    """A row that is gone would be one verdict less that is looked at."""
    assert len(rows()) == 238


@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in rows()])
def test_verdicts_agree_with_the_record(row: dict[str, Any]) -> None:
    """The recorded score, or None where a 0 stands for a judge that was not asked, or failed, or for a lack of gold answers."""
    scorer = next(d.scorer for d in DATASETS if d.name == row["dataset"]).removeprefix("scorers/")
    spec = next(s for s in vlrb_scorers() if s.name == scorer)
    expected = None if row.get("needs_judge") or row["id"] in FAILURES else row["expected_score"]

    (score,) = spec.factory(spec.params()).score([case(row)])

    assert score.value == (expected if expected is None else pytest.approx(expected, abs=1e-12))
    assert (score.value is None) <= bool(score.reason)
