"""Tables of records as JSON lines, streamed; every value is checked against its column before it becomes Arrow."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vlrb import MOST_TOKENS, DataError, did_you_mean
from vlrb_plugins.records.columns import EXPECTED, Block, Column, ColumnKind, TableSchema, is_unicode
from vlrb_plugins.records.delimited import MAX_COLUMNS, refuse_special
from vlrb_plugins.records.findings import Findings
from vlrb_plugins.records.parquet import BATCH_BYTES, BATCH_ROWS

LONGEST_LINE = 256 * 1024**2
_TEXT_LIST = pa.list_(pa.string())
_SHOWN = 60


class _Wrong(Exception):
    """A value is not what its column holds."""


def json_lines(path: Path, findings: Findings) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield number, length in bytes, and object of every line; empty lines are passed over, broken ones are noted.

    :raises DataError: when the file cannot be read, or a line is too long
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    fix = "write a JSON object per line"
                    raise DataError(f"is longer than {LONGEST_LINE:,} bytes", where=f"{path}, line {number}", fix=fix)
                row = _object(line, path, number, findings) if line.strip() else None
                if row is not None:
                    yield number, len(line), row
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the file's permissions"
        ) from None


def _object(line: bytes, path: Path, number: int, findings: Findings) -> dict[str, Any] | None:
    where = f"{path}, line {number}"
    try:
        value = _DECODER.decode(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        findings.add(f"is not encoded as UTF-8: {error}", where, "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        findings.add(f"is no JSON: {error}", where, "write the line again; the file may be cut off")
    else:
        if isinstance(value, dict):
            return value
        findings.add(f"is no JSON object but {_shown(value)}", where, "write an object {...} per line")
    return None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(pairs) > MAX_COLUMNS:
        raise ValueError(f"an object has {len(pairs):,} keys, above the limit of {MAX_COLUMNS:,}")
    if len(value) < len(pairs):
        twice = next(n for n, count in Counter(n for n, _ in pairs).items() if count > 1)
        raise ValueError(f"{_shown(twice)} is there twice in one object")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


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
            findings.add(f"has an unknown key {_shown(name)}", where, fix)
            wrong = True
        elif value is not None:
            try:
                checked[name] = _CHECKS[known[name].kind](value, known[name])
            except _Wrong as error:
                number = type(value) in (int, float) and EXPECTED[known[name].kind].startswith("text")
                fix = f'write it in quotation marks: "{value}"' if number else f"write {str(error).partition(': ')[0]}"
                findings.add(f"{_shown(value)} is not {error}", f"{where}, column {name}", fix)
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
    """Return options; mere texts get the letters A, B and so on."""
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
