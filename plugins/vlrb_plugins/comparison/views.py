"""A comparison as tables and lines of text, which every form shows."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from vlrb import ChangedChoices, ComparedRow, Comparison, RunPair, Undefined
from vlrb_plugins.comparison.values import (
    difference_text,
    letter_of,
    p_text,
    setting_text,
    value_text,
    verdict_of,
)
from vlrb_plugins.shared.values import heading_of

SHOWN = ("accuracy", "cost-per-10k")
"""Metrics in the table of rows, after the selection metric."""


@attrs.frozen
class View:
    """A table of texts: ``kept`` columns are always shown, ``names`` are the headings of columns that hold texts.

    ``meanings``: heading -> what it is.  ``marks``: for each row, heading -> better or worse.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kept: int
    names: frozenset[str]
    meanings: dict[str, str] = attrs.field(factory=dict)
    marks: tuple[dict[str, str], ...] = ()


def run_lines(comparison: Comparison) -> list[str]:
    """Return a line for each run."""
    return [
        f"{letter_of(i)}: {name}, best router {leader or 'none'}"
        for i, (name, leader) in enumerate(zip(comparison.names, comparison.leaders, strict=True))
    ]


def settings_view(comparison: Comparison) -> View | None:
    """Return what is not the same in all runs; None where everything is."""
    letters = tuple(letter_of(i) for i in range(len(comparison.names)))
    rows = [(d.section, d.key, *map(setting_text, d.values)) for d in comparison.differing]
    headings = ("section", "key", *letters)
    return View("what differs", headings, tuple(rows), len(headings), frozenset(headings)) if rows else None


def metrics_of(comparison: Comparison) -> tuple[str, ...]:
    """Return the metrics of the table of rows: the selection metric, accuracy and cost."""
    known = {m.name for m in comparison.metrics}
    return tuple(m for m in dict.fromkeys((comparison.selection_metric, *SHOWN)) if m in known)


def shown_rows(pair: RunPair) -> list[ComparedRow]:
    """Return the rows to show: reference points only where the runs are not paired, or their choices or values differ."""
    return [r for r in pair.rows if r.kind != "reference" or not pair.paired or _differs(r)]


def _differs(row: ComparedRow) -> bool:
    return (row.choices is not None and row.choices.differing > 0) or any(
        not isinstance(d.value, Undefined) and d.value for d in row.differences.values()
    )


def row_name(row: ComparedRow) -> str:
    """Return a row's name; both names where the best routers of the two runs differ."""
    return f"best: {row.name} → {row.other_name}" if row.kind == "leaders" else row.name


def rows_view(comparison: Comparison, pair: RunPair, *, joined: bool = False) -> View:
    """Return the rows that both runs have: how many choices differ, and the metrics.

    :param joined: whether the values of both runs share a column
    """
    a, b = letter_of(0), letter_of(pair.other)
    rows, what = shown_rows(pair), "not paired"
    columns = _Columns(["row"], [[row_name(r)] for r in rows], [{} for _ in rows])
    if pair.paired:
        what = f"{pair.samples:,} test samples, {pair.groups:,} groups"
        shares = [f"{100 * r.choices.share:.1f}" if r.choices is not None else "-" for r in rows]
        columns.add("differ %", shares)
    metrics = metrics_of(comparison)
    headings = {m: heading_of(m, comparison.metrics) for m in metrics}
    for metric in metrics if pair.paired else ():
        differences = [r.differences.get(metric) for r in rows]
        marks = [verdict_of(comparison, d, metric) for d in differences]
        texts = [difference_text(d, metric) for d in differences]
        columns.add(f"{b} - {a}: {headings[metric]}", texts, marks)
        if metric == metrics[0]:
            columns.add("p", [p_text(d) for d in differences])
    joined = joined and pair.paired  # values of other samples have intervals of their own
    for metric in metrics:
        heading, values = headings[metric], [_values(pair, r, metric) for r in rows]
        if joined:
            columns.add(f"{heading} {a} → {b}", [" → ".join(v) for v in values])
        else:
            columns.add(f"{a}: {heading}", [v[0] for v in values])
            columns.add(f"{b}: {heading}", [v[1] for v in values])
    return View(
        f"{b} against {a}: {what}",
        tuple(columns.headings),
        tuple(map(tuple, columns.texts)),
        kept=3,
        names=frozenset({"row"}),
        meanings=_meanings(comparison, columns.headings),
        marks=tuple(columns.marks),
    )


def _values(pair: RunPair, row: ComparedRow, metric: str) -> tuple[str, str]:
    """Return the values of both runs; with their own intervals where they are not paired."""
    intervals = (None, None) if pair.paired else row.intervals.get(metric, (None, None))
    one, two = (value_text(v, metric, i) for v, i in zip(row.values[metric], intervals, strict=True))
    return one, two


@attrs.frozen
class _Columns:
    """Columns that are added from left to right: headings, and for each row its texts and marks."""

    headings: list[str]
    texts: list[list[str]]
    marks: list[dict[str, str]]

    def add(self, heading: str, texts: Sequence[str], marks: Sequence[str] = ()) -> None:
        """Add a column."""
        self.headings.append(heading)
        for row, text in zip(self.texts, texts, strict=True):
            row.append(text)
        for known, mark in zip(self.marks, marks, strict=False):
            known[heading] = mark


def _meanings(comparison: Comparison, headings: Sequence[str]) -> dict[str, str]:
    """Return what the columns of a paired comparison mean."""
    differences = [h for h in headings if " - " in h]
    if not differences:
        return {}
    level = f"{100 * comparison.level:g} %"
    return {
        "differ %": "share of the test samples (times seeds) for which the two runs choose different models",
        differences[0]: f"the second run's value less A's, with its {level} interval, on the same samples and draws",
        "p": f"of that difference in {comparison.selection_metric}; of routers corrected over the rows (Holm)",
    }


def calls_line(row: ComparedRow, limit: int = 3) -> str:
    """Return which models a row calls more and less often than before, those that changed most."""
    choices = row.choices
    if choices is None or not choices.differing:
        return ""
    changes = sorted(((b - a, m) for m, (a, b) in choices.calls.items()), key=lambda c: -abs(c[0]))
    more = [f"{m} ({number_text(d, signed=True)})" for d, m in changes if d > 0][:limit]
    fewer = [f"{m} ({number_text(d, signed=True)})" for d, m in changes if d < 0][:limit]
    said = [f"more calls to {', '.join(more)}"] if more else []
    said += [f"fewer to {', '.join(fewer)}"] if fewer else []
    return f"{row_name(row)}: {right_line(choices)}; {'; '.join(said) or 'as many calls to each model'}"


def right_line(choices: ChangedChoices) -> str:
    """Return how many choices became right, and how many wrong."""
    return f"{choices.gained:,} choices became right, {choices.lost:,} wrong"


def number_text(value: float, *, signed: bool = False) -> str:
    """Return a number of calls; a mean over seeds may be a fraction."""
    return f"{value:{'+' if signed else ''},.{0 if value == int(value) else 1}f}"


def calls_view(pair: RunPair) -> View | None:
    """Return how often each row calls each model in both runs; None where no choice differs."""
    rows = [r for r in shown_rows(pair) if r.choices is not None and r.choices.differing]
    if not rows:
        return None
    models = [m for r in rows[:1] if r.choices is not None for m in r.choices.calls]
    texts = []
    for row in rows:
        calls = row.choices.calls if row.choices is not None else {}
        texts.append((row_name(row), *(_call_text(*calls[m]) for m in models)))
    by_model = tuple(zip(models, *(t[1:] for t in texts), strict=True))
    headings = ("model", *(t[0] for t in texts))
    return View("calls per model", headings, by_model, 1, frozenset({"model"}))


def _call_text(first: float, other: float) -> str:
    if first == other:
        return number_text(first)
    return f"{number_text(first)} → {number_text(other)}"


def note_lines(pair: RunPair) -> list[str]:
    """Return what the figures of two runs are, and what is missing."""
    a, b = letter_of(0), letter_of(pair.other)
    lines = list(pair.notes)
    if pair.paired:
        hidden = len(pair.rows) - len(shown_rows(pair))
        if hidden:
            lines.append(f"reference points that are the same in both: {hidden}")
    lines += [f"only in {x}: {', '.join(names)}" for x, names in ((a, pair.only_first), (b, pair.only_other)) if names]
    return lines


def general_lines(comparison: Comparison) -> list[str]:
    """Return what holds for all figures."""
    level = f"{100 * comparison.level:g} %"
    lines = []
    if any(p.paired for p in comparison.pairs):
        draws = f"{comparison.draws:,} bootstrap draws of groups within datasets"
        p = "p of routers corrected over the rows (Holm)"
        lines.append(f"[low, high] of a difference: {level} interval from the same {draws} of both runs; {p}")
    if not all(p.paired for p in comparison.pairs):
        lines.append(f"[low, high] of a value: {level} interval over the test samples of its own run")
    return lines + [f"metrics left out: {name} ({reason})" for name, reason in comparison.left_out.items()]
