"""The rows of a table of results by the index of their samples, as VLMEvalKit joins its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from vlrb import DataError, Dataset, Problem
from vlrb_plugins.vlmevalkit.formats import read_table
from vlrb_plugins.vlmevalkit.table import LARGEST_EXACT, Cell, Table, text, texts, whole_numbers

ROTATION = 1_000_000
"""MMBench: the index of rotation r of a question is the question's index + r times this."""

_MOST_PROBLEMS = 20
_WHOLE = re.compile(r"[0-9]+\.0+")


@attrs.frozen(eq=False)
class Rows:
    """A table's rows by their index as text.

    ``order`` leaves out the rotations of circular questions, ``position`` does not; ``rotations`` holds their indices by the
    question's.  ``repeated`` counts rows left out because an earlier one has their index.
    """

    table: Table
    order: Sequence[str]
    position: Mapping[str, int]
    rotations: Mapping[str, Sequence[str]]
    repeated: int = 0

    def column(self, name: str, *, formulas: bool = False) -> Sequence[Cell]:
        """Return a column's cells in ``order``."""
        cells = self.table.column(name, formulas=formulas)
        return cells if len(self.order) == len(cells) else [cells[self.position[i]] for i in self.order]

    def where(self, index: str) -> str:
        """Return file, sheet and row of an index."""
        return self.table.where(self.position[index])

    def keys(self, dataset: Dataset) -> Sequence[str]:
        """Return the keys that name the samples, in ``order``.

        :raises DataError: when a key is empty or appears twice
        """
        if dataset.id_column == "index":
            return self.order
        keys = texts(self.column(dataset.id_column))
        _positions(self.table, dataset.id_column, keys, [self.position[i] for i in self.order])
        return keys


def read_rows(path: Path, dataset: Dataset, *, keep_first: bool = False) -> Rows:
    """Read a table of a dataset's results.

    :param keep_first: of rows with one index keep the first, and count the others, instead of refusing them
    :raises DataError: naming file, sheet and row, when it cannot be read, has no rows, or an index is empty or repeated
    """
    table = read_table(path)
    cells = table.column("index")
    if not cells:
        raise DataError(
            "there are no rows below the header", where=table.where(), fix="run the model again, or leave the file out"
        )
    refuse_nested(table, "index", cells)
    whole = whole_numbers(cells)
    if whole is None:
        _refuse_rounded(table, cells)
    indices = list(map(str, whole)) if whole is not None else [index_text(cell) for cell in cells]
    position = _positions(table, "index", indices, range(len(indices)), keep_first=keep_first)
    order = list(position)
    turned = []
    if dataset.circular and whole is not None and len(order) == len(whole):
        turned = [i for i, number in zip(order, whole, strict=True) if number >= ROTATION]
    elif dataset.circular:
        turned = [i for i in order if is_rotation(i)]
    rotations: dict[str, list[str]] = {}
    for index in turned:
        rotations.setdefault(question_of(index), []).append(index)
    if turned:
        apart = set(turned)
        order = [i for i in order if i not in apart]
    return Rows(table, order, position, rotations, len(indices) - len(position))


def _refuse_rounded(table: Table, cells: Sequence[Cell]) -> None:
    """Refuse indices beyond what a floating-point number holds exactly, which is what a workbook stores numbers as.

    :raises DataError: naming the first
    """
    rounded = [row for row, cell in enumerate(cells) if type(cell) is float and abs(cell) >= LARGEST_EXACT]
    if rounded:
        raise DataError(
            f"index {cells[rounded[0]]:.0f} has more than 15 digits, and was rounded when it was stored as a number "
            f"({len(rounded):,} rows)",
            where=table.where(rounded[0]),
            fix="write the index as text, or as TSV or JSON (PRED_FORMAT)",
        )


def refuse_nested(table: Table, name: str, cells: Sequence[Cell]) -> None:
    """Refuse lists and objects in a column of plain values, which JSON can hold.

    :raises DataError: naming the first
    """
    nested = (
        (r for r, cell in enumerate(cells) if isinstance(cell, list | dict)) if table.unit == "object" else iter(())
    )
    if (row := next(nested, None)) is not None:
        what = "a list" if isinstance(cells[row], list) else "an object"
        raise DataError(f"{name} is {what}", where=table.where(row), fix="write a text or a number")


def index_text(cell: Cell) -> str:
    """Return an index as text, whatever type a file gives it: 12, 12.0 and "12.0" are ``12``."""
    if type(cell) is float and cell.is_integer() and 0 <= cell < LARGEST_EXACT:
        return str(int(cell))
    index = text(cell)
    return index.partition(".")[0] if "." in index and _WHOLE.fullmatch(index) else index


def is_rotation(index: str) -> bool:
    """Tell whether an index of a circular dataset belongs to a rotation rather than to the question itself."""
    return 6 < len(index) < 19 and index.isascii() and index.isdecimal() and int(index) >= ROTATION


def question_of(index: str) -> str:
    """Return the index of the question that a rotation belongs to."""
    return str(int(index) % ROTATION)


def _positions(
    table: Table, column: str, keys: Sequence[str], rows: Sequence[int], *, keep_first: bool = False
) -> dict[str, int]:
    """Return key -> row, refusing what is empty or repeated."""
    position = dict(zip(keys, rows, strict=True))
    if len(position) == len(keys) and "" not in position:
        return position
    problems = []
    position = {}
    for key, row in zip(keys, rows, strict=True):
        if not key:
            problems.append(
                Problem(f"{column} is empty", table.where(row), f"give every row the {column} of its sample")
            )
        elif position.setdefault(key, row) != row and not keep_first:
            before = f"{column} {key!r} stands in {table.unit} {table.number(position[key])} already"
            problems.append(Problem(before, table.where(row), "remove one of the rows"))
    if len(problems) > _MOST_PROBLEMS:
        more = f"{len(problems) - _MOST_PROBLEMS:,} more rows like these"
        problems[_MOST_PROBLEMS:] = [Problem(more, table.where(), "correct them too")]
    if problems:
        raise DataError(problems)
    return position
