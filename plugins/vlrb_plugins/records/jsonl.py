"""Tables of records as JSON lines, streamed; every value is checked against its column before it becomes Arrow."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vlrb import MOST_TOKENS, did_you_mean
from vlrb_plugins.records.columns import EXPECTED, Block, Column, ColumnKind, TableSchema
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.json_lines import json_lines, shorten_value
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES, BATCH_ROWS
from vlrb_plugins.shared.log_tables.texts import is_unicode

_TEXT_LIST = pa.list_(pa.string())


class _Wrong(Exception):
    """A value is not what its column holds."""


# --- blocks -------------------------------------------------------------------------------------------------------------


def jsonl_blocks(path: Path, table: TableSchema, findings: Findings) -> Iterator[Block]:
    """Stream the rows of a JSON lines file in blocks of bounded size; rows that are wrong are noted and left out.

    :raises DataError: when the file cannot be read, or too much is wrong with it to go on
    """
    known = {c.name: c for c in table.columns}
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    size = 0
    for number, length, row in json_lines(path, findings):
        checked = _checked(row, known, f"{path}, line {number}", findings)
        if checked is None:
            continue
        rows.append(checked)
        numbers.append(number)
        size += length
        if size > BATCH_BYTES or len(rows) >= BATCH_ROWS:
            yield _block(path, table, rows, numbers)
            rows, numbers, size = [], [], 0
    if rows:
        yield _block(path, table, rows, numbers)


def _block(path: Path, table: TableSchema, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> Block:
    columns = {}
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        if column.required or any(v is not None for v in values):
            columns[column.name] = pa.array(values, _TEXT_LIST if column.kind == "images" else column.type)
    return Block(str(path), "line", np.array(numbers), columns)


def _checked(
    row: Mapping[str, Any], known: Mapping[str, Column], where: str, findings: Findings
) -> dict[str, Any] | None:
    """Return a row with values of the right types, or None after noting what is wrong with it."""
    checked: dict[str, Any] = {}
    wrong = False
    for name, value in row.items():
        if name not in known:
            fix = f"{did_you_mean(name, known)} What scorers need beyond these goes into fields"
            findings.add(f"has an unknown key {shorten_value(name)}", where, fix)
            wrong = True
        elif value is not None:
            try:
                checked[name] = _CHECKS[known[name].kind](value, known[name])
            except _Wrong as error:
                number = type(value) in (int, float) and EXPECTED[known[name].kind].startswith("text")
                fix = f'write it in quotation marks: "{value}"' if number else f"write {str(error).partition(': ')[0]}"
                findings.add(f"{shorten_value(value)} is not {error}", f"{where}, column {name}", fix)
                wrong = True
    return None if wrong else checked


# --- values -------------------------------------------------------------------------------------------------------------


def _text(value: object, column: Column) -> str:
    if not isinstance(value, str):
        raise _Wrong(EXPECTED[column.kind])
    if not is_unicode(value):
        raise _Wrong("a text that can be written as UTF-8: it holds half of a surrogate pair")
    return value


def _number(value: object, column: Column) -> float:
    if column.kind == "score" and isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(EXPECTED[column.kind])
    try:
        return float(value)
    except OverflowError:
        raise _Wrong("a finite number") from None


def _count(value: object, _column: Column) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:
        raise _Wrong("a number of tokens")
    if value != int(value):
        raise _Wrong("a whole number of tokens")
    return int(value)


def _flag(value: object, column: Column) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(EXPECTED[column.kind])
    return value


def _list(value: object, column: Column) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong(EXPECTED[column.kind])
    return value


def _texts(value: object, column: Column) -> list[str]:
    return [_text(v, column) for v in _list(value, column)]


def _fields(value: object, column: Column) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise _Wrong(EXPECTED[column.kind])
    return [(_text(k, column), _text(v, column)) for k, v in value.items() if v is not None]


def _options(value: object, column: Column) -> list[dict[str, str]]:
    """Return options; plain texts get the letters A, B and so on."""
    listed = _list(value, column)
    if listed and all(isinstance(o, str) for o in listed):
        if len(listed) > len(string.ascii_uppercase):
            raise _Wrong("options with letters, of which more than 26 need one each: {letter, text}")
        return [{"letter": a, "text": _text(t, column)} for a, t in zip(string.ascii_uppercase, listed, strict=False)]
    return [_object_of(o, ("letter", "text"), column) for o in listed]


def _object_of(value: object, names: tuple[str, ...], column: Column) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise _Wrong(EXPECTED[column.kind])
    return {n: _options(value[n], column) if n == "options" else _text(value[n], column) for n in names}


def _rotations(value: object, column: Column) -> list[dict[str, Any]]:
    names = tuple(f.name for f in column.type.value_type)
    return [_object_of(r, names, column) for r in _list(value, column)]


_CHECKS: Mapping[ColumnKind, Callable[[Any, Column], Any]] = {
    "name": _text,
    "text": _text,
    "split": _text,
    "score": _number,
    "cost": _number,
    "count": _count,
    "flag": _flag,
    "options": _options,
    "images": _texts,
    "fields": _fields,
    "texts": _texts,
    "rotations": _rotations,
}
