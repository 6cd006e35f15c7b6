"""Reading one sheet of an xlsx workbook, and refusing what cannot be trusted in it.

Cells are read with calamine, which turns error cells and formulas without a stored value into empty text without a trace;
so the sheet's XML is searched for these first.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import attrs
from vlrb.errors import DataError, Problem, shortened

MAX_UNPACKED_BYTES = 2 * 1024**3
_SUSPECT = re.compile(rb'\bt="e"|<(?:\w+:)?f[\s/>]')
_CELL = re.compile(rb'<(?:\w+:)?c r="([A-Z]+)(\d+)"([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)', re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]*)</")
_FORMULA = re.compile(rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>([^<]*)</)")
_REFERENCE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"

Cell = object


@attrs.frozen
class SuspectCell:
    """An error cell or a formula: where it stands and what it holds."""

    column: int
    row: int
    kind: str
    text: str


@attrs.frozen(eq=False)
class Sheet:
    """The first sheet of a workbook: the header of row 1 and the rows below it, whose first is row 2."""

    path: Path
    name: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    suspects: tuple[SuspectCell, ...]

    def where(self, row: int | None = None) -> str:
        """Return file, sheet and, for a row counted from 0 below the header, its number in the sheet."""
        place = f"{self.path}, sheet {self.name!r}"
        return place if row is None else f"{place}, row {row + 2}"

    def has(self, column: str) -> bool:
        """Tell whether there is a column of this name."""
        return column in self.header

    def column(self, name: str, *, formulas: bool = False) -> list[Cell]:
        """Return the cells of a column.

        :param formulas: accept the stored value of a formula; a text column never does, because a text that begins with
            ``=`` becomes a formula in some writers, and its stored value is not the text
        :raises DataError: when the column is missing, stands there twice, or holds cells that cannot be trusted
        """
        if self.header.count(name) != 1:
            state = "there is no column" if name not in self.header else "there are two columns"
            raise DataError(
                f"{state} {name!r}; the columns are: {', '.join(self.header)}",
                where=self.where(),
                fix=f"add a column {name!r}" if name not in self.header else "remove one",
            )
        position = self.header.index(name)
        self._refuse_suspects(name, position, formulas)
        return [row[position] for row in self.rows]

    def _refuse_suspects(self, name: str, position: int, formulas: bool) -> None:
        bad = [
            s for s in self.suspects if s.column == position and not (formulas and s.kind == "a formula") and s.row > 1
        ]
        if not bad:
            return
        cells = shortened(f"row {s.row} is {s.kind} ({s.text})" if s.text else f"row {s.row} is {s.kind}" for s in bad)
        raise DataError(
            f"column {name!r} holds cells whose text was lost when the file was written: {cells}",
            where=self.where(),
            fix="write the workbook again with these cells as plain values",
        )


def read_sheet(path: Path) -> Sheet:
    """Read the first sheet of a workbook.

    :raises DataError: when it is no workbook, is too large, or has no header
    """
    import python_calamine

    suspects = _suspect_cells(path)
    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, OSError, ValueError, IndexError) as error:
        raise _no_workbook(path, str(error)) from None
    if not rows or not any(cell != "" for cell in rows[0]):
        raise DataError("the first row, which names the columns, is empty", where=f"{path}, sheet {sheet.name!r}")
    header = tuple(text(cell).strip() for cell in rows[0])
    body = rows[1:]
    while body and all(cell == "" for cell in body[-1]):
        body.pop()
    return Sheet(path, sheet.name, header, body, suspects)


def text(cell: Cell) -> str:
    """Return a cell as the text it was written from: 12.0 is ``12``, since workbooks store no integers."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)


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
            unpacked = sum(i.file_size for i in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                raise DataError(
                    f"unpacks to {unpacked:,} bytes, above the limit of {MAX_UNPACKED_BYTES:,}", where=str(path)
                )
            xml = archive.read(_first_sheet(archive))
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, StopIteration, EOFError, OSError) as error:
        raise _no_workbook(path, f"{type(error).__name__}: {error}") from None
    if _SUSPECT.search(xml) is None:
        return ()
    return tuple(s for m in _CELL.finditer(xml) if (s := _suspect(m)) is not None)


def _suspect(match: re.Match[bytes]) -> SuspectCell | None:
    letters, row, attributes, content = match.groups()
    column = 0
    for letter in letters:
        column = column * 26 + letter - 64
    value = _VALUE.search(content or b"")
    formula = _FORMULA.search(content or b"")
    shown = (value.group(1) if value else b"").decode(errors="replace")
    if b't="e"' in attributes:
        return SuspectCell(column - 1, int(row), "an error cell", shown)
    if formula is not None:
        source = "=" + (formula.group(1) or b"").decode(errors="replace")
        kind = "a formula" if value is not None else "a formula without a stored value"
        return SuspectCell(column - 1, int(row), kind, source)
    return None


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """Return the name, inside the archive, of the first sheet's XML."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    identifier = next(e.get(_REFERENCE) for e in book.iter() if e.tag.endswith("}sheet"))
    target = next(e.get("Target", "") for e in relations if e.get("Id") == identifier)
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
