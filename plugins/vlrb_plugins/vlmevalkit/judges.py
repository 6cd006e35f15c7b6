"""What a judge model left in a table of results, and where it failed.

VLMEvalKit counts an answer whose judge failed as wrong (MathVista, MathVision, MathVerse) or draws an option at random
(multiple choice).  Neither says anything of the model, so that such an answer has no verdict here.  How a failure shows:

- ``log`` ends with "All 5 retries failed." and ``res`` is empty; ``log_extract`` with ``extract`` and ``log_score`` with
  ``score`` likewise;
- "Failed to obtain answer ..." stands in the place of what was extracted;
- ``log`` of a multiple-choice row says that an option was drawn.

An empty extraction whose log says "Succeed" is none: pandas makes gaps of "None" and "null", by which a judge says that it
found nothing.  HallusionBench stores "Unknown" for a judge that failed, for one that said so, and where none was asked: its
verdict stands.

Source: VLMEvalKit, ``vlmeval/dataset/utils`` (mathvista, mathv, mathverse, multiple_choice, yorn), August 2026.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from vlrb_plugins.vlmevalkit.rows import Rows
from vlrb_plugins.vlmevalkit.table import Cell, text, texts

EXTRACTED: Mapping[str, str] = {"mathvista": "res", "mathvision": "res", "mathverse": "extract"}
"""Scorer of a dataset -> the column in which a judge leaves what it extracted from the answer."""

LOGS: Mapping[str, str] = {"res": "log", "extract": "log_extract", "score": "log_score"}
"""Column that a judge fills -> the column that says how that went."""

STAGES: Mapping[str, tuple[str, ...]] = {
    "mathvista": ("res",),
    "mathvision": ("res",),
    "mathverse": ("extract", "score"),
}
"""Scorer of a dataset -> the columns that a judge fills, in order."""

FAILURE = "Failed to obtain answer"
"""What VLMEvalKit writes in the place of what a call was to give begins so, in all its versions and for all its interfaces."""

DRAWN = "thus randomly generate one"
"""What VLMEvalKit logs of a multiple-choice row whose judge failed: its ``hit`` is that of an option drawn at random."""

NO_JUDGE = "no GPT-based answer matching"
"""What VLMEvalKit logs of a multiple-choice row that rules alone could not match, and no judge was asked about."""

_GAVE_UP = re.compile(r"All \d+ retries failed\.?\s*\Z")
_SUCCEEDED = re.compile(r"[Ss]ucceed\s*\Z")


def failed_judges(answers: Rows, scored: Rows, scorer: str) -> frozenset[str]:
    """Return the indices of the answers whose judge failed, by what ``scored`` holds."""
    if scorer in STAGES:
        return frozenset(i for column in STAGES[scorer] for i in _failed_stage(scored, column))
    if scored.table.header.count("hit") == 1:
        return frozenset(i for i, log in _logs(scored, "log") if DRAWN in log or _broke_off(answers, i, log))
    return frozenset()


def _failed_stage(scored: Rows, column: str) -> list[str]:
    """Return the indices whose judge failed to fill a column."""
    if not scored.table.has(column):
        return [i for i, log in _logs(scored, LOGS[column]) if _gave_up(log)]
    logs = dict(_logs(scored, LOGS[column]))
    cells = zip(scored.order, texts(scored.column(column, formulas=True)), strict=True)
    return [i for i, cell in cells if FAILURE in cell or _gave_up(log := logs.get(i, "")) or _lost(column, cell, log)]


def _gave_up(log: str) -> bool:
    """Tell whether a log ends in failure; that of very long answers may be cut off in the middle of its tries."""
    said = log.lstrip()
    tried = said.startswith(("Try 0:", FAILURE)) and not _SUCCEEDED.search(log)
    return tried or _GAVE_UP.search(log) is not None


def _lost(column: str, cell: str, log: str) -> bool:
    """Tell whether a judge left nothing where it was to extract something, and no log says that it succeeded."""
    return column != "score" and not cell.strip() and not _SUCCEEDED.search(log)


def _broke_off(answers: Rows, index: str, log: str) -> bool:
    """Tell whether a log of a multiple-choice row holds the mark of a failed call that is not quoted from the answers."""
    if FAILURE not in log:
        return False
    said = answers.table.column("prediction")
    asked = (index, *answers.rotations.get(index, ()))
    return not any(FAILURE in text(said[answers.position[i]]) for i in asked if i in answers.position)


def _logs(scored: Rows, name: str) -> Sequence[tuple[str, str]]:
    """Return index and log of all rows; none where there is no such column."""
    if scored.table.header.count(name) != 1:
        return ()
    at, rows, position = scored.table.header.index(name), scored.table.rows, scored.position
    return list(zip(scored.order, texts([rows[position[i]][at] for i in scored.order]), strict=True))


def count_without_judge(scored: Rows, counts: Counter[str]) -> None:
    """Count the multiple-choice verdicts that no judge made, though the rules found nothing."""
    asked_none = sum(NO_JUDGE in log for _, log in _logs(scored, "log"))
    counts["verdicts by exact matching, which found nothing and asked no judge"] += asked_none


def extracted(scored: Rows, scorer: str, failed: frozenset[str]) -> dict[str, list[tuple[str, str]]]:
    """Return index -> what a judge extracted, an empty text where it found nothing; a number that is not whole also as such.

    :param failed: the indices whose judge failed: they are left out
    """
    column = EXTRACTED.get(scorer, "")
    if not column or not scored.table.has(column):
        return {}
    cells = scored.column(column, formulas=True)
    found = {}
    for index, cell, said in zip(scored.order, cells, texts(cells), strict=True):
        if index not in failed:
            found[index] = [(column, said), *_number(column, cell)]
    return found


def _number(column: str, cell: Cell) -> list[tuple[str, str]]:
    partial = type(cell) is float and not cell.is_integer() and cell == cell
    return [(f"{column}:number", repr(cell))] if partial else []
