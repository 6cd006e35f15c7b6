"""Tables of results as text: TSV files and JSON lists, read without guessing types."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vlrb.errors import DataError
from vlrb_plugins.vlmevalkit.table import Cell, Table

MAX_BYTES = 4 * 1024**3
"""Largest file of results that is read."""

AGAIN = "download or copy the file again"


def tsv_lines(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each row of a TSV file, and the number of the line that it ends in.

    :raises DataError: when the file is not UTF-8, or broken or cut off inside a quoted cell
    """
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
        raise DataError(f"is broken or cut off: {error}", where=f"{path}, after line {line}", fix=AGAIN) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), fix=AGAIN) from None


def check_width(cells: list[str], header: list[str], where: str) -> None:
    """Refuse a row with more or fewer cells than the header.

    :raises DataError: naming the row
    """
    if len(cells) != len(header):
        raise DataError(
            f"the row has {len(cells)} cells, the header {len(header)}",
            where=where,
            fix=f"the file may be cut off: {AGAIN}",
        )


def read_tsv_table(path: Path) -> Table:
    """Read a TSV file; every cell is the text that stands there.

    :raises DataError: naming file and line of what is broken
    """
    _refuse_large(path)
    lines = tsv_lines(path)
    header, _ = next(lines, ([], 0))
    if not any(header):
        raise DataError("the first line, which names the columns, is empty", where=str(path), fix=AGAIN)
    rows, numbers = [], []
    for cells, number in lines:
        check_width(cells, header, f"{path}, line {number}")
        rows.append(cells)
        numbers.append(number)
    return Table(path, tuple(h.strip() for h in header), rows, unit="line", numbers=numbers)


def read_json_table(path: Path) -> Table:
    """Read a JSON list of objects, one per row; a bare NaN is an empty cell.

    :raises DataError: when it is anything else
    """
    _refuse_large(path)
    try:
        listed = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=str(path), fix=AGAIN) from None
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise DataError("is no JSON list of objects, one per row", where=str(path), fix=AGAIN)
    header = tuple(dict.fromkeys(name for row in listed for name in row))
    rows: list[list[Cell]] = [["" if row.get(name) is None else row[name] for name in header] for row in listed]
    return Table(path, header, rows, unit="object", numbers=range(1, len(rows) + 1))


def _refuse_large(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), fix=AGAIN) from None
    if size > MAX_BYTES:
        raise DataError(
            f"is {size:,} bytes large, above the limit of {MAX_BYTES:,}", where=str(path), fix="split it by dataset"
        )
