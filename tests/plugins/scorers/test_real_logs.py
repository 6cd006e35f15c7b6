r"""The scorer ``mathvision`` against the verdicts that came with 39,520 real answers, where these are at hand.

The verdicts are those of the authors of MathVision, not of VLMEvalKit.  Where the two disagree:

- multiple choice, right here and wrong there: the option's text stands beside its letter (``(D) 4``, of which they made ``d4``), or
  the options are bare letters drawn in the picture, and one of them stands inside a word (``e`` in ``Left``);
- multiple choice, wrong here and right there: they accept the text of the gold option without its dollar signs, of which the rules
  make nothing (wrong after extraction) or another option (``7`` in ``\sqrt{17}``), and letters as drawn if ``choices`` skips one;
- open, right here and wrong there: another way to write the number (a box in the gold answer, ``4/3`` for a fraction);
- open, wrong here (only after extraction) and right there: roots and pi, which have no value here, and boxes that they cut at the
  wrong brace.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from vlrb.api.logs import Case
from vlrb_plugins.scorers.maths import mathvision
from vlrb_plugins.vlmevalkit.workbook import read_sheet, text

Answer = tuple[str, str, str, str, bool]


@pytest.fixture
def answers(shared: Callable[[str], Path]) -> list[Answer]:
    """Return gold answer, choices, prediction, what was extracted of it, and verdict, of every real answer."""
    return read(shared("real-logs/mathvision"))


@lru_cache(maxsize=1)
def read(logs: Path) -> list[Answer]:
    """Read samples and evaluation files."""
    csv.field_size_limit(sys.maxsize)
    with (logs / "LMUData" / "MathVision.tsv").open(encoding="utf-8", newline="") as file:
        samples = {row["index"]: (row["answer"], row["choices"]) for row in csv.DictReader(file, delimiter="\t")}
    answers: list[Answer] = []
    for path in sorted(logs.glob("VLMEvalKit_evaluation/*/*_MathVision_gpt-4o-mini.xlsx")):
        sheet = read_sheet(path)
        columns = [map(text, sheet.column(name)) for name in ("index", "prediction", "res", "is_correct")]
        answers += [(*samples[i], p, r, c == "1") for i, p, r, c in zip(*columns, strict=True)]
    return answers


def counted(answers: list[Answer], extracted: bool) -> dict[str, Counter[tuple[float | None, bool]]]:
    """Count (verdict here, verdict there), open and multiple choice apart."""
    counts: dict[str, Counter[tuple[float | None, bool]]] = {"open": Counter(), "choice": Counter()}
    for gold, choices, prediction, res, correct in answers:
        kind = "open" if choices == "[]" else "choice"
        # upstream writes what it extracted in small letters; an option is a capital
        judged = {"res": res.upper() if kind == "choice" and len(res) == 1 else res} if extracted else {}
        verdict = mathvision(Case("D/1", "", (), gold, prediction, {"choices": choices}, judged))
        counts[kind][verdict.value, correct] += 1
    return counts


def test_raw_answers_against_the_verdicts_of_their_authors(answers: list[Answer]) -> None:
    """Of 39,520 answers 16,558 are decided without a judge, 16,346 (98.7 %) as their authors decided; 22,962 are unknown."""
    assert counted(answers, extracted=False) == {
        "open": {(1.0, True): 1455, (1.0, False): 2, (None, True): 46, (None, False): 18101},
        "choice": {
            (1.0, True): 3204,
            (0.0, False): 11687,
            (1.0, False): 206,
            (0.0, True): 4,
            (None, True): 331,
            (None, False): 4484,
        },
    }


def test_extracted_answers_against_the_verdicts_of_their_authors(answers: list[Answer]) -> None:
    """With what the authors extracted all 39,520 are decided, 39,258 (99.3 %) as they did; ten had nothing to extract."""
    assert counted(answers, extracted=True) == {
        "open": {(1.0, True): 1492, (0.0, False): 18101, (1.0, False): 2, (0.0, True): 9},
        "choice": {(1.0, True): 3333, (0.0, False): 16332, (1.0, False): 45, (0.0, True): 206},
    }
