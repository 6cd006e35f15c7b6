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
    if isinstance(cell.value, Undefined):
        return "-"
    percent = heading in PERCENT or heading.startswith("accuracy ")
    versus = heading.startswith("vs ")
    scale, digits = (100.0, 2) if percent else (1.0, 4 if versus else _digits(cell.value))
    spreads = [fixed(s * scale, digits) if s else "0" for s in (cell.over_seeds, cell.over_splits) if s is not None]
    text = (
        ("+" if versus and cell.value > 0 else "")
        + fixed(cell.value * scale, digits)
        + (f" ± {' / '.join(spreads)}" if spreads else "")
    )
    if cell.interval is None or not (heading in with_interval or (versus and with_interval is WITH_INTERVAL)):
        return text
    digits = max(0, digits - 1)
    return f"{text} [{fixed(cell.interval.low * scale, digits)}, {fixed(cell.interval.high * scale, digits)}]"


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
