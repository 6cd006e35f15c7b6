"""A comparison as Markdown."""

from __future__ import annotations

import re

from vlrb import Comparison, printable
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

_MARKUP = re.compile(r"[\\`*_|<>\[\]~&]")


def markdown_text(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    lines = ["# Comparison of runs", "", *_listed(run_lines(comparison))]
    settings = settings_view(comparison)
    lines += ["", "## What differs", ""]
    lines += _table(settings) if settings else ["Experiment, benchmark, splits and versions are the same."]
    for pair in comparison.pairs:
        view = rows_view(comparison, pair)
        lines += ["", f"## {_plain(view.title)}", "", *(_table(view) if view.rows else []), ""]
        lines += _listed([*note_lines(pair), *filter(None, map(calls_line, shown_rows(pair)))])
        if calls := calls_view(pair):
            lines += ["", f"### {_plain(calls.title)}", "", *_table(calls)]
    lines += ["", *_listed(general_lines(comparison))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).rstrip() + "\n")


def _listed(lines: list[str]) -> list[str]:
    return [f"- {_plain(line)}" for line in lines]


def _table(view: View) -> list[str]:
    rules = ("---" if h in view.names else "---:" for h in view.headings)
    lines = ["| " + " | ".join(map(_plain, view.headings)) + " |", "|" + "|".join(rules) + "|"]
    return lines + ["| " + " | ".join(map(_plain, row)) + " |" for row in view.rows]


def _plain(text: str) -> str:
    """Return a text as Markdown that shows it as it is: one line, no markup, no cell borders, no HTML."""
    return _MARKUP.sub(r"\\\g<0>", printable(text, lines=False))
