"""Values of a comparison as a person reads them."""

from __future__ import annotations

import json
import math
from typing import Any

from vlrb import Comparison, Difference, Interval, MetricValue, Undefined

PERCENT = ("accuracy", "mean-score", "oracle-gap-closed")
HEADINGS = {"accuracy": "accuracy %", "cost-per-10k": "USD / 10k", "oracle-gap-closed": "gap closed %"}


def letter_of(place: int) -> str:
    """Return how tables call a run: A, B and so on."""
    return chr(ord("A") + place) if place < 26 else f"run {place + 1}"


def value_text(value: MetricValue, metric: str, interval: Interval | Undefined | None = None) -> str:
    """Return a value of a metric, with its interval if one is given; ``-`` where it is undefined."""
    if isinstance(value, Undefined):
        return "-"
    digits = _digits(value, metric)
    text = _fixed(value, metric, digits)
    if not isinstance(interval, Interval):
        return text
    low, high = (_fixed(v, metric, max(0, digits - 1)) for v in (interval.low, interval.high))
    return f"{text} [{low}, {high}]"


def difference_text(difference: Difference | None, metric: str, *, interval: bool = True) -> str:
    """Return a difference with its sign and interval; ``-`` where it is undefined."""
    if difference is None or isinstance(difference.value, Undefined):
        return "-"
    shown = [difference.value]
    if interval and isinstance(difference.interval, Interval):
        shown += [difference.interval.low, difference.interval.high]
    digits = _digits(max(map(abs, shown)), metric)
    texts = [("+" if v > 0 else "") + _fixed(v, metric, digits) for v in shown]
    return texts[0] if len(texts) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def p_text(difference: Difference | None) -> str:
    """Return a p-value with three digits."""
    p = None if difference is None else difference.decisive_p
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def verdict_of(comparison: Comparison, difference: Difference | None, metric: str) -> str:
    """Return ``better``, ``worse``, or an empty text where the difference may be chance."""
    if (
        difference is None
        or difference.may_be_chance
        or isinstance(difference.value, Undefined)
        or not difference.value
    ):
        return ""
    higher = next(m.higher_is_better for m in comparison.metrics if m.name == metric)
    return "better" if (difference.value > 0) == higher else "worse"


def setting_text(value: Any) -> str:
    """Return the value of a setting as in TOML or JSON; ``-`` where a run has none."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value[:12] if len(value) == 64 and set(value) <= set("0123456789abcdef") else value
    return json.dumps(_plain(value), ensure_ascii=False)


def heading_of(metric: str) -> str:
    """Return a metric's name with its unit."""
    return HEADINGS.get(metric, metric)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return {k: _plain(v) for k, v in value.items()} if hasattr(value, "items") else value


def _digits(value: float, metric: str) -> int:
    """Return how many digits after the point show about four significant ones; two of a percentage."""
    if metric in PERCENT or value == 0 or not math.isfinite(value):
        return 2
    return max(0, min(8, 3 - math.floor(math.log10(abs(value)))))


def _fixed(value: float, metric: str, digits: int) -> str:
    """Return a number with so many digits after the point; what rounds to zero has no sign."""
    text = f"{value * (100 if metric in PERCENT else 1):,.{digits}f}"
    return text if any(c in "123456789n" for c in text) else text.removeprefix("-")
