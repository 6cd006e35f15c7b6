"""The log source ``vlmevalkit``: samples from TSV files, outcomes from workbooks.

Correctness is read from columns whose meaning is sure, and from no others: ``is_correct``; VLMEvalKit's ``hit`` of
multiple-choice datasets; its ``score`` of HallusionBench and MathVerse.  In particular ``eval_match`` and ``eval_score`` of
DocVQA and InfoVQA are distances, and a judge's ``res`` and ``log`` are no verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vlrb.errors import DataError, Problem, shortened
from vlrb.specs import Dataset
from vlrb.types import Catalog, Listing, Part
from vlrb_plugins.vlmevalkit import VlmevalkitParams
from vlrb_plugins.vlmevalkit.rows import Rows, read_rows
from vlrb_plugins.vlmevalkit.tree import Files, Tree, read_tree, tsv_folder
from vlrb_plugins.vlmevalkit.workbook import Cell, Sheet, text

if TYPE_CHECKING:
    import pyarrow as pa

STORED_VERDICTS: Mapping[str, str] = {
    "mcq": "hit",
    "mmbench": "hit",
    "mmmu": "hit",
    "yes-no": "score",
    "mathverse": "score",
}
"""Scorer of a dataset -> the column in which VLMEvalKit stores its verdict, besides ``is_correct``."""

_VERDICTS: Mapping[object, float] = {
    True: 1.0,
    False: 0.0,
    **dict.fromkeys(("1", "1.0", "True", "true", "TRUE"), 1.0),
    **dict.fromkeys(("0", "0.0", "False", "false", "FALSE"), 0.0),
}
_MOST_TOKENS = 2**53
_USAGE = {"input_tokens": ("input_tokens", "prompt_tokens"), "output_tokens": ("output_tokens", "completion_tokens")}


class VlmevalkitSource:
    """Reads a tree of workbooks and TSV files."""

    def __init__(self, params: VlmevalkitParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:
        """List a part per dataset (its samples) and a part per dataset and model (its outcomes)."""
        tree = read_tree(self.params, catalog)
        parts = [Part(f"samples/{d}", "samples", files, d) for d, files in self._sample_files(tree).items()]
        parts += [
            Part(f"outcomes/{d}/{m}", "outcomes", (*files.predictions, *files.scored), d, m)
            for (d, m), files in sorted(tree.files.items())
        ]
        return Listing(tuple(parts), tree.ignored)

    def _sample_files(self, tree: Tree) -> dict[str, tuple[Path, ...]]:
        """Return dataset -> the file that its samples are read from."""
        datasets = sorted({d for d, _ in tree.files})
        if self.params.images == "none":
            return {d: _any_workbook(tree.files, d) for d in datasets}
        folder = tsv_folder(self.params)
        files = {d: folder / f"{d}.tsv" for d in datasets}
        fix = 'add it, or set images = "none" in [logs]'
        missing = [Problem("there is no such file", str(f), fix) for f in files.values() if not f.is_file()]
        if missing:
            raise DataError(missing)
        return {d: (file,) for d, file in files.items()}

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part."""
        dataset = catalog.dataset(part.dataset)
        if dataset is None:
            raise DataError(f"dataset {part.dataset!r} is not known", where=part.id, fix="declare it with [[dataset]]")
        if part.kind == "outcomes":
            yield _outcomes(part, dataset)
        elif part.files[0].suffix == ".tsv":
            from vlrb_plugins.vlmevalkit.tsv import read_samples

            yield from read_samples(part.files[0], dataset)
        else:
            from vlrb_plugins.vlmevalkit.tsv import samples_of_workbook

            yield samples_of_workbook(read_rows(part.files[0], dataset), dataset)


def _any_workbook(files: Mapping[tuple[str, str], Files], dataset: str) -> tuple[Path, ...]:
    """Return the workbook that the questions of a dataset are read from when there is no TSV file."""
    every = [f for (d, _), f in sorted(files.items()) if d == dataset]
    return next(((p,) for f in every for p in (*f.predictions, *f.scored)), ())


# --- outcomes ---------------------------------------------------------------------------------------------------------


def _outcomes(part: Part, dataset: Dataset) -> pa.RecordBatch:
    import pyarrow as pa

    from vlrb.schemas import OUTCOMES

    answers, scored = _answers_and_scored(part, dataset)
    verdicts, verdict = _verdicts(scored, dataset)
    _same_rows(answers, scored)
    keys = answers.keys(dataset)
    usage = {name: _usage(answers, columns) for name, columns in _USAGE.items()}
    n = len(keys)
    schema = OUTCOMES.with_metadata({"verdict": verdict})
    columns = [
        [dataset.name] * n,
        keys,
        [text(c) for c in answers.column("prediction")],
        [verdicts.get(i) for i in answers.order],
        usage["input_tokens"],
        usage["output_tokens"],
        [None] * n,
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _answers_and_scored(part: Part, dataset: Dataset) -> tuple[Rows, Rows]:
    """Return the rows that hold the predictions and those that hold the verdicts.

    Where there is one workbook it stands for both: a scored one holds the predictions too.
    """
    sheets = [read_rows(f, dataset) for f in part.files]
    return sheets[0], sheets[-1]


def _same_rows(answers: Rows, scored: Rows) -> None:
    extra = [i for i in scored.order if i not in answers.position]
    if extra:
        raise DataError(
            f"{len(extra)} scored rows have no prediction in {answers.sheet.path}: index {shortened(map(repr, extra))}",
            where=scored.where(extra[0]),
            fix="use predictions and verdicts of one run",
        )


def _verdict_column(sheet: Sheet, dataset: Dataset) -> str | None:
    candidates = ("is_correct", STORED_VERDICTS.get(dataset.scorer.rpartition("/")[2], "is_correct"))
    return next((c for c in candidates if sheet.has(c)), None)


def _verdicts(scored: Rows, dataset: Dataset) -> tuple[dict[str, float], str]:
    """Return index -> 0 or 1, and where it was read."""
    sheet = scored.sheet
    column = _verdict_column(sheet, dataset)
    if column is None:
        return {}, f"{sheet.where()} has no column whose meaning is correctness (columns: {', '.join(sheet.header)})"
    cells = scored.column(column, formulas=True)
    values = [_VERDICTS.get(c) if isinstance(c, bool | float | int | str) else None for c in cells]
    bad = [(i, c) for i, c, v in zip(scored.order, cells, values, strict=True) if v is None]
    if bad:
        shown = [
            Problem(
                f"{column} of index {i!r} is {_shown(c)}, which is neither 0 nor 1",
                scored.where(i),
                "write 0 or 1 (or False and True) in every row",
            )
            for i, c in bad[:5]
        ]
        more = [Problem(f"{len(bad) - 5} more rows like these", sheet.where(), "mend them too")] if len(bad) > 5 else []
        raise DataError([*shown, *more])
    return {i: v for i, v in zip(scored.order, values, strict=True) if v is not None}, f"{column} of {sheet.path}"


def _shown(cell: Cell) -> str:
    return "empty" if cell == "" else repr(cell)


def _usage(rows: Rows, columns: tuple[str, ...]) -> list[int | None]:
    """Return token counts from the logs' own usage columns, None where there are none."""
    name = next((c for c in columns if rows.sheet.has(c)), None)
    if name is None:
        return [None] * len(rows.order)
    counts: list[int | None] = []
    for index, cell in zip(rows.order, rows.column(name), strict=True):
        if isinstance(cell, bool) or not isinstance(cell, float | int) or not _is_count(cell):
            raise DataError(
                f"{name} of index {index!r} is {_shown(cell)}, which is no number of tokens",
                where=rows.where(index),
                fix='write a whole number, or count tokens with [tokens] counter = "cl100k"',
            )
        counts.append(int(cell))
    return counts


def _is_count(number: float) -> bool:
    return 0 <= number < _MOST_TOKENS and float(number).is_integer()
