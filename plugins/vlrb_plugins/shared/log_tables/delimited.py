"""CSV and TSV files, read strictly: every row has as many cells as the header, and knows its row and line."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from vlrb import DataError, shorten_list
from vlrb_plugins.shared.log_tables.limits import MAX_COLUMNS, refuse_special, too_wide


@attrs.frozen
class CsvRow:
    """The cells of a row, with its number (the header is row 1) and the line on which it begins."""

    number: int
    line: int
    cells: Sequence[str]


def read_rows(path: Path, delimiter: str = ",") -> Iterator[CsvRow]:
    """Yield the rows of a file, the header first; empty lines are skipped.

    :raises DataError: naming file, row and line, when it is broken, cut off or not UTF-8, or a row has too few or many cells
    """
    refuse_special(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from parse_rows(path, file, delimiter)
    except UnicodeDecodeError as error:
        raise DataError(f"is not encoded as UTF-8: {error}", where=str(path), fix="save it as UTF-8") from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the file's permissions"
        ) from None


def parse_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[CsvRow]:
    """Yield the rows of lines of text, the header first.

    :raises DataError: naming file, row and line, when they are broken or cut off
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number, width, line = 0, 0, 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            where = f"{path}, row {number + 1} (line {line})"
            raise DataError(f"is broken or cut off: {error}", where=where, fix="copy or write the file again") from None
        if cells is None:
            return
        if cells:
            number += 1
            width = width or len(cells)
            if len(cells) != width:
                raise DataError(
                    f"the row has {len(cells)} cells, the header {width}",
                    where=f"{path}, row {number} (line {line})",
                    fix="the file may be cut off: copy or write it again",
                )
            yield CsvRow(number, line, cells)
        line = reader.line_num + 1


def header_of(path: Path, rows: Iterator[CsvRow], required: Sequence[str]) -> Sequence[str]:
    """Return the names of the columns.

    :raises DataError: when there is no header, a name is empty or appears twice, or a required column is missing
    """
    first = next(rows, None)
    where = f"{path}, row 1"
    if first is None:
        raise DataError("is empty", where=str(path), fix="copy or write the file again")
    names = first.cells
    if len(names) > MAX_COLUMNS:
        raise too_wide(len(names), where)
    if "" in names:
        fix = "write the file without an index column (pandas: index=False)"
        raise DataError(f"column {names.index('') + 1} has no name", where=where, fix=fix)
    twice = sorted(n for n, count in Counter(names).items() if count > 1)
    if twice:
        raise DataError(f"column {twice[0]!r} appears twice", where=where, fix="keep one of them")
    missing = [n for n in required if n not in names]
    if missing:
        fix = f"add it; the columns are: {shorten_list(names, 20)}"
        raise DataError(f"has no column {', '.join(map(repr, missing))}", where=where, fix=fix)
    return names
