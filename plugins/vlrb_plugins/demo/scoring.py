"""The tables of VLMEvalKit's own output: predictions, and what its scoring adds to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vlrb_plugins.demo.answer_texts import AnswerText, distances, golds_of, matches, score_of, simplified
from vlrb_plugins.demo.generate import Simulated, index_cell
from vlrb_plugins.demo.rows import Row
from vlrb_plugins.demo.sheets import Cell, Columns

CHOICE = frozenset({"mcq", "mmbench", "mmmu"})
_WHOLE = re.compile(r"0|[1-9][0-9]{0,14}")
_PREFETCHED = "Prefetch succeed"
_READ = "Succeed"


def predictions(simulated: Simulated, said: Sequence[AnswerText], *, split: bool = False) -> dict[str, Sequence[Cell]]:
    """Return a table of predictions: all columns of the dataset but the image, and what the model said.

    :param split: whether thoughts have a column of their own
    """
    rows = simulated.rows
    table: dict[str, Sequence[Cell]] = {"index": [index_cell(r.index) for r in rows]}
    table |= {name: inferred([r.cells[name] for r in rows]) for name in rows[0].cells}
    table["prediction"] = [s.prediction for s in said]
    return table | ({"thinking": [s.thinking for s in said]} if split else {})


def inferred(column: Sequence[Cell]) -> Sequence[Cell]:
    """Return a column as pandas reads it from a file: numbers and truth values if all cells look so, gaps aside."""
    texts = [c for c in column if isinstance(c, str) and c]
    if len(texts) < len(column) - list(column).count("") or not texts:
        return column
    if set(texts) <= {"True", "False"} and len(texts) == len(column):
        return [c == "True" for c in column]
    if not all(_WHOLE.fullmatch(t) for t in texts):
        return column
    # a gap makes the whole numbers of a column floats
    kind = int if len(texts) == len(column) else float
    return [kind(c) if c != "" else c for c in column]


def scored(simulated: Simulated, said: Sequence[AnswerText], table: Columns) -> dict[str, Sequence[Cell]]:
    """Return a table of predictions as scoring writes it again: without rotations, with verdicts of its own."""
    base = [(i, row, s) for i, (row, s) in enumerate(zip(simulated.rows, said, strict=True)) if not row.rotation]
    kept = {name: inferred([column[i] for i, _, _ in base]) for name, column in table.items()}
    if simulated.scorer == "mmmu":
        kept |= _closed([row for _, row, _ in base], kept)
    if simulated.scorer in CHOICE:
        kept = {name if re.fullmatch("[A-Z]", name) else name.lower(): column for name, column in kept.items()}
    left = [verdicts(simulated.scorer, row, s) for _, row, s in base]
    return kept | {name: [verdict[name] for verdict in left] for name in left[0]}


def extracts(table: Columns) -> dict[str, Sequence[Cell]]:
    """Return what MathVerse's first stage writes of its scored table."""
    return {name: column for name, column in table.items() if name not in ("score", "log_score")}


def _closed(rows: Sequence[Row], kept: Columns) -> dict[str, Sequence[Cell]]:
    """Return the options A and B, where open questions of MMMU choose between the gold answer and others."""
    is_open = [row.cells["question_type"] == "open" for row in rows]
    return {
        "A": [row.cells["answer"] if o else c for o, row, c in zip(is_open, rows, kept["A"], strict=True)],
        "B": ["Other Answers" if o else c for o, c in zip(is_open, kept["B"], strict=True)],
    }


def verdicts(scorer: str, row: Row, said: AnswerText) -> dict[str, Cell]:
    """Return the columns that scoring adds to a row."""
    if scorer in CHOICE:
        grouped: dict[str, Cell] = {"g_index": index_cell(row.index)} if scorer == "mmbench" else {}
        return {**grouped, "hit": int(said.right), "log": f"Match Log: {said.prediction}. "}
    if scorer == "yes-no":
        return {"extracted": "Unknown" if said.failed else said.extracted, "score": said.right}
    if scorer == "mathverse":
        log = _PREFETCHED if said.right else _READ
        return {"extract": said.extracted, "log_extract": _READ, "score": said.right, "log_score": log}
    if scorer in ("mathvista", "mathvision"):
        return _judged(scorer, row, said)
    return _compared(scorer, row, said)


def _judged(scorer: str, row: Row, said: AnswerText) -> dict[str, Cell]:
    """Return what is left of a mathematical answer: no verdict, only what was found in it by the rules, else by a judge."""
    by_rules = not said.failed and (row.form == "letter" or said.right)
    number = scorer == "mathvista" and row.form == "text" and said.right
    return {
        "res": int(said.extracted) if number else said.extracted,
        "log": _PREFETCHED if by_rules else _READ,
    }


def _compared(scorer: str, row: Row, said: AnswerText) -> dict[str, Cell]:
    """Return what is left of a short answer: a distance or a match per gold answer, and their mean."""
    listed: Iterable[str] = golds_of(row)
    pred = said.prediction.strip()
    if scorer == "anls":
        found = distances(row, said)
    elif scorer == "vqa":
        found, listed, pred = matches(row, said), [simplified(g) for g in listed], simplified(pred)
    else:
        found = [float(said.right and gold == row.right) for gold in listed]
    mean = sum(found) / len(found)
    return {"eval_gt": repr(list(listed)), "eval_pred": pred, "eval_match": repr(found), "eval_score": mean}


def accuracy(simulated: Simulated, said: Sequence[AnswerText]) -> float:
    """Return the mean score in per cent, which summaries show."""
    scores = [score_of(simulated.scorer, r, s) for r, s in zip(simulated.rows, said, strict=True) if not r.rotation]
    return 100 * sum(scores) / len(scores)
