"""The leaderboard on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from vlrb import Leaderboard, MetricInfo, PointTable, RunResult, leaderboard, printable
from vlrb_plugins.reports.notes import leaderboard_notes, note_text
from vlrb_plugins.shared.text_table import TextTable, print_line, print_table
from vlrb_plugins.shared.values import WITH_INTERVAL, cell_text, heading_of


def print_leaderboard(result: RunResult, out: Console) -> None:
    """Print a run's leaderboard; on a narrow terminal with fewer columns, never with cut numbers or without marks."""
    board = leaderboard(result)
    metrics = result.run.metrics
    with_notes = _board_table(board, metrics, notes=True)
    beside = with_notes.width(len(with_notes.headings)) <= out.width
    table = with_notes if beside else _board_table(board, metrics, notes=False)
    lead = 3 + sum(h in WITH_INTERVAL or h.startswith("vs ") for h in board.headings)
    for fewer in (frozenset(board.headings[:1]), frozenset[str]()):  # on a narrow terminal values come before intervals
        if table.width(lead) > out.width:
            table = _board_table(board, metrics, notes=False, with_interval=fewer)
    print_table(out, table)
    for row in board.rows if not beside else ():
        if note := note_text(row):
            print_line(out, f"{row.name}: {note}")
    for sweep in (*board.sweeps, *board.curves):
        print_table(out, _point_table(sweep, metrics))
    for note in leaderboard_notes(result, board):
        print_line(out, note)


def _board_table(
    board: Leaderboard, metrics: Sequence[MetricInfo], *, notes: bool, with_interval: frozenset[str] = WITH_INTERVAL
) -> TextTable:
    """Return the leaderboard as texts; the columns up to the selection metric's are on every terminal."""
    notes = notes and any(note_text(row) for row in board.rows)
    rows = [
        (
            str(number),
            printable(row.name, lines=False),
            row.kind,
            *(cell_text(cell, heading, with_interval) for cell, heading in zip(row.cells, board.headings, strict=True)),
            *([printable(note_text(row), lines=False)] if notes else []),
        )
        for number, row in enumerate(board.rows, 1)
    ]
    headings = ("#", "name", "kind", *(heading_of(h, metrics) for h in board.headings), *(["note"] if notes else []))
    styles = tuple("dim" if row.kind == "reference" else None for row in board.rows)
    left = frozenset({"name", "kind", "note"})
    return TextTable(printable(board.title), headings, tuple(rows), 4, left, styles)


def _point_table(sweep: PointTable, metrics: Sequence[MetricInfo]) -> TextTable:
    marked = any(row.note for row in sweep.rows)
    rows = [
        (
            printable(row.name, lines=False),
            *([printable(row.note, lines=False)] if marked else []),
            *map(cell_text, row.cells, sweep.headings),
        )
        for row in sweep.rows
    ]
    styles = tuple("bold" if row.note.startswith("chosen") else "dim" for row in sweep.rows)
    headings = ("point", *([""] if marked else []), *(heading_of(h, metrics) for h in sweep.headings))
    return TextTable(printable(sweep.title), headings, tuple(rows), 2 + marked, frozenset({"point", ""}), styles)
