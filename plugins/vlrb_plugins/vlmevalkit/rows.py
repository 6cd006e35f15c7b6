"""The rows of a workbook by the index of their samples, as VLMEvalKit joins its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from vlrb.errors import DataError, Problem
from vlrb.specs import Dataset
from vlrb_plugins.vlmevalkit.workbook import Cell, Sheet, read_sheet, text

ROTATION = 1_000_000
"""MMBench: the index of rotation r of a question is the question's index + r times this."""

_MOST_PROBLEMS = 20


@attrs.frozen(eq=False)
class Rows:
    """A sheet's rows by their index as text.  ``order`` leaves out rotations, ``position`` does not."""

    sheet: Sheet
    order: Sequence[str]
    position: Mapping[str, int]

    def column(self, name: str, *, formulas: bool = False) -> list[Cell]:
        """Return a column's cells in ``order``."""
        cells = self.sheet.column(name, formulas=formulas)
        return [cells[self.position[i]] for i in self.order]

    def where(self, index: str) -> str:
        """Return file, sheet and row of an index."""
        return self.sheet.where(self.position[index])

    def keys(self, dataset: Dataset) -> Sequence[str]:
        """Return the keys that name the samples, in ``order``.

        :raises DataError: when a key is empty or stands there twice
        """
        if dataset.id_column == "index":
            return self.order
        keys = [text(cell) for cell in self.column(dataset.id_column)]
        _positions(self.sheet, dataset.id_column, keys, [self.position[i] for i in self.order])
        return keys


def read_rows(path: Path, dataset: Dataset) -> Rows:
    """Read a workbook of a dataset.

    :raises DataError: naming file, sheet and row, when it cannot be read, has no rows, or an index is empty or repeated
    """
    sheet = read_sheet(path)
    indices = [text(cell) for cell in sheet.column("index")]
    if not indices:
        raise DataError(
            "there are no rows below the header", where=sheet.where(), fix="run the model again, or leave the file out"
        )
    position = _positions(sheet, "index", indices, range(len(indices)))
    return Rows(sheet, [i for i in position if not (dataset.circular and is_rotation(i))], position)


def is_rotation(index: str) -> bool:
    """Tell whether an index of a circular dataset belongs to a rotation rather than to the question itself."""
    return index.isdecimal() and int(index) >= ROTATION


def _positions(sheet: Sheet, column: str, keys: Sequence[str], rows: Sequence[int]) -> dict[str, int]:
    """Return key -> row, refusing what is empty or repeated."""
    problems = []
    position: dict[str, int] = {}
    for key, row in zip(keys, rows, strict=True):
        if not key:
            problems.append(
                Problem(f"{column} is empty", sheet.where(row), f"give every row the {column} of its sample")
            )
        elif position.setdefault(key, row) != row:
            before = f"{column} {key!r} stands in row {position[key] + 2} already"
            problems.append(Problem(before, sheet.where(row), "remove one of the rows"))
    if problems:
        raise DataError(problems[:_MOST_PROBLEMS])
    return position
