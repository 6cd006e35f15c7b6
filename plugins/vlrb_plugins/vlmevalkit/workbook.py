"""Reading one sheet of an xlsx workbook, and refusing what cannot be trusted in it.

Cells are read with calamine, which turns error cells and formulas without a stored value into empty text without a trace;
so the sheet's XML is searched for these first.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from vlrb import Array, DataError, Problem
from vlrb_plugins.shared.log_tables.limits import MAX_COLUMNS, refuse_special, too_wide
from vlrb_plugins.vlmevalkit.table import FORMULA, MAX_CELLS, SuspectCell, Table, text

MAX_UNPACKED_BYTES = 1024**3
_TAG = re.compile(rb"<(?:\w+:)?(c|row)\b([^<>]*)")
"""The start of a cell or a row, and its attributes."""

_PLACE = re.compile(rb"""(?<![\w:])r\s*=\s*["']([A-Za-z]*)([0-9]+)["']""")
"""The reference of a cell, or the number of a row."""

_PIECE, _BEFORE, _AFTER = 2**16, 2, 8
"""Bytes that are looked at together, and those beside a byte that tell what it is.

Arrays of 128 KB and more would come from the system one by one, and each take longer to get than to fill.
"""

_DIGITS = 12
"""As many digits or letters of a place are read: it is far out by then."""

_TRACES = re.compile(rb"""\bt\s*=\s*["']e["']|[<:]f[\s>/]""")
"""What a sheet's XML holds where it has an error cell or a formula; it may stand there for other reasons."""

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, ElementTree.ParseError),
    *(KeyError, ValueError, EOFError, OSError, RuntimeError),
)


def read_sheet(path: Path) -> Table:
    """Read the first sheet of a workbook.

    :raises DataError: when it is not a workbook, is too large, or has no header
    """
    import python_calamine

    refuse_special(path)
    suspects = _suspect_cells(path)
    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, OSError, ValueError, IndexError, OverflowError) as error:
        raise _no_workbook(path, str(error)) from None
    except BaseException as error:  # a panic in calamine is not an Exception
        if type(error).__name__ != "PanicException":
            raise
        raise _no_workbook(path, str(error)) from None
    if not rows or not any(cell != "" for cell in rows[0]):
        raise DataError(
            "the first row, which names the columns, is empty",
            where=f"{path}, sheet {sheet.name!r}",
            fix="put the table into the first sheet, beginning in cell A1 with the names of its columns",
        )
    header = tuple(text(cell).strip() for cell in rows[0])
    body = rows[1:]
    while body and all(cell == "" for cell in body[-1]):
        body.pop()
    return Table(path, header, body, sheet.name, suspects)


def _no_workbook(path: Path, reason: str) -> DataError:
    size = path.stat().st_size if path.exists() else 0
    return DataError(
        Problem(
            f"is not a readable xlsx workbook ({size:,} bytes): {reason}",
            str(path),
            "copy or export the file again; it may be half-written or of another format",
        )
    )


def _suspect_cells(path: Path) -> tuple[SuspectCell, ...]:
    """Find error cells and formulas in the XML of the first sheet."""
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_large(archive, path)
            book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
            xml = archive.read(_first_sheet(archive, book))
        if _surely_plain(xml):
            return ()
        _refuse_vast(xml, path)
        if not _TRACES.search(xml):
            return ()
        return tuple(_suspects(xml, _never_calculated(book)))
    except _UNREADABLE as error:
        raise _no_workbook(path, f"{type(error).__name__}: {error}") from None


def _refuse_large(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse what would unpack to too much, by what the archive says; neither zipfile nor calamine unpacks more than it says."""
    unpacked = sum(i.file_size for i in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise DataError(
            f"unpacks to {unpacked:,} bytes, above the limit of {MAX_UNPACKED_BYTES:,}",
            where=str(path),
            fix="check where the file comes from; if it is right, write it again without the columns that are not needed",
        )


def _surely_plain(xml: bytes) -> bool:
    """Tell whether a look at single bytes rules out formulas, error cells, and far references.

    This is several times faster than searching for each of them, and true of nearly every sheet; where it is not, they are
    searched for.
    """
    return all(_plain_piece(xml, start) for start in range(0, len(xml), _PIECE))


def _plain_piece(xml: bytes, start: int) -> bool:
    """Tell this of some bytes from ``start`` on.  References to six digits count as far here, which is easier to see."""
    first, stop = max(0, start - _BEFORE), start + _PIECE + _AFTER
    piece = b" " * (_BEFORE - (start - first)) + xml[first:stop] + b" " * max(0, stop - len(xml))
    padded = np.frombuffer(piece, np.uint8)
    earlier, before, here, after, later = (padded[_BEFORE + n : len(padded) - _AFTER + n] for n in range(-2, 3))
    opening = (here == ord("<")) | (here == ord(":"))
    if np.count_nonzero(opening & (after == ord("f"))):
        return False  # perhaps a formula; counting is many times faster than any()
    if not _all_placed(padded, opening):
        return False
    equals = here == ord("=")
    odd = (before <= ord(" ")) | ((after != ord('"')) & (after != ord("'")))
    errors = (before == ord("t")) & (later == ord("e"))
    if np.count_nonzero(equals & (odd | errors)):
        return False
    places = np.flatnonzero(equals & (before == ord("r")) & (earlier != ord(":"))) + _BEFORE  # xmlns:r names no cell
    wide = long = places
    for offset in (2, 3):  # two letters
        wide = wide[(padded[wide + offset] | 32) - ord("a") < 26]  # of 8 bits: what is less wraps around
    for offset in range(8, 2, -1):  # six digits, the last of which is rarely there
        long = long[padded[long + offset] - ord("0") < 10]
    return not (wide.size or long.size)


def _all_placed(padded: Array, opening: Array) -> bool:
    """Tell whether every cell and row begins with its place, as all known programs write them.

    Without, they follow the one before, so that their places cannot be seen at a glance.

    :param opening: for each byte of the piece: whether it is ``<``, or a ``:`` that may belong to one
    """
    for name in (b"c", b"row"):
        tags = np.flatnonzero(opening & (padded[_BEFORE + 1 : len(padded) - _AFTER + 1] == name[0])) + _BEFORE
        for offset, letter in enumerate(name[1:], start=2):
            tags = tags[padded[tags + offset] == letter]
        after = len(name) + 1
        tags = tags[padded[tags + after] - ord("A") > ord("z") - ord("A")]  # of 8 bits: no letter follows
        wanted = b" r="
        for offset, letter in enumerate(wanted, start=after):
            if np.count_nonzero(padded[tags + offset] != letter):
                return False
    return True


def _extent(xml: bytes) -> tuple[int, int]:
    """Return the number of the last row and the last column.  What has no place of its own follows the one before."""
    last_row = last_column = row = column = 0
    for tag, attributes in (match.groups() for match in _TAG.finditer(xml)):
        place = _PLACE.search(attributes)
        if tag == b"row":
            row, column = _row_number(place[2]) if place else row + 1, 0
        else:
            column = _column_number(place[1][:_DIGITS].decode()) if place else column + 1
            row = max(row, _row_number(place[2])) if place else row
        last_row, last_column = max(last_row, row), max(last_column, column)
    return last_row, last_column


def _row_number(digits: bytes) -> int:
    return int(digits.lstrip(b"0")[:_DIGITS] or b"0")


def _refuse_vast(xml: bytes, path: Path) -> None:
    """Refuse a sheet whose corner lies far out: all cells up to it would be made, however few there are."""
    rows, columns = _extent(xml)
    if rows * columns > MAX_CELLS:
        raise DataError(
            f"spans {rows:,} rows and {columns:,} columns, above the limit of {MAX_CELLS:,} cells",
            where=str(path),
            fix="remove the cells that stand far from the table",
        )
    if columns > MAX_COLUMNS:
        raise too_wide(columns, str(path))


def _suspects(xml: bytes, never_calculated: bool) -> Iterator[SuspectCell]:
    """Yield error cells and formulas.  A cell or row without its ``r`` attribute follows the one before it."""
    row = column = 0
    for event, element in ElementTree.iterparse(io.BytesIO(xml), events=("start", "end")):
        tag = _local(element.tag)
        if event == "start" and tag == "row":
            row, column = int(element.get("r", row + 1)), 0
        elif event == "end" and tag == "c":
            column = _column_number(element.get("r", "")) or column + 1
            suspect = _suspect(element, never_calculated)
            if suspect is not None and row > 1:
                yield SuspectCell(column - 1, row, *suspect)
        elif event == "end" and tag == "row":
            element.clear()


def _suspect(cell: ElementTree.Element, never_calculated: bool) -> tuple[str, str] | None:
    """Return the kind of a suspect cell and what it shows, or None for a plain value."""
    parts = {_local(part.tag): part.text or "" for part in cell}
    if cell.get("t") == "e":
        return "is an error cell", parts.get("v", "")
    if "f" not in parts:
        return None
    has_value = bool(parts.get("v")) or ("v" in parts and cell.get("t") == "str")
    if never_calculated and has_value:
        return "is a formula that was never calculated", f"={parts['f']}"
    return FORMULA if has_value else "is a formula without a stored value", f"={parts['f']}"


def _never_calculated(book: ElementTree.Element) -> bool:
    """Tell whether a workbook asks for all its formulas to be calculated when it is opened.

    Then their stored values are no results: xlsxwriter writes 0 for every formula.
    """
    return any(_local(e.tag) == "calcPr" and e.get("fullCalcOnLoad") in ("1", "true") for e in book)


def _first_sheet(archive: zipfile.ZipFile, book: ElementTree.Element) -> str:
    """Return the name, inside the archive, of the first sheet's XML."""
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {e.get("Id"): e.get("Target", "") for e in relations}
    sheet = next((e for e in book.iter() if _local(e.tag) == "sheet"), None)
    if sheet is None:
        raise KeyError("the workbook has no sheet")
    target = targets[next(value for name, value in sheet.items() if _local(name) == "id")]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _column_number(reference: str) -> int:
    """Return the number, from 1, of the column of a cell such as AB12; 0 where there is no reference."""
    number = 0
    for letter in reference.rstrip("0123456789").upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
