"""Tables of a page, as records that the macros of ``parts.html.j2`` show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import attrs

UNKNOWN = "–"
"""What stands for a value that is not known."""

LONGEST = 40
"""Characters of a name in a heat map; a longer one is shortened there."""


@attrs.frozen
class Cell:
    """A cell of a table.

    ``heat`` is the depth of its colour, 0 to 100; ``mark`` says what is special: the ``best`` of its column, or ``bad``;
    ``whole`` is the text in full where ``text`` is shortened; ``sort`` is the number to sort by where ``text`` is not one;
    the lines of ``detail`` stand under it, smaller, such as an interval, and do not count when the table is sorted.
    """

    text: str
    heat: int | None = None
    mark: Literal["", "best", "bad"] = ""
    whole: str = ""
    detail: tuple[str, ...] = ()
    sort: str = ""


@attrs.frozen
class Column:
    """A column of a table: its heading, what that means, and what its cells hold."""

    heading: str
    meaning: str = ""
    holds: Literal["number", "name", "text"] = "number"
    whole: str = ""


@attrs.frozen(kw_only=True)
class Table:
    """A table: ``id`` names it within its page, the first cell of a row is the row's heading, ``foot`` rows stay last."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[tuple[Cell, ...], ...] = ()
    heat: bool = False


@attrs.frozen
class Scale:
    """The range of values over which a heat map's colour deepens."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Scale:
        """Return the scale from the lowest to the highest value that is known."""
        known = [v for v in map(finite, values) if v is not None]
        return cls(min(known, default=0.0), max(known, default=0.0))

    def heat(self, value: float | None) -> int | None:
        """Return the depth of a value's colour; None where it is not known."""
        if (value := finite(value)) is None:
            return None
        return round(100 * (value - self.low) / (self.high - self.low)) if self.high > self.low else 50


def finite(value: float | None) -> float | None:
    """Return a value that can be shown as a number, else None."""
    return value if value is not None and math.isfinite(value) else None


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as a percentage, without the sign."""
    return UNKNOWN if (value := finite(value)) is None else f"{100 * value:.{digits}f}"


def name_cell(name: str, limit: int = LONGEST) -> Cell:
    """Return the cell of a name, shortened in the middle if it is very long."""
    return Cell(shortened(name, limit), whole=name if len(name) > limit else "")


def shortened(name: str, limit: int = LONGEST) -> str:
    """Return a name with at most ``limit`` characters: beginning and end stay."""
    half = limit // 2
    return name if len(name) <= limit else f"{name[: limit - half]}…{name[-half + 1 :]}"


def heat_rows(
    names: Sequence[str], values: Sequence[Sequence[float | None]], scale: Scale
) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows of a heat map of shares: each cell has its percentage and colour, the best of a column is marked."""
    columns = zip(*values, strict=True)
    best = [max((v for v in map(finite, column) if v is not None), default=None) for column in columns]
    marked = [
        [v is not None and v == top and len(values) > 1 for v, top in zip(row, best, strict=True)] for row in values
    ]
    return tuple(
        (name_cell(n), *(Cell(percent(v), scale.heat(v), "best" if m else "") for v, m in zip(row, marks, strict=True)))
        for n, row, marks in zip(names, values, marked, strict=True)
    )
