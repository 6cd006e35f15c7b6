"""The log source ``mmr-bench``: a CSV file with a row per sample and four columns per model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pyarrow as pa

from vlrb import (
    HIGHEST_COST,
    MOST_TOKENS,
    OUTCOMES,
    SAMPLES,
    TEXTS,
    Catalog,
    DataError,
    Listing,
    Part,
    did_you_mean,
    shorten_list,
)
from vlrb_plugins.records.params import MmrBenchParams
from vlrb_plugins.shared.log_tables.delimited import CsvRow, header_of, read_rows
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.image_files import ImageFolder, ImageProblem, parse_list
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES, BATCH_ROWS
from vlrb_plugins.shared.log_tables.names import Names

FIXED = ("sample_id", "dataset_idx", "question", "answer", "image_paths")
SUFFIXES = ("prediction", "correct", "token", "cost")
"""A model's columns are its name, an underscore, and one of these."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_VERDICTS = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}
_OUTCOMES = pa.schema([*OUTCOMES, ("model", pa.string())])
_SAMPLES = pa.schema([*SAMPLES, ("fields", TEXTS)])

T = TypeVar("T")


@attrs.frozen
class Layout:
    """Where the columns of a file are: column -> place, model -> places of its four, and further columns."""

    fixed: Mapping[str, int]
    models: Mapping[str, tuple[int, ...]]
    others: Mapping[str, int]


class MmrBenchSource:
    """Reads MMR-Bench's CSV file."""

    def __init__(self, params: MmrBenchParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:  # noqa: ARG002  (rows are filtered when they are read)
        """List two parts, both of the same file: the samples of all datasets, and the outcomes of all models.

        :raises DataError: naming the file or folder that is not there
        """
        path = self.params.path
        if not path.is_file():
            raise DataError("there is no such file", where=str(path), fix="check [logs] path: it is a CSV file")
        if self.params.images is not None and not self.params.images.is_dir():
            raise DataError("is not a folder", where=str(self.params.images), fix="check [logs] images")
        return Listing((Part("samples", "samples", (path,)), Part("outcomes", "outcomes", (path,))))

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part.

        :raises DataError: at once when the file or its header is broken, else with the problems of its rows
        """
        path = part.files[0]
        rows = read_rows(path)
        layout = layout_of(path, header_of(path, rows, FIXED))
        reader = _Reader(path, layout, Names(catalog), Findings())
        if part.kind == "samples":
            yield from _sample_batches(reader, rows, ImageFolder(self.params.images or path.parent))
        else:
            yield from _outcome_batches(reader, rows)
        if not reader.findings:
            reader.names.report(path, ("dataset",) if part.kind == "samples" else ("dataset", "model"), reader.findings)
        reader.findings.stop_if_any()


def layout_of(path: Path, header: Sequence[str]) -> Layout:
    """Find the columns of each model.

    :raises DataError: naming the columns that a model lacks, or when there are no models
    """
    found: dict[str, dict[str, int]] = {}
    others = {}
    for place, name in enumerate(header):
        model, _, suffix = name.rpartition("_")
        if name in FIXED:
            continue
        if model and suffix in SUFFIXES:
            found.setdefault(model, {})[suffix] = place
        else:
            others[name] = place
    findings = Findings()
    where = f"{path}, row 1"
    for model, places in found.items():
        have = shorten_list(header[i] for i in places.values())
        for suffix in (s for s in SUFFIXES if s not in places):
            near = f"; {did_you_mean(f'{model}_{suffix}', others)}" if others else ""
            fix = f"add the column, or rename {have} if there is no such model{near}"
            findings.add(f"model {model!r} has no column '{model}_{suffix}'", where, fix)
    if not found:
        findings.add(f"has no model's columns: NAME_{', NAME_'.join(SUFFIXES)}", where, "copy the file again")
    findings.stop_if_any()
    models = {m: tuple(places[s] for s in SUFFIXES) for m, places in found.items()}
    return Layout({n: header.index(n) for n in FIXED}, models, others)


@attrs.frozen
class _Reader:
    path: Path
    layout: Layout
    names: Names
    findings: Findings

    def cell(self, row: CsvRow, column: str) -> str:
        """Return a cell of a column that all files have."""
        return row.cells[self.layout.fixed[column]]

    def where(self, row: CsvRow, column: str) -> str:
        """Return file, row, line and column."""
        return f"{self.path}, row {row.number} (line {row.line}), column {column}"

    def identity(self, row: CsvRow) -> tuple[str, str] | None:
        """Return the dataset and key of a row, or None where they are not asked for or missing, which is noted."""
        key, number = self.cell(row, "sample_id"), self.cell(row, "dataset_idx")
        for column, value in (("sample_id", key), ("dataset_idx", number)):
            if not value:
                self.findings.add("is empty", self.where(row, column), f"give every row its {column}")
        if not key or not number:
            return None
        dataset = self.names.resolve("dataset", dataset_name(number))
        return (dataset, key) if self.names.wanted("dataset", dataset) else None

    def parsed(self, row: CsvRow, column: str, text: str, parse: Callable[[str], T | None], fix: str) -> T | None:
        """Return what a cell stands for, None where it is empty; what cannot be parsed is noted."""
        if not text:
            return None
        value = parse(text)
        if value is None:
            self.findings.add(f"{text[:60]!r} is not what the column holds", self.where(row, column), fix)
        return value


def dataset_name(text: str) -> str:
    """Return the name of a dataset: a bare number N is the dataset ``dataset-N``."""
    return f"dataset-{text}" if text.isascii() and text.isdigit() else text


# --- samples ------------------------------------------------------------------------------------------------------------


def _sample_batches(reader: _Reader, rows: Iterator[CsvRow], folder: ImageFolder) -> Iterator[pa.RecordBatch]:
    waiting: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        found = reader.identity(row)
        if found is None:
            continue
        images = _images(reader, row, folder)
        fields = [(n, row.cells[i]) for n, i in reader.layout.others.items() if row.cells[i]]
        waiting.append(
            {
                "dataset": found[0],
                "key": found[1],
                "question": reader.cell(row, "question"),
                "answer": reader.cell(row, "answer"),
                "images": images,
                "fields": fields,
            }
        )
        reader.names.use("dataset", found[:1])
        size += sum(map(len, images)) + sum(map(len, row.cells))
        if size > BATCH_BYTES or len(waiting) >= BATCH_ROWS:
            if not reader.findings:
                yield pa.RecordBatch.from_pylist(waiting, schema=_SAMPLES.with_metadata(folder.named()))
            waiting, size = [], 0
    if waiting and not reader.findings:
        yield pa.RecordBatch.from_pylist(waiting, schema=_SAMPLES.with_metadata(folder.named()))


def _images(reader: _Reader, row: CsvRow, folder: ImageFolder) -> list[bytes]:
    text = reader.cell(row, "image_paths")
    images = []
    for path in reader.parsed(row, "image_paths", text, parse_list, "write a path, or a list ['a.png', 'b.png']") or ():
        try:
            images.append(folder.load(path))
        except ImageProblem as problem:
            reader.findings.add(str(problem), reader.where(row, "image_paths"), problem.fix)
    return images


# --- outcomes -----------------------------------------------------------------------------------------------------------


def _outcome_batches(reader: _Reader, rows: Iterator[CsvRow]) -> Iterator[pa.RecordBatch]:
    models = list(reader.layout.models)
    resolved = reader.names.columns(models, f"{reader.path}, row 1", reader.findings)
    reader.findings.stop_if_any()
    wanted = {m: n for m, n in zip(models, resolved, strict=True) if reader.names.wanted("model", n)}
    waiting: list[tuple[Any, ...]] = []
    blank, size = 0, 0
    for row in rows:
        found = reader.identity(row)
        if found is None:
            continue
        size += sum(map(len, row.cells))
        for model, name in wanted.items():
            outcome = _outcome(reader, row, model)
            if outcome is None:
                blank += 1
                continue
            waiting.append((*found, *outcome, name))
            reader.names.use("model", [name])
        reader.names.use("dataset", found[:1])
        if len(waiting) >= BATCH_ROWS or size > BATCH_BYTES:
            yield from _outcome_batch(reader, waiting, blank)
            waiting, blank, size = [], 0, 0
    yield from _outcome_batch(reader, waiting, blank)


def _outcome(reader: _Reader, row: CsvRow, model: str) -> tuple[Any, ...] | None:
    """Return the outcome of a model in the order of the schema, or None where all of its cells are empty."""
    prediction, correct, token, cost = (row.cells[i] for i in reader.layout.models[model])
    if not (prediction or correct or token or cost):
        return None
    score = reader.parsed(row, f"{model}_correct", correct, verdict_of, "write 0, 1 or a fraction in [0, 1]")
    output = reader.parsed(row, f"{model}_token", token, tokens_of, "write the number of output tokens")
    dollars = reader.parsed(
        row, f"{model}_cost", cost, dollars_of, f"write US dollars, between 0 and {HIGHEST_COST:,.0f}"
    )
    if not prediction and not correct:
        fix = "write 0 or 1, or leave all four cells of the model empty where it was not asked"
        reader.findings.add("there is neither a verdict nor a prediction", reader.where(row, f"{model}_correct"), fix)
    return prediction or None, score, None, output, dollars


def _outcome_batch(reader: _Reader, rows: Sequence[tuple[Any, ...]], blank: int) -> Iterator[pa.RecordBatch]:
    if not (rows or blank) or reader.findings:
        return
    counts = {"answers whose cells are all empty": blank} if blank else {}
    schema = _OUTCOMES.with_metadata({"verdict": f"NAME_correct of {reader.path}", "counts": json.dumps(counts)})
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    yield pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def verdict_of(text: str) -> float | None:
    """Return a verdict in [0, 1], or None when the text is not one."""
    value = _VERDICTS.get(text, _number(text))
    return value if value is not None and 0 <= value <= 1 else None


def tokens_of(text: str) -> int | None:
    """Return a number of tokens, or None when the text is not one."""
    value = _number(text)
    return int(value) if value is not None and 0 <= value <= MOST_TOKENS and value.is_integer() else None


def dollars_of(text: str) -> float | None:
    """Return a cost in US dollars, or None when the text is not one, or out of range."""
    value = _number(text)
    return value if value is not None and 0 <= value <= HIGHEST_COST else None
