"""Outcomes: predictions from one table, verdicts from another, joined by index.

Correctness is read from columns whose meaning is sure, and from no others: ``is_correct``; VLMEvalKit's ``hit`` of
multiple-choice datasets; its ``score`` of HallusionBench and MathVerse; and ``eval_match`` of its VQA datasets, which holds
distances for DocVQA and InfoVQA and matches for the others.  A judge's ``res``, ``extract`` and ``log`` are no verdicts.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from vlrb.errors import DataError, Problem, shortened
from vlrb.specs import Dataset
from vlrb_plugins.vlmevalkit import VlmevalkitParams
from vlrb_plugins.vlmevalkit.rows import Rows
from vlrb_plugins.vlmevalkit.table import Cell, text

if TYPE_CHECKING:
    import pyarrow as pa

STORED_VERDICTS: Mapping[str, str] = {
    "mcq": "hit",
    "mmbench": "hit",
    "mmmu": "hit",
    "yes-no": "score",
    "mathverse": "score",
    "anls": "eval_match",
    "vqa": "eval_match",
    "relaxed-accuracy": "eval_match",
}
"""Scorer of a dataset -> the column in which VLMEvalKit stores its verdict, besides ``is_correct``."""

JUDGED: Mapping[str, str] = {"mathvista": "res", "mathvision": "res", "mathverse": "extract"}
"""Scorer of a dataset -> the column in which a judge leaves what it extracted from the answer."""

FAILURE = "Failed to obtain answer"
"""What VLMEvalKit writes as the prediction of a call that failed begins so."""

LONGEST_CELL = 32_767
"""Characters that a cell of a workbook holds: longer texts are cut there when the file is written."""

NAN_LIKE = frozenset(["", "nan", "NaN", "None", "NA", "N/A", "n/a", "null", "NULL", "<NA>", "#N/A"])
"""Texts that VLMEvalKit's own readers take for gaps, and lose when they write a file again."""

_VERDICTS: Mapping[object, float] = {
    True: 1.0,
    False: 0.0,
    **dict.fromkeys(("1", "1.0", "True", "true", "TRUE"), 1.0),
    **dict.fromkeys(("0", "0.0", "False", "false", "FALSE"), 0.0),
}
_MOST_TOKENS = 2**53
_USAGE = {"input_tokens": ("input_tokens", "prompt_tokens"), "output_tokens": ("output_tokens", "completion_tokens")}
_END_OF_THOUGHT = "</think>"


def read_outcomes(answers: Rows, scored: Rows, dataset: Dataset, params: VlmevalkitParams) -> pa.RecordBatch:
    """Return the outcomes of one model on one dataset.

    :param answers: rows with the predictions
    :param scored: rows with the verdicts; the same where one file holds both
    :raises DataError: naming file, sheet and row of what cannot be trusted
    """
    import pyarrow as pa

    from vlrb.schemas import OUTCOMES, OUTCOMES_OPTIONAL

    scorer = dataset.scorer.rpartition("/")[2]
    verdicts, verdict = _verdicts(scored, scorer)
    _same_rows(answers, scored)
    counts: Counter[str] = Counter({"rows left out, their index stood in an earlier one": answers.repeated})
    stale = _stale(answers, scored, params, counts) if verdicts else frozenset()
    said = _Answers(answers, params, counts)
    keys = answers.keys(dataset)
    n = len(keys)
    judged = _judged(scored, JUDGED.get(scorer, ""))
    columns = {
        "dataset": [dataset.name] * n,
        "key": keys,
        "prediction": [said.by_index[i].answer for i in answers.order],
        "score": [None if i in stale else verdicts.get(i) for i in answers.order],
        **{name: _usage(answers, names) for name, names in _USAGE.items()},
        "cost": [None] * n,
        "thinking": [said.by_index[i].thinking for i in answers.order],
        "judged": [judged.get(i) for i in answers.order],
        "rotations": [said.rotations(i) for i in answers.order],
        "failed": [FAILURE in said.by_index[i].answer for i in answers.order],
    }
    metadata = {"verdict": verdict, "counts": json.dumps({k: v for k, v in counts.items() if v})}
    fields = [f for f in (*OUTCOMES, *OUTCOMES_OPTIONAL) if f.name in columns]
    schema = pa.schema(fields).with_metadata(metadata)
    return pa.record_batch([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


# --- answers ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Answer:
    """What a model said, and what it wrote before that while it was thinking (None where it was not)."""

    answer: str
    thinking: str | None = None


class _Answers:
    """The predictions of a table, rotations included, by index."""

    def __init__(self, rows: Rows, params: VlmevalkitParams, counts: Counter[str]) -> None:
        cells = rows.table.column("prediction")
        thoughts = rows.table.column("thinking") if rows.table.has("thinking") else None
        self._rotations = rows.rotations
        self.by_index: dict[str, Answer] = {}
        for index, row in rows.position.items():
            said = text(cells[row])
            counts["answers stored as numbers or truth values"] += not isinstance(cells[row], str)
            counts["empty answers"] += not said
            counts[f"answers of {LONGEST_CELL:,} characters, the most that a workbook's cell holds"] += (
                len(said) == LONGEST_CELL
            )
            answer = split_thinking(said) if params.thinking == "split" else Answer(said)
            if thoughts is not None and (thought := text(thoughts[row])):
                answer = attrs.evolve(answer, thinking=thought + (answer.thinking or ""))
            counts["answers that end before </think>"] += "<think>" in answer.answer
            self.by_index[index] = answer

    def rotations(self, index: str) -> list[dict[str, str]] | None:
        """Return what was said to the rotations of a question."""
        listed = self._rotations.get(index)
        return [{"key": r, "prediction": self.by_index[r].answer} for r in listed] if listed else None


def split_thinking(said: str) -> Answer:
    """Split an answer after its last ``</think>``, as VLMEvalKit does with SPLIT_THINK; an unclosed thought stays."""
    head, end, tail = said.rpartition(_END_OF_THOUGHT)
    return Answer(tail.strip(), head + end) if end else Answer(said)


def _judged(scored: Rows, column: str) -> dict[str, list[tuple[str, str]]]:
    """Return index -> what a judge extracted; nothing where the cell is empty."""
    if not column or not scored.table.has(column):
        return {}
    cells = scored.column(column, formulas=True)
    return {i: [(column, said)] for i, c in zip(scored.order, cells, strict=True) if (said := text(c))}


def _same_rows(answers: Rows, scored: Rows) -> None:
    extra = [i for i in scored.order if i not in answers.position]
    if extra:
        raise DataError(
            f"{len(extra)} scored rows have no prediction in {answers.table.path}: index {shortened(map(repr, extra))}",
            where=scored.where(extra[0]),
            fix="use predictions and verdicts of one run",
        )


def _stale(answers: Rows, scored: Rows, params: VlmevalkitParams, counts: Counter[str]) -> frozenset[str]:
    """Return the indices whose verdicts are not used, since the answer has changed since it was judged."""
    if answers is scored or not scored.table.has("prediction"):
        return frozenset()
    then = {i: _comparable(c) for i, c in zip(scored.order, scored.column("prediction"), strict=True)}
    now = {i: _comparable(c) for i, c in zip(answers.order, answers.column("prediction"), strict=True)}
    changed = [i for i, said in then.items() if said != now[i]]
    if not changed:
        return frozenset()
    if params.stale == "error":
        raise DataError(
            f"{len(changed)} answers are not those of {answers.table.path}: index {shortened(map(repr, changed))}",
            where=scored.where(changed[0]),
            fix='evaluate the predictions again, or set stale = "drop-verdict" (the scorer judges) or "keep" in [logs]',
        )
    counts["answers that have changed since they were judged"] += len(changed)
    return frozenset(changed) if params.stale == "drop-verdict" else frozenset()


def _comparable(cell: Cell) -> str:
    """Return an answer as it survives VLMEvalKit's reading and writing."""
    said = text(cell)
    return "" if said in NAN_LIKE else said[:LONGEST_CELL].strip()


# --- verdicts -----------------------------------------------------------------------------------------------------------


def _verdicts(scored: Rows, scorer: str) -> tuple[dict[str, float], str]:
    """Return index -> score in [0, 1], and where it was read."""
    table = scored.table
    column = next((c for c in ("is_correct", STORED_VERDICTS.get(scorer, "is_correct")) if table.has(c)), None)
    if column is None:
        return {}, f"{table.where()} has no column whose meaning is correctness (columns: {', '.join(table.header)})"
    cells = scored.column(column, formulas=True)
    read = _MATCHES[scorer] if column == "eval_match" else _truth
    values = [read(c) for c in cells]
    bad = [(i, c) for i, c, v in zip(scored.order, cells, values, strict=True) if v is None]
    if bad:
        raise DataError(_bad_verdicts(bad, column, scored))
    found = {i: v for i, v in zip(scored.order, values, strict=True) if v is not None}
    return found, f"{column} of {table.where()}"


def _bad_verdicts(bad: Sequence[tuple[str, Cell]], column: str, scored: Rows) -> list[Problem]:
    matches = column == "eval_match"
    what = "which is no list of numbers from 0 to 1" if matches else "which is neither 0 nor 1"
    fix = "evaluate again" if matches else "write 0 or 1 (or False and True) in every row"
    shown = [Problem(f"{column} of index {i!r} is {_shown(c)}, {what}", scored.where(i), fix) for i, c in bad[:5]]
    if len(bad) > 5:
        shown.append(Problem(f"{len(bad) - 5} more rows like these", scored.table.where(), "mend them too"))
    return shown


def _truth(cell: Cell) -> float | None:
    return _VERDICTS.get(cell) if isinstance(cell, bool | float | int | str) else None


def _matches(cell: Cell) -> list[float] | None:
    try:
        values = ast.literal_eval(text(cell))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    listed = values if isinstance(values, list) else [values]
    numbers = [float(v) for v in listed if isinstance(v, int | float) and 0 <= v <= 1]
    return numbers if numbers and len(numbers) == len(listed) else None


def _similarity(cell: Cell) -> float | None:
    """Return the ANLS of the distances that VLMEvalKit stores: 1 minus the least, 0 below a half."""
    distances = _matches(cell)
    if distances is None:
        return None
    similarity = 1 - min(distances)
    return similarity if similarity >= 0.5 else 0.0


def _best(cell: Cell) -> float | None:
    matches = _matches(cell)
    return None if matches is None else max(matches)


def _mean(cell: Cell) -> float | None:
    matches = _matches(cell)
    return None if matches is None else sum(matches) / len(matches)


_MATCHES: Mapping[str, Callable[[Cell], float | None]] = {"anls": _similarity, "vqa": _mean, "relaxed-accuracy": _best}


def _shown(cell: Cell) -> str:
    return "empty" if cell == "" else repr(cell)


# --- usage --------------------------------------------------------------------------------------------------------------


def _usage(rows: Rows, columns: tuple[str, ...]) -> list[int | None]:
    """Return token counts from the logs' own usage columns, None where there are none."""
    name = next((c for c in columns if rows.table.has(c)), None)
    if name is None:
        return [None] * len(rows.order)
    counts: list[int | None] = []
    for index, cell in zip(rows.order, rows.column(name), strict=True):
        count = _count(cell)
        if count is None:
            raise DataError(
                f"{name} of index {index!r} is {_shown(cell)}, which is no number of tokens",
                where=rows.where(index),
                fix='write a whole number, or count tokens with [tokens] counter = "cl100k"',
            )
        counts.append(count)
    return counts


def _count(cell: Any) -> int | None:
    if isinstance(cell, str):
        whole = cell.removesuffix(".0")
        return int(whole) if whole.isascii() and whole.isdecimal() and len(whole) < 16 else None
    if isinstance(cell, bool) or not isinstance(cell, float | int) or not 0 <= cell < _MOST_TOKENS:
        return None
    return int(cell) if float(cell).is_integer() else None

