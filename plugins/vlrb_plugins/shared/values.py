"""Headings and values of metrics as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from vlrb import MetricInfo, TableCell, Undefined, printable

SHARES = frozenset({"accuracy", "mean-score", "oracle-gap-closed"})
"""Metrics that are shown in per cent."""

_HEADINGS = {
    "accuracy": "accuracy %",
    "cost-per-10k": "USD / 10k",
    "mean-score": "mean-score %",
    "oracle-gap-closed": "gap closed %",
    "requests-per-second": "requests/s",
}
NOUGHT = 5e-9
"""What is smaller than this is shown as zero."""

_OF_SOME = "accuracy "
"""How the headings of accuracy on some of the samples begin."""

WITH_INTERVAL = frozenset({"rank-score", "accuracy", "cost-per-10k", "oracle-gap-closed"})
"""Columns whose intervals stand in tables; leaderboard.csv has those of all metrics."""


def heading_of(metric: str, metrics: Iterable[MetricInfo]) -> str:
    """Return the heading of a metric with its unit; others than the usual ones keep their names.

    :param metrics: those of the run, which say the units of others
    """
    if metric.startswith(_OF_SOME):
        return printable(f"{metric.removeprefix(_OF_SOME)} %", lines=False)
    unit = next((m.unit for m in metrics if m.name == metric), "")
    return _HEADINGS.get(metric) or printable(f"{metric} ({unit})" if unit else metric, lines=False)


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
    scale, digits = form_of(cell.value, heading)
    return ("+" if heading.startswith("vs ") and cell.value > 0 else "") + fixed(cell.value * scale, digits)


def spread_text(cell: TableCell, heading: str) -> str:
    """Return the standard deviations of a value (±), or nothing."""
    if isinstance(cell.value, Undefined):
        return ""
    scale, digits = form_of(cell.value, heading)
    spreads = [fixed(s * scale, digits) if s else "0" for s in (cell.over_seeds, cell.over_splits) if s is not None]
    return f"± {' / '.join(spreads)}" if spreads else ""


def interval_text(cell: TableCell, heading: str, with_interval: frozenset[str] = WITH_INTERVAL) -> str:
    """Return the interval of a value, or nothing.

    :param with_interval: as in :func:`cell_text`
    """
    versus = heading.startswith("vs ") and with_interval is WITH_INTERVAL
    if isinstance(cell.value, Undefined) or cell.interval is None or not (heading in with_interval or versus):
        return ""
    scale, digits = form_of(cell.value, heading)
    digits = max(0, digits - 1)
    return f"[{fixed(cell.interval.low * scale, digits)}, {fixed(cell.interval.high * scale, digits)}]"


def form_of(value: float, heading: str) -> tuple[float, int]:
    """Return the factor by which a value of a column is shown, and the digits after the point: about four that count."""
    if heading in SHARES or heading.startswith(_OF_SOME):
        return 100.0, 2
    if heading.startswith("vs "):
        return 1.0, 4
    if value == 0 or not math.isfinite(value):
        return 1.0, 2
    if abs(value) < NOUGHT:
        return 1.0, 4
    return 1.0, max(0, min(8, 3 - math.floor(math.log10(abs(value)))))


def fixed(value: float, digits: int) -> str:
    """Return a number with so many digits after the point; what rounds to zero has no sign."""
    text = f"{value:,.{digits}f}"
    return text if any(c in "123456789n" for c in text) else text.removeprefix("-")
