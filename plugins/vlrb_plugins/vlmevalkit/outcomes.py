"""Outcomes: predictions from one table, verdicts from another, joined by index.

Correctness is read from columns whose meaning is sure, and from no others: ``is_correct``; VLMEvalKit's ``hit`` of
multiple-choice datasets; its ``score`` of HallusionBench and MathVerse; and ``eval_match`` of its VQA datasets, which holds
distances for DocVQA and InfoVQA and matches for the others.  A judge's ``res``, ``extract`` and ``log`` are no verdicts.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from vlrb import MOST_TOKENS, OUTCOMES, OUTCOMES_OPTIONAL, DataError, Dataset, Problem, shorten_list
from vlrb_plugins.shared.log_tables.texts import python_literal
from vlrb_plugins.vlmevalkit.judges import FAILURE, count_without_judge, extracted, failed_judges
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.rows import Rows, refuse_nested
from vlrb_plugins.vlmevalkit.table import NAN_LIKE, Cell, text, texts, whole_numbers

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

FEWEST = 4
"""Gold answers without which there is no VQA score: an answer counts in full where three more people gave it."""

LONGEST_CELL = 32_767
"""Characters that a cell of a workbook holds: longer texts are cut there when the file is written."""

_VERDICTS: Mapping[object, float] = {
    True: 1.0,
    False: 0.0,
    **dict.fromkeys(("1", "1.0", "True", "true", "TRUE"), 1.0),
    **dict.fromkeys(("0", "0.0", "False", "false", "FALSE"), 0.0),
}
_USAGE = {"input_tokens": ("input_tokens", "prompt_tokens"), "output_tokens": ("output_tokens", "completion_tokens")}
_OPENING = ("<think>", "<thinking>", "◁think▷")
_CLOSING = ("</think>", "</thinking>", "◁/think▷")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def read_outcomes(answers: Rows, scored: Rows, dataset: Dataset, params: VlmevalkitParams) -> pa.RecordBatch:
    """Return the outcomes of one model on one dataset.

    :param answers: rows with the predictions
    :param scored: rows with the verdicts; the same where one file holds both
    :raises DataError: naming file, sheet and row of what cannot be trusted
    """
    scorer = dataset.scorer.rpartition("/")[2]
    counts = _row_counts(answers, scored)
    _same_rows(answers, scored)
    failed = failed_judges(answers, scored, scorer)
    verdicts, verdict = _verdicts(scored, scorer, failed, counts)
    for index in _stale(answers, scored, params, counts) if verdicts else ():
        verdicts[index] = None
    said, thoughts = _said(answers, params, counts)
    columns: dict[str, Sequence[object] | pa.Array] = {}
    if answers.rotations:
        place = {index: n for n, index in enumerate(answers.position)}
        columns["rotations"] = [_rotations(answers, i, said, place) for i in answers.order]
        base = [place[i] for i in answers.order]
        said, thoughts = [said[n] for n in base], [thoughts[n] for n in base]
    keys = answers.keys(dataset)
    n = len(keys)
    judged = extracted(scored, scorer, failed)
    same = list(verdicts) == answers.order
    prediction = pa.array(said, pa.string())
    columns |= {
        "dataset": pa.repeat(dataset.name, n),
        "key": keys,
        "prediction": prediction,
        "score": list(verdicts.values()) if same else [verdicts.get(i) for i in answers.order],
        **{name: _usage(answers, names) for name, names in _USAGE.items()},
        "cost": pa.nulls(n, pa.float64()),
        "thinking": thoughts,
        "failed": pc.match_substring(prediction, FAILURE),
        "judge_failed": [i in failed and verdicts.get(i) is None for i in answers.order],
    }
    if judged:
        columns["judged"] = [judged.get(i) for i in answers.order]
    return _batch(columns, verdict, counts)


def _batch(columns: Mapping[str, Sequence[object] | pa.Array], verdict: str, counts: Counter[str]) -> pa.RecordBatch:
    noted = json.dumps({k: v for k, v in counts.items() if v})
    fields = [f for f in (*OUTCOMES, *OUTCOMES_OPTIONAL) if f.name in columns]
    schema = pa.schema(fields).with_metadata({"verdict": verdict.encode(errors="replace"), "counts": noted})
    arrays = [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in schema]
    return pa.record_batch(arrays, schema=schema)


def _row_counts(answers: Rows, scored: Rows) -> Counter[str]:
    counts = Counter({"rows left out, their index stood in an earlier one": answers.repeated})
    if scored is not answers:
        counts["verdicts left out, their index stood in an earlier row"] = scored.repeated
    counts["texts with half of a character (a lone surrogate), which became U+FFFD"] = answers.table.repaired
    counts["rotations left out, there is no row of their question"] = sum(
        len(turned) for question, turned in answers.rotations.items() if question not in answers.position
    )
    return counts


# --- answers ------------------------------------------------------------------------------------------------------------


def _said(rows: Rows, params: VlmevalkitParams, counts: Counter[str]) -> tuple[list[str], list[str | None]]:
    """Return what was answered, and what was written before it while thinking, in the order of ``rows.position``."""
    cells = rows.table.column("prediction")
    refuse_nested(rows.table, "prediction", cells)
    cells = _by_position(rows, cells)
    said = texts(cells)
    thoughts: list[str | None] = [None] * len(said)
    if set(map(type, cells)) != {str}:
        counts["answers stored as numbers, dates or truth values"] += sum(type(c) is not str for c in cells)
    counts["empty answers"] += said.count("")
    if rows.table.path.suffix == ".xlsx" and max(map(len, said)) >= LONGEST_CELL:
        longest = f"answers of {LONGEST_CELL:,} characters, the most that a workbook's cell holds"
        counts[longest] += sum(len(answer) == LONGEST_CELL for answer in said)
    for row in [n for n, answer in enumerate(said) if "think" in answer]:
        end = _end_of_thought(said[row])
        counts["answers that end before </think>"] += any(said[row].find(mark, end) >= 0 for mark in _OPENING)
        if params.thinking == "split":
            said[row], thoughts[row] = split_thinking(said[row])
    if rows.table.has("thinking"):
        for row, thought in enumerate(texts(_by_position(rows, rows.table.column("thinking")))):
            if thought:
                thoughts[row] = thought + (thoughts[row] or "")
    return said, thoughts


def _by_position(rows: Rows, cells: Sequence[Cell]) -> Sequence[Cell]:
    """Return a column's cells in the order of ``rows.position``."""
    return cells if not rows.repeated else [cells[row] for row in rows.position.values()]


def split_thinking(said: str) -> tuple[str, str | None]:
    """Split an answer after its last ``</think>``, as VLMEvalKit does with SPLIT_THINK; an unclosed thought stays.

    Models that mark thoughts by ``<thinking>`` or ``◁think▷`` are read alike.

    :return: the answer, and the thoughts before it or None; the blanks between them belong to the thoughts, so that no token
        of theirs is lost
    """
    tail = said[_end_of_thought(said) :]
    return (tail.strip(), said[: len(said) - len(tail.lstrip())]) if len(tail) < len(said) else (said, None)


def _end_of_thought(said: str) -> int:
    """Return where the answer begins after the last thought that is closed, 0 where there is none."""
    return max((said.rfind(mark) + len(mark) for mark in _CLOSING if mark in said), default=0)


def _rotations(rows: Rows, index: str, said: Sequence[str], place: Mapping[str, int]) -> list[dict[str, str]] | None:
    listed = rows.rotations.get(index)
    return [{"key": r, "prediction": said[place[r]]} for r in listed] if listed else None


def _same_rows(answers: Rows, scored: Rows) -> None:
    same = scored is answers or scored.order == answers.order
    extra = [] if same else [i for i in scored.order if i not in answers.position]
    if extra:
        raise DataError(
            f"{len(extra):,} scored rows have no prediction in {answers.table.path}: index {shorten_list(map(repr, extra))}",
            where=scored.where(extra[0]),
            fix="use predictions and verdicts of one run",
        )


def _stale(answers: Rows, scored: Rows, params: VlmevalkitParams, counts: Counter[str]) -> Sequence[str]:
    """Return the indices whose verdicts are not used, since the answer has changed since it was judged."""
    if answers is scored or not scored.table.has("prediction"):
        return ()
    then = scored.column("prediction")
    if scored.order == answers.order:
        now = answers.column("prediction")
    else:
        given = answers.table.column("prediction")
        now = [given[answers.position[i]] for i in scored.order]
    if then == now:
        return ()
    different = [(i, a, b) for i, a, b in zip(scored.order, then, now, strict=True) if a != b]
    changed = [i for i, a, b in different if not _alike(text(a), text(b))]
    if not changed:
        return ()
    if params.stale == "error":
        raise DataError(
            f"{len(changed):,} answers are not those of {answers.table.path}: index {shorten_list(map(repr, changed))}",
            where=scored.where(changed[0]),
            fix='evaluate the predictions again, or set stale = "drop-verdict" (the scorer judges) or "keep" in [logs]',
        )
    counts["answers that have changed since they were judged"] += len(changed)
    return changed if params.stale == "drop-verdict" else ()


def _alike(then: str, now: str) -> bool:
    """Tell whether two texts are one answer, but for what reading and writing it again does to it in VLMEvalKit."""
    first, second = _comparable(then), _comparable(now)
    if first == second:
        return True
    if max(len(then), len(now)) >= LONGEST_CELL:
        length = min(len(first), len(second)) - len("_x000D_")  # an escape at the end may have been cut through
        return length > 0 and first[:length] == second[:length]
    try:
        return float(first) == float(second)
    except ValueError:
        return False


def _comparable(said: str) -> str:
    while (decoded := _ESCAPE.sub(lambda found: chr(int(found[1], 16)), said)) != said:
        said = decoded
    words = " ".join(said.partition("\0")[0].split())
    return "" if words in NAN_LIKE else words


# --- verdicts -----------------------------------------------------------------------------------------------------------


def _verdicts(
    scored: Rows, scorer: str, failed: frozenset[str], counts: Counter[str]
) -> tuple[dict[str, float | None], str]:
    """Return index -> score in [0, 1], or None where a judge failed or gold answers are too few; and where it was read.

    ``is_correct`` is not VLMEvalKit's own: whoever wrote it has decided, also where VLMEvalKit's judge failed, which is counted.
    """
    table = scored.table
    column = next((c for c in ("is_correct", STORED_VERDICTS.get(scorer, "is_correct")) if table.has(c)), None)
    if column is None:
        said = f"{table.where()} has no column whose meaning is correctness (columns: {', '.join(table.header)})"
        return {}, said
    if column == "is_correct":
        counts["verdicts in is_correct on answers whose judge in VLMEvalKit failed"] += len(failed)
        failed = frozenset()
    cells = scored.column(column, formulas=True)
    values = _matched(cells, _MATCHES[scorer]) if column == "eval_match" else _truths(cells)
    rows = zip(scored.order, cells, values, strict=True)
    bad = [(index, cell) for index, cell, value in rows if value is None and index not in failed]
    if bad:
        raise DataError(_bad_verdicts(bad, column, scored))
    few = [index for index, value in zip(scored.order, values, strict=True) if value != value]  # NaN
    counts[f"verdicts left out: a VQA score needs {FEWEST} gold answers"] += len(few)
    if column == "hit":
        count_without_judge(scored, counts)
    found = dict(zip(scored.order, values, strict=True)) | dict.fromkeys(failed) | dict.fromkeys(few)
    return found, f"{column} of {table.where()}"


def _bad_verdicts(bad: Sequence[tuple[str, Cell]], column: str, scored: Rows) -> list[Problem]:
    matches = column == "eval_match"
    what = "which is not a list of numbers from 0 to 1" if matches else "which is neither 0 nor 1"
    fix = "evaluate again" if matches else "write 0 or 1 (or False and True) in every row"
    shown = [Problem(f"{column} of index {i!r} is {_shown(c)}, {what}", scored.where(i), fix) for i, c in bad[:5]]
    if len(bad) > 5:
        shown.append(Problem(f"{len(bad) - 5:,} more rows like these", scored.table.where(), "correct them too"))
    return shown


def _truths(cells: Sequence[Cell]) -> list[float | None]:
    if set(map(type, cells)) <= {float, bool} and set(cells) <= {0.0, 1.0}:
        return list(map(float, cells))  # type: ignore[arg-type]
    return [_truth(c) for c in cells]


def _truth(cell: Cell) -> float | None:
    return _VERDICTS.get(cell) if isinstance(cell, float | str | bool | int) else None


def _matched(cells: Sequence[Cell], score: Callable[[list[float]], float]) -> list[float | None]:
    """Return the scores of what ``eval_match`` holds, None where that is not a list of numbers from 0 to 1."""
    written = texts(cells)
    read = {cell: _numbers(cell) for cell in set(written)}
    return [score(numbers) if (numbers := read[cell]) else None for cell in written]


def _numbers(cell: str) -> list[float] | None:
    try:
        values = python_literal(cell)
    except ValueError:
        return None
    listed = values if isinstance(values, list) else [values]
    numbers = [float(v) for v in listed if isinstance(v, int | float) and 0 <= v <= 1]
    return numbers if len(numbers) == len(listed) else None


def _similarity(distances: list[float]) -> float:
    """Return the ANLS of the distances that VLMEvalKit stores: 1 minus the least, 0 below a half."""
    similarity = 1 - min(distances)
    return similarity if similarity >= 0.5 else 0.0


def _vqa_score(matches: list[float]) -> float:
    """Return the VQA score of the matches with each gold answer, NaN where these are too few for one."""
    return sum(matches) / len(matches) if len(matches) >= FEWEST else math.nan


_MATCHES: Mapping[str, Callable[[list[float]], float]] = {
    "anls": _similarity,
    "vqa": _vqa_score,
    "relaxed-accuracy": max,
}


def _shown(cell: Cell) -> str:
    if cell == "":
        return "empty"
    shown = repr(cell)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


# --- usage --------------------------------------------------------------------------------------------------------------


def _usage(rows: Rows, columns: tuple[str, ...]) -> Sequence[int | None]:
    """Return token counts from the logs' own usage columns, None where there are none."""
    name = next((c for c in columns if rows.table.has(c)), None)
    if name is None:
        return [None] * len(rows.order)
    cells = rows.column(name)
    whole = whole_numbers(cells)
    if whole is not None and max(whole) <= MOST_TOKENS:
        return whole
    counts = [_count(cell) for cell in cells]
    if None in counts:
        row = counts.index(None)
        raise DataError(
            f"{name} of index {rows.order[row]!r} is {_shown(cells[row])}, which is not a number of tokens",
            where=rows.where(rows.order[row]),
            fix='write a whole number, or count tokens with [tokens] counter = "cl100k"',
        )
    return counts


def _count(cell: Cell) -> int | None:
    if type(cell) is float:
        return int(cell) if cell.is_integer() and 0 <= cell <= MOST_TOKENS else None
    if isinstance(cell, str):
        whole = cell.removesuffix(".0")
        number = int(whole) if whole.isascii() and whole.isdecimal() and len(whole) < 16 else -1
        return number if 0 <= number <= MOST_TOKENS else None
    return cell if type(cell) is int and 0 <= cell <= MOST_TOKENS else None
