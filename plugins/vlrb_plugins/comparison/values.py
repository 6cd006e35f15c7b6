"""Values of a comparison as a person reads them."""

from __future__ import annotations

import json
from typing import Any

from vlrb import Comparison, Difference, Interval, MetricValue, TableCell, Undefined
from vlrb_plugins.shared.values import cell_text, fixed, form_of


def letter_of(place: int) -> str:
    """Return how tables call a run: A, B and so on."""
    return chr(ord("A") + place) if place < 26 else f"run {place + 1}"


def value_text(value: MetricValue, metric: str, interval: Interval | Undefined | None = None) -> str:
    """Return a value of a metric, with its interval if one is given; ``-`` where it is undefined."""
    found = interval if isinstance(interval, Interval) else None
    return cell_text(TableCell(value, found), metric, frozenset({metric}))


def difference_text(difference: Difference | None, metric: str, *, interval: bool = True) -> str:
    """Return a difference with its sign and interval; ``-`` where it is undefined."""
    if difference is None or isinstance(difference.value, Undefined):
        return "-"
    shown = [difference.value]
    if interval and isinstance(difference.interval, Interval):
        shown += [difference.interval.low, difference.interval.high]
    scale, digits = form_of(max(map(abs, shown)), metric)
    texts = [("+" if v > 0 else "") + fixed(v * scale, digits) for v in shown]
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


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return {k: _plain(v) for k, v in value.items()} if hasattr(value, "items") else value
