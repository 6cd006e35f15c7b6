"""Tables of records in Parquet, streamed and cast column by column."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import MOST_TOKENS, did_you_mean
from vlrb_plugins.records.checks import note_rows
from vlrb_plugins.records.columns import (
    EXPECTED,
    SYNTHETIC_KEY,
    VERSION,
    VERSION_KEY,
    Block,
    Column,
    ColumnKind,
    TableSchema,
)
from vlrb_plugins.records.nested import (
    list_elements,
    make_lists,
    make_text_maps,
    map_entries,
    places_of,
    struct_entries,
)
from vlrb_plugins.shared.log_tables.arrays import is_binary, is_list, is_text, nulls_of
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.parquet_files import Expected, check_schema, open_parquet, parquet_batches


def parquet_blocks(path: Path, table: TableSchema, findings: Findings) -> Iterator[Block]:
    """Stream the rows of a Parquet file.

    :raises DataError: when the file is broken, of another version, or has columns that are missing, unknown or of a wrong type
    """
    file = open_parquet(path)
    check_columns(path, file.schema_arrow, table, findings)
    findings.stop_if_any()
    names = set(file.schema_arrow.names)
    columns = {c.name: c for c in table.columns if c.name in names}
    first = 1
    for batch in parquet_batches(path, file):
        yield _block(path, batch, columns, first, findings)
        first += batch.num_rows


def synthetic_mark(path: Path) -> str:
    """Return what a Parquet file says of its data if they are synthetic; nothing where it cannot be read."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):  # reading its rows will tell
        return ""
    return bytes(metadata.get(SYNTHETIC_KEY, b"")).decode(errors="replace")


# --- columns ------------------------------------------------------------------------------------------------------------


def check_columns(path: Path, schema: pa.Schema, table: TableSchema, findings: Findings) -> None:
    """Note what is wrong with the version and the columns of a file, before any row is read."""
    _check_version(path, schema, findings)
    names = dict.fromkeys(schema.names)
    for name in names:
        if name not in table.names:
            fix = f"{did_you_mean(name, table.names)} What scorers need beyond these goes into fields"
            findings.add(f"has an unknown column {name!r}", str(path), fix)
    if table.kind == "outcomes" and not {"score", "prediction"} & set(names):
        findings.add("has neither a column 'score' nor a column 'prediction'", str(path), "add one of them, or both")
    expected = [Expected(c.name, EXPECTED[c.kind], partial(_fits, column=c), c.required) for c in table.columns]
    check_schema(path, schema, expected, findings)


def _check_version(path: Path, schema: pa.Schema, findings: Findings) -> None:
    version = (schema.metadata or {}).get(VERSION_KEY, VERSION)
    if version != VERSION:
        findings.add(
            f"follows version {version.decode(errors='replace')!r} of the schema, this vlrb reads {VERSION.decode()!r}",
            f"{path}, metadata {VERSION_KEY.decode()}",
            "read it with the vlrb that wrote it, and export it again",
        )


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
    return all(map(is_text, texts)) and all(is_list(o) and _is_option(o.value_type) for o in options)


def _fits(t: pa.DataType, column: Column) -> bool:
    """Tell whether a column's type in the file can hold what the schema says."""
    inner = t.value_type if is_list(t) else pa.null()
    fits: Mapping[ColumnKind, bool] = {
        "score": _is_number(t) or bool(pa.types.is_boolean(t)),
        "cost": _is_number(t),
        "count": _is_number(t),
        "flag": bool(pa.types.is_boolean(t)),
        "options": is_list(t) and (is_text(inner) or _is_option(inner) or bool(pa.types.is_null(inner))),
        "images": is_list(t) and (is_text(inner) or is_binary(inner) or bool(pa.types.is_null(inner))),
        "fields": _is_map(t),
        "texts": is_list(t) and (is_text(inner) or bool(pa.types.is_null(inner))),
        "rotations": column.kind == "rotations" and is_list(t) and _is_rotation(inner, column.type),
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
        note_rows(block, column.name, ~good, lambda r: f"{array[r].as_py()} is not a number of tokens", fix, findings)
    return pa.array(np.where(good, values, 0).astype(np.int64), mask=nulls_of(array))


def _options(block: Block, array: pa.Array, column: Column, findings: Findings) -> pa.Array:
    """Return options; plain texts get the letters A, B and so on."""
    lengths, values = list_elements(array.cast(pa.list_(array.type.value_type)))
    if pa.types.is_null(values.type):
        values = values.cast(pa.string())
    if not is_text(values.type):
        parts = [values.field(n).cast(pa.string()) for n in ("letter", "text")]
        both = pa.StructArray.from_arrays(parts, ["letter", "text"], mask=values.is_null())
        return make_lists(lengths, both, nulls_of(array)).cast(column.type)
    most = len(string.ascii_uppercase)
    if (lengths > most).any():
        message = f"there are more than {most} options, and no letters"
        note_rows(block, column.name, lengths > most, message, "write them as {letter, text}", findings)
        return pa.nulls(len(array), column.type)
    letters = pa.array(list(string.ascii_uppercase)).take(pa.array(places_of(lengths)))
    both = pa.StructArray.from_arrays([letters, values.cast(pa.string())], ["letter", "text"])
    return make_lists(lengths, both, nulls_of(array)).cast(column.type)


def _images(_block: Block, array: pa.Array, column: Column, _findings: Findings) -> pa.Array:
    inner = array.type.value_type
    return array.cast(pa.list_(pa.string()) if is_text(inner) else column.type)


def _fields(_block: Block, array: pa.Array, _column: Column, _findings: Findings) -> pa.Array:
    split = map_entries if pa.types.is_map(array.type) else struct_entries
    return make_text_maps(*split(array), nulls_of(array))


_CASTS: Mapping[ColumnKind, Callable[[Block, pa.Array, Column, Findings], Any]] = {
    "score": _number,
    "cost": _number,
    "count": _count,
    "options": _options,
    "images": _images,
    "fields": _fields,
}
