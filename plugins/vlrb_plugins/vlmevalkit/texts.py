"""Tables of results as text: TSV files and JSON lists, read without guessing types."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vlrb import DataError, shorten_list
from vlrb_plugins.shared.log_tables.limits import MAX_COLUMNS, refuse_special, too_wide
from vlrb_plugins.vlmevalkit.table import Cell, SuspectCell, Table, refuse_many_cells

MAX_BYTES = 4 * 1024**3
"""Largest file of results that is read."""

MAX_GAPS = 1_000_000
"""Keys that objects of a JSON list may lack, all together: each gap is remembered with its place."""

AGAIN = "download or copy the file again"


# --- TSV --------------------------------------------------------------------------------------------------------------


def tsv_lines(path: Path) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each row of a TSV file, and the number of the line that it ends in; blank lines are no rows.

    :raises DataError: when the file is not UTF-8, or broken or cut off inside a quoted cell
    """
    refuse_special(path)
    csv.field_size_limit(sys.maxsize)
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for text in file:
                if '"' in text:
                    reader = csv.reader(itertools.chain([text], file), delimiter="\t", strict=True)
                    cells = next(reader)
                    line += reader.line_num
                else:  # several times faster, since image files are long
                    row = text.rstrip("\r\n")
                    cells = row.split("\t") if row else []
                    line += 1
                if cells:
                    if len(cells) > MAX_COLUMNS:
                        raise too_wide(len(cells), f"{path}, line {line}")
                    yield cells, line
    except UnicodeDecodeError as error:
        where = f"{path}, after line {line}"
        raise DataError(f"is not encoded as UTF-8: {error}", where=where, fix="save it as UTF-8") from None
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
    """Read a TSV file; every cell is kept as text.

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
        refuse_many_cells(len(rows) * len(header), path)
    return Table(path, tuple(h.strip() for h in header), rows, unit="line", numbers=numbers)


# --- JSON -------------------------------------------------------------------------------------------------------------


def read_json_table(path: Path) -> Table:
    """Read a JSON list of objects, one per row; null and a bare NaN are empty cells.

    Half of a pair of surrogates is no character and cannot be stored: it becomes U+FFFD, which is counted.

    :raises DataError: when it is not one
    """
    _refuse_large(path)
    repaired: list[str] = []

    def of_pairs(pairs: list[tuple[str, Cell]]) -> dict[str, Cell]:
        if len(pairs) > MAX_COLUMNS:
            raise ValueError(f"an object has {len(pairs):,} keys, above the limit of {MAX_COLUMNS:,}")
        made = {_whole(name, repaired): _whole(cell, repaired) if type(cell) is str else cell for name, cell in pairs}
        if len(made) != len(pairs):
            raise ValueError(f"an object has one key twice; its keys are {shorten_list((n for n, _ in pairs), 20)}")
        return made

    try:
        listed = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=of_pairs)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", where=str(path), fix=AGAIN) from None
    if isinstance(listed, dict) and "index" in listed and all(isinstance(c, list | dict) for c in listed.values()):
        fix = 'write it again by rows: [{"index": 1, "prediction": "..."}, ...] (pandas: orient="records")'
        raise DataError(f"is a table by columns ({shorten_list(listed)})", where=str(path), fix=fix)
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise DataError("is not a JSON list of objects, one per row", where=str(path), fix=AGAIN)
    if not listed:
        raise DataError(
            "is an empty list: there are no rows", where=str(path), fix="run the model again, or leave it out"
        )
    header = tuple(dict.fromkeys(name for row in listed for name in row))
    if len(header) > MAX_COLUMNS:
        raise too_wide(len(header), str(path))
    refuse_many_cells(len(header) * len(listed), path)
    _refuse_many_gaps(len(header) * len(listed) - sum(map(len, listed)), path)
    rows: list[list[Cell]] = [["" if row.get(name) is None else row[name] for name in header] for row in listed]
    absent = tuple(
        SuspectCell(column, number, "does not have it", "")
        for number, row in enumerate(listed, start=1)
        if len(row) != len(header)
        for column, name in enumerate(header)
        if name not in row
    )
    numbers = range(1, len(rows) + 1)
    return Table(path, header, rows, suspects=absent, unit="object", numbers=numbers, repaired=len(repaired))


def _refuse_many_gaps(gaps: int, path: Path) -> None:
    if gaps > MAX_GAPS:
        raise DataError(
            f"its objects lack {gaps:,} of the keys that others have, above the limit of {MAX_GAPS:,}",
            where=str(path),
            fix='write every key in every object, null where there is nothing (pandas: orient="records")',
        )


def _whole(said: str, repaired: list[str]) -> str:
    """Return a text that can be encoded, and note it where it had to be changed."""
    try:
        said.encode()
    except UnicodeEncodeError:
        repaired.append(said)
        return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return said


def _refuse_large(path: Path) -> None:
    refuse_special(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"has {size:,} bytes, above the limit of {MAX_BYTES:,}", where=str(path), fix="split it by dataset"
        )
