"""Tables of records in Parquet, streamed and cast column by column."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import MOST_TOKENS, DataError, did_you_mean, shorten_list
from vlrb_plugins.records import nested
from vlrb_plugins.records.checks import note
from vlrb_plugins.records.columns import (
    EXPECTED,
    SYNTHETIC_KEY,
    VERSION,
    VERSION_KEY,
    Block,
    Column,
    ColumnKind,
    TableSchema,
    is_text,
)
from vlrb_plugins.records.delimited import MAX_COLUMNS, refuse_special, too_wide
from vlrb_plugins.records.findings import Findings

BATCH_ROWS = 100_000
BATCH_BYTES = 32 * 1024**2
FEW_ROWS = 1_000
"""Most rows of a batch that holds image files: their sizes in the file's metadata are those of distinct ones only."""

MAX_ROW_BYTES = 1024**3
"""Bytes of the largest row, images included."""

_FIRST_ROWS = 16
_BUFFER = 1024**2
_FIX_TYPE = "write the column with another type"


def parquet_blocks(path: Path, table: TableSchema, findings: Findings) -> Iterator[Block]:
    """Stream the rows of a Parquet file.

    :raises DataError: when the file is broken, of another version, or has columns that are missing, unknown or of a wrong type
    """
    file = opened(path)
    check_columns(path, file.schema_arrow, table, findings)
    findings.stop_if_any()
    names = set(file.schema_arrow.names)
    columns = {c.name: c for c in table.columns if c.name in names}
    first = 1
    for batch in batches(path, file):
        yield _block(path, batch, columns, first, findings)
        first += batch.num_rows


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file without reading its rows.

    :raises DataError: when it is none, or cut off
    """
    refuse_special(path)
    try:
        file = pq.ParquetFile(path, buffer_size=_BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    if file.metadata.num_columns > MAX_COLUMNS:
        raise too_wide(file.metadata.num_columns, str(path))
    _refuse_vast_rows(path, file.metadata)
    return file


def _refuse_vast_rows(path: Path, about: pq.FileMetaData) -> None:
    """Refuse rows that take too much memory, by what the file says of its row groups."""
    for i in range(about.num_row_groups):
        group = about.row_group(i)
        if group.total_byte_size > max(group.num_rows, 1) * MAX_ROW_BYTES:
            size, rows = group.total_byte_size, group.num_rows
            raise DataError(
                f"row group {i + 1} unpacks to {size:,} bytes for {rows:,} rows, above the limit of {MAX_ROW_BYTES:,} a row",
                where=str(path),
                fix="check where the file comes from, and write it again with smaller images",
            )


def synthetic_mark(path: Path) -> str:
    """Return what a Parquet file says of its data if they are synthetic; nothing where it cannot be read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):  # reading its rows will tell
        return ""
    return bytes(metadata.get(SYNTHETIC_KEY, b"")).decode(errors="replace")


def batches(path: Path, file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Stream the rows in batches of bounded size.

    :raises DataError: when the file is broken on the way
    """
    try:
        for batch in file.iter_batches(_rows_at_once(file, columns), columns=columns):
            if batch.num_rows:
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"is no readable Parquet file: {reason}", where=str(path), fix="write or copy the file again")


def _rows_at_once(file: pq.ParquetFile, columns: list[str] | None) -> int:
    """Return the rows of a batch of about BATCH_BYTES.

    A text that stands in many rows is held once in the file, and once per row in memory: the first rows tell.
    """
    about = file.metadata
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    rows = int(BATCH_BYTES * about.num_rows // max(size, 1))
    first = next(file.iter_batches(_FIRST_ROWS, columns=columns), None)
    if first is not None and first.num_rows:
        rows = min(rows, BATCH_BYTES * first.num_rows // max(first.nbytes, 1))
    images = file.schema_arrow.field("images").type if "images" in file.schema_arrow.names else None
    holds_files = images is not None and _is_list(images) and _is_binary(images.value_type)
    return max(1, min(rows, FEW_ROWS if holds_files else BATCH_ROWS))


# --- columns ------------------------------------------------------------------------------------------------------------


def check_columns(path: Path, schema: pa.Schema, table: TableSchema, findings: Findings) -> None:
    """Note what is wrong with the version and the columns of a file, before any row is read."""
    _check_version(path, schema, findings)
    names = Counter(schema.names)  # Arrow makes the list anew each time
    for name in sorted(n for n, count in names.items() if count > 1):
        findings.add(f"has several columns {name!r}", str(path), "keep one of them")
    for name in names:
        if name not in table.names:
            fix = f"{did_you_mean(name, table.names)} What scorers need beyond these goes into fields"
            findings.add(f"has an unknown column {name!r}", str(path), fix)
    for name in table.required:
        if name not in names:
            findings.add(f"has no column {name!r}", str(path), f"add it; the columns are: {shorten_list(names, 20)}")
    if table.kind == "outcomes" and not {"score", "prediction"} & set(names):
        findings.add("has neither a column 'score' nor a column 'prediction'", str(path), "add one of them, or both")
    for column in table.columns:
        if names[column.name] == 1 and not _fits(schema.field(column.name).type, column):
            found = schema.field(column.name).type
            where = f"{path}, column {column.name}"
            findings.add(f"holds {found}, must hold {EXPECTED[column.kind]}", where, _FIX_TYPE)


def _check_version(path: Path, schema: pa.Schema, findings: Findings) -> None:
    version = (schema.metadata or {}).get(VERSION_KEY, VERSION)
    if version != VERSION:
        findings.add(
            f"follows version {version.decode(errors='replace')!r} of the schema, this vlrb reads {VERSION.decode()!r}",
            f"{path}, metadata {VERSION_KEY.decode()}",
            "read it with the vlrb that wrote it, and export it again",
        )


def _is_list(t: pa.DataType) -> bool:
    return bool(pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t))


def _is_binary(t: pa.DataType) -> bool:
    return bool(pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_binary_view(t))


def _is_number(t: pa.DataType) -> bool:
    return bool(pa.types.is_floating(t) or pa.types.is_integer(t))


def _is_option(t: pa.DataType) -> bool:
    fields = {f.name: f.type for f in t} if pa.types.is_struct(t) else {}
    return set(fields) == {"letter", "text"} and all(map(is_text, fields.values()))


def _is_map(t: pa.DataType) -> bool:
    if pa.types.is_map(t):
        return is_text(t.key_type) and (is_text(t.item_type) or bool(pa.types.is_null(t.item_type)))
    return bool(pa.types.is_struct(t)) and all(is_text(f.type) or pa.types.is_null(f.type) for f in t)


def _is_rotation(t: pa.DataType, wanted: pa.DataType) -> bool:
    if not pa.types.is_struct(t) or {f.name for f in t} != {f.name for f in wanted.value_type}:
        return False
    options = [f.type for f in t if f.name == "options"]
    texts = [f.type for f in t if f.name != "options"]
    return all(map(is_text, texts)) and all(_is_list(o) and _is_option(o.value_type) for o in options)


def _fits(t: pa.DataType, column: Column) -> bool:
    """Tell whether a column's type in the file can hold what the schema says."""
    inner = t.value_type if _is_list(t) else pa.null()
    fits: Mapping[ColumnKind, bool] = {
        "score": _is_number(t) or bool(pa.types.is_boolean(t)),
        "cost": _is_number(t),
        "count": _is_number(t),
        "flag": bool(pa.types.is_boolean(t)),
        "options": _is_list(t) and (is_text(inner) or _is_option(inner) or bool(pa.types.is_null(inner))),
        "images": _is_list(t) and (is_text(inner) or _is_binary(inner) or bool(pa.types.is_null(inner))),
        "fields": _is_map(t),
        "texts": _is_list(t) and (is_text(inner) or bool(pa.types.is_null(inner))),
        "rotations": column.kind == "rotations" and _is_list(t) and _is_rotation(inner, column.type),
    }
    return bool(pa.types.is_null(t)) or fits.get(column.kind, is_text(t))


# --- rows ---------------------------------------------------------------------------------------------------------------


def _block(path: Path, batch: pa.RecordBatch, columns: Mapping[str, Column], first: int, findings: Findings) -> Block:
    """Return a batch with its columns cast; those that cannot be are noted and left out."""
    numbers = np.arange(first, first + batch.num_rows)
    block = Block(str(path), "row", numbers, {})
    cast = {}
    for name, column in columns.items():
        array = batch.column(name)
        try:
            array.validate(full=True)
            cast[name] = _cast(block, array, column, findings)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            rows = f"rows {first} to {first + batch.num_rows - 1}"
            findings.add(f"cannot be read: {error}", f"{path}, {rows}, column {name}", "write the file again")
    return Block(str(path), "row", numbers, cast)


def _cast(block: Block, array: pa.Array, column: Column, findings: Findings) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), column.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    cast = _CASTS.get(column.kind)
    return cast(block, array, column, findings) if cast is not None else array.cast(column.type)


def _number(_block: Block, array: pa.Array, _column: Column, _findings: Findings) -> pa.Array:
    return array.cast(pa.float64(), safe=False)


def _count(block: Block, array: pa.Array, column: Column, findings: Findings) -> pa.Array:
    """Return whole numbers; a column of floats holds whole numbers too, where other rows are null."""
    values = array.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    good = (values >= 0) & (values <= MOST_TOKENS) & (np.floor(values) == values)
    if not good.all():
        fix = "write the number of tokens, or null where it is not known"
        note(block, column.name, ~good, lambda r: f"{array[r].as_py()} is no number of tokens", fix, findings)
    return pa.array(np.where(good, values, 0).astype(np.int64), mask=nested.nulls_of(array))


def _options(block: Block, array: pa.Array, column: Column, findings: Findings) -> pa.Array:
    """Return options; mere texts get the letters A, B and so on."""
    lengths, values = nested.elements(array.cast(pa.list_(array.type.value_type)))
    if pa.types.is_null(values.type):
        values = values.cast(pa.string())
    if not is_text(values.type):
        parts = [values.field(n).cast(pa.string()) for n in ("letter", "text")]
        both = pa.StructArray.from_arrays(parts, ["letter", "text"], mask=values.is_null())
        return nested.lists(lengths, both, nested.nulls_of(array)).cast(column.type)
    most = len(string.ascii_uppercase)
    if (lengths > most).any():
        message = f"there are more than {most} options, and no letters"
        note(block, column.name, lengths > most, message, "write them as {letter, text}", findings)
        return pa.nulls(len(array), column.type)
    letters = pa.array(list(string.ascii_uppercase)).take(pa.array(nested.places_of(lengths)))
    both = pa.StructArray.from_arrays([letters, values.cast(pa.string())], ["letter", "text"])
    return nested.lists(lengths, both, nested.nulls_of(array)).cast(column.type)


def _images(_block: Block, array: pa.Array, column: Column, _findings: Findings) -> pa.Array:
    inner = array.type.value_type
    return array.cast(pa.list_(pa.string()) if is_text(inner) else column.type)


def _fields(_block: Block, array: pa.Array, _column: Column, _findings: Findings) -> pa.Array:
    split = nested.entries if pa.types.is_map(array.type) else nested.struct_entries
    return nested.text_maps(*split(array), nested.nulls_of(array))


_CASTS: Mapping[ColumnKind, Callable[[Block, pa.Array, Column, Findings], Any]] = {
    "score": _number,
    "cost": _number,
    "count": _count,
    "options": _options,
    "images": _images,
    "fields": _fields,
}
