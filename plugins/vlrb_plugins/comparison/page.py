"""A comparison as a page of HTML that stands on its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from vlrb import Comparison, RunPair
from vlrb_plugins.comparison.values import letter_of
from vlrb_plugins.comparison.views import (
    View,
    calls_view,
    general_lines,
    note_lines,
    right_line,
    row_name,
    rows_view,
    settings_view,
    shown_rows,
)
from vlrb_plugins.shared.pages.pages import render_page
from vlrb_plugins.shared.pages.tables import Cell, Column, Table, shortened

LONGEST = 80
MARKS: Mapping[str, Literal["", "best", "bad"]] = {"better": "best", "worse": "bad", "": ""}
_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?")


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison."""
    settings = settings_view(comparison)
    pairs = [_pair(comparison, pair) for pair in comparison.pairs]
    context = {
        "sections": [
            ("settings", "What differs"),
            *((p["id"], p["title"]) for p in pairs),
            ("reading", "How to read this"),
        ],
        "runs": [_run(comparison, place) for place in range(len(comparison.runs))],
        "synthetic": dict.fromkeys(r.benchmark.synthetic for r in comparison.runs if r.benchmark.synthetic),
        "settings": settings and _table("settings-table", settings, "What is not the same in all runs."),
        "pairs": pairs,
        "notes": general_lines(comparison),
    }
    return render_page(__package__, "comparison.html.j2", context)


def _run(comparison: Comparison, place: int) -> dict[str, str]:
    run = comparison.runs[place]
    return {
        "letter": letter_of(place),
        "name": comparison.names[place],
        "leader": comparison.leaders[place] or "none",
        "benchmark": f"{run.benchmark.fingerprint[:12]}: {run.benchmark.samples:,} samples, {len(run.benchmark.models)} models",
        "split": f"{run.split.digest[:12]}: {run.split.made}",
    }


def _pair(comparison: Comparison, pair: RunPair) -> dict[str, Any]:
    view, calls = rows_view(comparison, pair), calls_view(pair)
    rows = [r for r in shown_rows(pair) if r.choices is not None and r.choices.differing]
    return {
        "id": f"pair-{pair.other}",
        "title": view.title.partition(":")[0],
        "paired": pair.paired,
        "rows": _table(f"rows-{pair.other}", view, view.title.partition(": ")[2].capitalize() + "."),
        "notes": note_lines(pair),
        "changes": [(row_name(r), right_line(r.choices)) for r in rows if r.choices is not None],
        "calls": calls
        and _table(f"calls-{pair.other}", calls, "Test samples that each row sends to each model, in both runs."),
    }


def _table(id: str, view: View, caption: str) -> Table:
    rows = []
    numeric = [_holds(h, view) == "number" for h in view.headings]
    for number, row in enumerate(view.rows):
        marks = view.marks[number] if view.marks else {}
        cells = zip(view.headings, row, numeric, strict=True)
        rows.append(tuple((_number_cell if n else _cell)(text, marks.get(h, "")) for h, text, n in cells))
    columns = tuple(Column(h, view.meanings.get(h, ""), _holds(h, view)) for h in view.headings)
    return Table(id=id, caption=caption, columns=columns, rows=tuple(rows))


def _holds(heading: str, view: View) -> Literal["number", "name", "text"]:
    return "number" if heading not in view.names else "name"


def _number_cell(text: str, verdict: str) -> Cell:
    """Return a cell with the interval of its value under it, which sorts by its first number: of "<0.001", "+1.2", "12 → 15"."""
    value, bracket, interval = text.partition(" [")
    number = _NUMBER.search(value)
    sort = number[0].replace(",", "") if number else ""
    return Cell(value, mark=MARKS[verdict], detail=(f"[{interval}",) if bracket else (), sort=sort)


def _cell(text: str, verdict: str) -> Cell:
    whole = text if len(text) > LONGEST else ""
    return Cell(shortened(text, LONGEST), mark=MARKS[verdict], whole=whole)
