"""Values of the leaderboard as a person reads them."""

from __future__ import annotations

import math

from vlrb import TableCell, TableRow, Undefined

PERCENT = frozenset({"accuracy", "oracle-gap-closed"})
WITH_INTERVAL = frozenset({"rank-score", "accuracy", "cost-per-10k", "oracle-gap-closed"})
"""Columns whose intervals stand in tables; leaderboard.csv has those of all metrics."""


def cell_text(cell: TableCell, heading: str, with_interval: frozenset[str] = WITH_INTERVAL) -> str:
    """Return a value of a column, with standard deviations (±) and its interval; ``-`` where it is undefined.

    :param with_interval: headings of the columns that show intervals
    """
    texts = (value_text(cell, heading), spread_text(cell, heading), interval_text(cell, heading, with_interval))
    return " ".join(filter(None, texts))


def value_text(cell: TableCell, heading: str) -> str:
    """Return a value of a column; ``-`` where it is undefined."""
    if isinstance(cell.value, Undefined):
        return "-"
    scale, digits = _form(cell.value, heading)
    return ("+" if heading.startswith("vs ") and cell.value > 0 else "") + fixed(cell.value * scale, digits)


def spread_text(cell: TableCell, heading: str) -> str:
    """Return the standard deviations of a value (±), or nothing."""
    if isinstance(cell.value, Undefined):
        return ""
    scale, digits = _form(cell.value, heading)
    spreads = [fixed(s * scale, digits) if s else "0" for s in (cell.over_seeds, cell.over_splits) if s is not None]
    return f"± {' / '.join(spreads)}" if spreads else ""


def interval_text(cell: TableCell, heading: str, with_interval: frozenset[str] = WITH_INTERVAL) -> str:
    """Return the interval of a value, or nothing.

    :param with_interval: as in :func:`cell_text`
    """
    versus = heading.startswith("vs ") and with_interval is WITH_INTERVAL
    if isinstance(cell.value, Undefined) or cell.interval is None or not (heading in with_interval or versus):
        return ""
    scale, digits = _form(cell.value, heading)
    digits = max(0, digits - 1)
    return f"[{fixed(cell.interval.low * scale, digits)}, {fixed(cell.interval.high * scale, digits)}]"


def _form(value: float, heading: str) -> tuple[float, int]:
    """Return the factor by which a value of a column is shown, and the digits after the point."""
    if heading in PERCENT or heading.startswith("accuracy "):
        return 100.0, 2
    return 1.0, 4 if heading.startswith("vs ") else _digits(value)


def note_text(row: TableRow) -> str:
    """Return the note of a row, with what it is tied with."""
    tied = f"tied with {' and '.join(row.tied)}" if row.tied else ""
    return "; ".join(filter(None, (tied, row.note)))


def fixed(value: float, digits: int) -> str:
    """Return a number with so many digits after the point; what rounds to zero has no sign."""
    text = f"{value:,.{digits}f}"
    return text if any(c in "123456789n" for c in text) else text.removeprefix("-")


def _digits(value: float) -> int:
    """Return how many digits after the point show about four significant ones."""
    if value == 0 or not math.isfinite(value):
        return 2
    return max(0, min(8, 3 - math.floor(math.log10(abs(value)))))
