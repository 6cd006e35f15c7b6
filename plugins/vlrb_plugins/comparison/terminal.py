"""A comparison on the terminal."""

from __future__ import annotations

from rich.console import Console

from vlrb import Comparison, printable
from vlrb_plugins.comparison.views import (
    View,
    calls_line,
    general_lines,
    note_lines,
    rows_view,
    run_lines,
    settings_view,
    shown_rows,
)
from vlrb_plugins.shared.pages.tables import shortened
from vlrb_plugins.shared.text_table import TextTable, print_line, print_table

LONGEST = 60
"""Characters of a setting; the other forms show it in full."""


def print_comparison(comparison: Comparison, out: Console) -> None:
    """Print a comparison; on a narrow terminal with fewer columns, never with cut numbers."""
    for line in run_lines(comparison):
        print_line(out, line)
    settings = settings_view(comparison)
    if settings is None:
        print_line(out, "experiment, benchmark, splits and versions are the same")
    else:
        print_table(out, _text_table(settings))
    for pair in comparison.pairs:
        view = rows_view(comparison, pair, joined=True)
        if view.rows:
            print_table(out, _text_table(view))
        for line in note_lines(pair):
            print_line(out, line)
        for line in filter(None, map(calls_line, shown_rows(pair))):
            print_line(out, line)
    for line in general_lines(comparison):
        print_line(out, line)


def _text_table(view: View) -> TextTable:
    rows = tuple(
        tuple(
            shortened(printable(text, lines=False), LONGEST) if heading in view.names else text
            for heading, text in zip(view.headings, row, strict=True)
        )
        for row in view.rows
    )
    styles = tuple("bold" if any(marks.values()) else None for marks in view.marks)
    return TextTable(printable(view.title, lines=False), view.headings, rows, view.kept, view.names, styles)
