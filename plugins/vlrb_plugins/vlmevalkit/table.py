"""A table of results as VLMEvalKit writes it: the first sheet of a workbook, a TSV file, or a JSON list of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path

import attrs

from vlrb import DataError, shorten_list

MAX_CELLS = 20_000_000
"""Cells of the largest table of results: that of a million rows has twenty columns."""

FORMULA = "is a formula"
LARGEST_EXACT = 2**53
"""Whole numbers below this are exact as floating-point numbers."""

NAN_LIKE = frozenset(["", "nan", "NaN", "None", "NA", "N/A", "n/a", "null", "NULL", "<NA>", "#N/A"])
"""Texts that VLMEvalKit's own readers take for gaps, and lose when they write a file again."""

Cell = object


@attrs.frozen
class SuspectCell:
    """A cell without a value that can be trusted: an error cell or a formula of a workbook, a key that an object lacks.

    ``column`` counts from 0; ``row`` is the row's number in the file.
    """

    column: int
    row: int
    kind: str
    text: str


@attrs.frozen(eq=False)
class Table:
    """The header and the rows below it.

    ``name`` is that of a workbook's sheet.  ``unit`` is what rows are called in messages, and ``numbers`` says which number
    each has; a workbook's first row below the header is row 2.  ``repaired`` counts texts that had to be changed when they
    were read.
    """

    path: Path
    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    name: str = ""
    suspects: tuple[SuspectCell, ...] = ()
    unit: str = "row"
    numbers: Sequence[int] = ()
    repaired: int = 0

    def where(self, row: int | None = None) -> str:
        """Return file, sheet and, for a row counted from 0 below the header, its number."""
        place = f"{self.path}, sheet {self.name!r}" if self.name else str(self.path)
        return place if row is None else f"{place}, {self.unit} {self.number(row)}"

    def number(self, row: int) -> int:
        """Return the number of a row in its file."""
        return self.numbers[row] if self.numbers else row + 2

    def has(self, column: str) -> bool:
        """Tell whether there is a column of this name."""
        return column in self._places

    def column(self, name: str, *, formulas: bool = False) -> Sequence[Cell]:
        """Return the cells of a column.

        :param formulas: accept the stored value of a formula; a text column never does, because a text that begins with
            ``=`` becomes a formula in some writers, and its stored value is not the text
        :raises DataError: when the column is missing, appears twice, or holds cells that cannot be trusted
        """
        places = self._places.get(name, ())
        if len(places) != 1:
            state = "there are several columns" if places else "there is no column"
            raise DataError(
                f"{state} {name!r}; the columns are: {shorten_list(self.header, 20)}",
                where=self.where(),
                fix="keep one" if places else f"add a column {name!r}",
            )
        position = places[0]
        self._refuse_suspects(name, position, formulas)
        return list(map(itemgetter(position), self.rows))

    @cached_property
    def _places(self) -> Mapping[str, Sequence[int]]:
        """Name -> where columns of this name stand."""
        places: dict[str, list[int]] = {}
        for position, name in enumerate(self.header):
            places.setdefault(name, []).append(position)
        return places

    @cached_property
    def _suspects_of(self) -> Mapping[int, Sequence[SuspectCell]]:
        """Column -> its cells that cannot be trusted."""
        found: dict[int, list[SuspectCell]] = {}
        for each in self.suspects:
            found.setdefault(each.column, []).append(each)
        return found

    def _refuse_suspects(self, name: str, position: int, formulas: bool) -> None:
        bad = [s for s in self._suspects_of.get(position, ()) if not (formulas and s.kind == FORMULA)]
        if not bad:
            return
        cells = shorten_list(f"{self.unit} {s.row} {s.kind}" + (f" ({s.text})" if s.text else "") for s in bad)
        raise DataError(
            f"column {name!r} holds cells whose value was lost, or never stored, when the file was written: {cells}",
            where=self.where(),
            fix="write the file again with these cells as plain values",
        )


def refuse_many_cells(cells: int, path: Path) -> None:
    """Refuse a table whose cells would take too much memory.

    :raises DataError: when there are more than MAX_CELLS
    """
    if cells > MAX_CELLS:
        fix = "split it by dataset, or write it without the columns that are not needed"
        raise DataError(f"has more than {MAX_CELLS:,} cells, which is the limit", where=str(path), fix=fix)


def text(cell: Cell) -> str:
    """Return a cell as the text it was written from: 12.0 is ``12``, since workbooks store no integers; NaN is empty."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float):
        if cell != cell:
            return ""
        if cell.is_integer() and abs(cell) < LARGEST_EXACT:
            return str(int(cell))
    return "" if cell is None else str(cell)


def texts(cells: Sequence[Cell]) -> list[str]:
    """Return cells as the texts they were written from."""
    return [cell if type(cell) is str else text(cell) for cell in cells]


def whole_numbers(cells: Sequence[Cell]) -> list[int] | None:
    """Return cells as integers where all of them are whole numbers of at least 0 that a workbook holds exactly, else None.

    Columns of indices, verdicts and tokens are such nearly always, and this is many times faster than a look at each cell.
    """
    if set(map(type, cells)) - {float, int}:
        return None
    try:
        numbers = list(map(int, cells))  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return (
        numbers if numbers and numbers == list(cells) and min(numbers) >= 0 and max(numbers) < LARGEST_EXACT else None
    )
