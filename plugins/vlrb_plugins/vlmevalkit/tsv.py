"""Samples from LMUData TSV files: question, options, and images as base64 text.

Texts are kept as they stand ("None", "007" and " A " are texts, not gaps or numbers).
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlrb.errors import DataError
from vlrb.specs import Dataset
from vlrb_plugins.vlmevalkit.rows import Rows, is_rotation
from vlrb_plugins.vlmevalkit.workbook import text

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_REFERENCE = 64
"""An ``image`` cell of at most this many characters is the index of the row that holds the image (VLMEvalKit's rule)."""

BATCH_BYTES = 32 * 1024**2

Row = Mapping[str, str]


def read_samples(path: Path, dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """Stream the samples of a TSV file in batches of about 32 MB of images.

    :raises DataError: naming file and line of a row that is broken, repeated, or refers to an image that is not there
    """
    batch: list[dict[str, Any]] = []
    size = 0
    for row, images, line in _with_images(path, dataset):
        if dataset.circular and is_rotation(row["index"]):
            continue
        batch.append(_sample(row, dataset, images, line))
        size += sum(len(i) for i in images)
        if size > BATCH_BYTES:
            yield _batch(batch)
            batch, size = [], 0
    if batch:
        yield _batch(batch)


def samples_of_workbook(rows: Rows, dataset: Dataset) -> pa.RecordBatch:
    """Return the samples, without images, of a workbook of predictions.

    :raises DataError: naming file, sheet and row of a cell that cannot be trusted
    """
    optional = ("hint", "answer", "choices", *string.ascii_uppercase)
    columns = {name: rows.column(name) for name in ("question", *(c for c in optional if rows.sheet.has(c)))}
    samples = []
    for i, (index, key) in enumerate(zip(rows.order, rows.keys(dataset), strict=True)):
        row = {name: text(cells[i]) for name, cells in columns.items()} | {dataset.id_column: key}
        samples.append(_sample(row, dataset, [], rows.where(index)))
    return _batch(samples)


def _with_images(path: Path, dataset: Dataset) -> Iterator[tuple[Row, list[bytes], str]]:
    """Yield rows with their images: first those that hold their own or refer backwards, then those that refer forwards."""
    targets = _reference_targets(path)
    held: dict[str, list[bytes]] = {}
    waiting: list[tuple[Row, str]] = []
    for row, line in _rows(path, dataset):
        cell = row["image"]
        refers = 0 < len(cell) <= LONGEST_REFERENCE
        if refers and cell not in held:
            waiting.append((row, line))
            continue
        images = held[cell] if refers else _decoded(cell, line)
        if images and row["index"] in targets:
            held[row["index"]] = images
        yield row, images, line
    for row, line in waiting:
        images = _referred(row, held, line)
        held[row["index"]] = images
        yield row, images, line


def _referred(row: Row, held: Mapping[str, list[bytes]], line: str) -> list[bytes]:
    if row["image"] not in held:
        raise DataError(
            f"the image of index {row['index']!r} is said to be that of index {row['image']!r}, which has none",
            where=line,
            fix="put the image itself, as base64, into the cell",
        )
    return held[row["image"]]


def _reader(path: Path) -> Iterator[tuple[list[str], int]]:
    csv.field_size_limit(sys.maxsize)
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t", strict=True)
            for cells in reader:
                line = reader.line_num
                yield cells, line
    except UnicodeDecodeError as error:
        raise DataError(f"is not encoded as UTF-8: {error}", where=str(path), fix="save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(
            f"is broken or cut off: {error}", where=f"{path}, after line {line}", fix="download or copy the file again"
        ) from None


def _rows(path: Path, dataset: Dataset) -> Iterator[tuple[Row, str]]:
    """Yield the rows by column name, with file and line for messages."""
    reader = _reader(path)
    header, _ = next(reader, ([], 0))
    _check_header(path, header, dataset)
    unique = {"index", dataset.id_column}
    seen: dict[tuple[str, str], int] = {}
    for cells, number in reader:
        line = f"{path}, line {number}"
        if len(cells) != len(header):
            raise DataError(
                f"the row has {len(cells)} cells, the header {len(header)}",
                where=line,
                fix="the file may be cut off: download or copy it again",
            )
        row = dict(zip(header, cells, strict=True))
        for column in sorted(unique):
            before = seen.setdefault((column, row[column]), number)
            if before != number:
                raise DataError(
                    f"{column} {row[column]!r} stands in line {before} already", where=line, fix="keep one of the rows"
                )
        yield row, line
    if not seen:
        raise DataError("has no rows below its header", where=str(path), fix="download or copy the file again")


def _check_header(path: Path, header: Sequence[str], dataset: Dataset) -> None:
    for column in ("index", "question", "image", dataset.id_column):
        if header.count(column) != 1:
            found = ", ".join(header) or "none, the file is empty"
            by_path = column == "image" and "image_path" in header
            raise DataError(
                f"must have one column {column!r}; its columns are: {found}",
                where=str(path),
                fix="images by path are not read: put them into a column image as base64"
                if by_path
                else "download or write the file again; it must have columns index, question and image",
            )


def _reference_targets(path: Path) -> set[str]:
    """Return the indices whose images other rows refer to, so that only these are kept in memory."""
    reader = _reader(path)
    header, _ = next(reader, ([], 0))
    if "image" not in header:
        return set()
    column = header.index("image")
    return {cells[column] for cells, _ in reader if len(cells) > column and 0 < len(cells[column]) <= LONGEST_REFERENCE}


def _decoded(cell: str, line: str) -> list[bytes]:
    """Return the image files of a cell: one base64 text, or a list literal of several."""
    if not cell:
        return []
    parts = _literal_list(cell, line) if cell.startswith("[") else [cell]
    try:
        return [base64.b64decode(p, validate=True) for p in parts]
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the image is no valid base64: {error}", where=line, fix="copy the file again") from None


def _literal_list(cell: str, line: str) -> list[str]:
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise DataError(f"{cell[:60]!r} is no list literal", where=line, fix="write it as ['...', '...']")
    return [str(v) for v in value]


def _options(row: Row, line: str) -> list[dict[str, str]]:
    """Return the options from columns A, B, ... or else from the list literal in ``choices``."""
    lettered = [(c, row[c]) for c in string.ascii_uppercase if row.get(c)]
    if not lettered and row.get("choices", "").startswith("["):
        lettered = list(zip(string.ascii_uppercase, _literal_list(row["choices"], line), strict=False))
    return [{"letter": letter, "text": option} for letter, option in lettered]


def _sample(row: Row, dataset: Dataset, images: Sequence[bytes], line: str) -> dict[str, Any]:
    key = row.get(dataset.id_column, "")
    if not key:
        raise DataError(f"{dataset.id_column} is empty", where=line, fix="every sample needs one")
    return {
        "dataset": dataset.name,
        "key": key,
        "question": row["question"],
        "options": _options(row, line),
        "hint": row.get("hint", ""),
        "answer": row.get("answer", ""),
        "images": list(images),
    }


def _batch(samples: list[dict[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    from vlrb.schemas import SAMPLES

    return pa.RecordBatch.from_pylist(samples, schema=SAMPLES)
