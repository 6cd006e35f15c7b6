"""A comparison as Markdown."""

from __future__ import annotations

import re

from vlrb import Comparison
from vlrb_plugins.comparison.views import (
    View,
    calls_line,
    calls_view,
    general_lines,
    note_lines,
    rows_view,
    run_lines,
    settings_view,
    shown_rows,
)
from vlrb_plugins.shared.markdown import in_markdown


def markdown_text(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    lines = ["# Comparison of runs", "", *_listed(run_lines(comparison))]
    settings = settings_view(comparison)
    lines += ["", "## What differs", ""]
    lines += _table(settings) if settings else ["Experiment, benchmark, splits and versions are the same."]
    for pair in comparison.pairs:
        view = rows_view(comparison, pair)
        lines += ["", f"## {in_markdown(view.title)}", "", *(_table(view) if view.rows else []), ""]
        lines += _listed([*note_lines(pair), *filter(None, map(calls_line, shown_rows(pair)))])
        if calls := calls_view(pair):
            lines += ["", f"### {in_markdown(calls.title)}", "", *_table(calls)]
    lines += ["", *_listed(general_lines(comparison))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).rstrip() + "\n")


def _listed(lines: list[str]) -> list[str]:
    return [f"- {in_markdown(line)}" for line in lines]


def _table(view: View) -> list[str]:
    rules = ("---" if h in view.names else "---:" for h in view.headings)
    lines = ["| " + " | ".join(map(in_markdown, view.headings)) + " |", "|" + "|".join(rules) + "|"]
    return lines + ["| " + " | ".join(map(in_markdown, row)) + " |" for row in view.rows]
