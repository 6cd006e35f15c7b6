"""Values of the leaderboard as a person reads them."""

from __future__ import annotations

import math

from vlrb import TableCell, Undefined

PERCENT = frozenset({"accuracy", "oracle-gap-closed"})


def cell_text(cell: TableCell, heading: str) -> str:
    """Return a value of a column; ``-`` where it is undefined."""
    if isinstance(cell.value, Undefined):
        return "-"
    percent = heading in PERCENT or heading.startswith("accuracy ")
    scale, digits = (100.0, 2) if percent else (1.0, _digits(cell.value))
    text = fixed(cell.value * scale, digits)
    return text if cell.deviation is None else f"{text} ± {fixed(cell.deviation * scale, digits)}"


def fixed(value: float, digits: int) -> str:
    """Return a number with so many digits after the point; what rounds to zero has no sign."""
    text = f"{value:,.{digits}f}"
    return text if any(c in "123456789n" for c in text) else text.removeprefix("-")


def _digits(value: float) -> int:
    """Return how many digits after the point show about four significant ones."""
    if value == 0 or not math.isfinite(value):
        return 2
    return max(0, min(8, 3 - math.floor(math.log10(abs(value)))))
