"""What the commands show: tables on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vlrb import interrupts
from vlrb.api.results import RunResult
from vlrb.evaluation.data_page import agreement_share, shown, summary
from vlrb.executor import Progress as ProgressFunction
from vlrb.running.leaderboard import Leaderboard, Sweep, leaderboard
from vlrb.texts import printable

WIDEST = 10_000
"""Characters that no table needs."""

NARROWEST = 8
"""Characters into which a column of texts is folded where a terminal is too narrow for it."""

PLAIN_INTERVAL = 10.0
"""Seconds between lines of progress where there is no terminal."""


@contextlib.contextmanager
def progress_bars() -> Iterator[ProgressFunction]:
    """Give a function that shows progress: bars on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _checked(_plain_progress())
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(escape(printable(what, lines=False)), total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield _checked(show)


def _checked(show: ProgressFunction) -> ProgressFunction:
    """Look at each progress whether an interrupt came that was swallowed."""

    def checked(what: str, done: int, total: int) -> None:
        interrupts.check()
        show(what, done, total)

    return checked


def _plain_progress() -> ProgressFunction:
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        if done >= total or time.monotonic() - last.get(what, float("-inf")) > PLAIN_INTERVAL:
            last[what] = time.monotonic()
            sys.stderr.write(f"{printable(what, lines=False)}: {done}/{total}\n")

    return show


def console() -> Console:
    """Return the console of stdout; as wide as a table needs where there is no terminal and ``COLUMNS`` says no width."""
    return Console() if sys.stdout.isatty() or os.environ.get("COLUMNS") else Console(width=WIDEST)


@attrs.frozen
class TextTable:
    """A table to print: rows of texts under headings.  The first ``kept`` columns are on every terminal.

    ``left`` holds the headings of columns that are set flush left, ``styles`` a style for each row.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kept: int
    left: frozenset[str] = frozenset()
    styles: tuple[str | None, ...] = ()

    def width(self, columns: int, folded: int = WIDEST) -> int:
        """Return the characters that the first columns take, with the lines between them.

        :param folded: characters into which texts may be folded; numbers never are
        """
        cells = list(zip(self.headings, *self.rows, strict=True))[:columns]
        widths = [max(cell_len(text) for text in column) for column in cells]
        limits = [folded if heading in self.left else WIDEST for heading in self.headings]
        return sum(min(w, limit) + 3 for w, limit in zip(widths, limits, strict=False)) + 1


def print_table(out: Console, table: TextTable) -> None:
    """Print as many columns as fit, from the left, and say which are left out; no value is ever cut."""
    fitting = [n for n in range(table.kept, len(table.headings) + 1) if table.width(n) <= out.width]
    count = max(fitting, default=table.kept)
    shown = Table(title=escape(table.title), title_justify="left")
    for heading in table.headings[:count]:
        text = heading in table.left
        folds = text and not fitting
        shown.add_column(escape(heading), justify="left" if text else "right", no_wrap=not folds, overflow="fold")
    for number, row in enumerate(table.rows):
        shown.add_row(*map(escape, row[:count]), style=table.styles[number] if table.styles else None)
    least = table.width(count) if fitting else table.width(count, NARROWEST)
    wide = Console(width=least, file=out.file) if least > out.width else out  # rich never prints wider than its console
    wide.print(shown)
    if count < len(table.headings):
        left_out = ", ".join(table.headings[count:])
        print_line(out, f"columns left out, since the terminal has {out.width} characters: {left_out}")


def print_line(out: Console, line: str) -> None:
    """Print a line as it is, without markup; the terminal wraps it."""
    out.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def print_leaderboard(result: RunResult) -> None:
    """Print a run's leaderboard; on a narrow terminal with fewer columns, never with cut numbers or without marks."""
    board = leaderboard(result)
    out = console()
    with_notes = _board_table(board, notes=True)
    beside = with_notes.width(len(with_notes.headings)) <= out.width
    print_table(out, with_notes if beside else _board_table(board, notes=False))
    for row in board.rows if not beside else ():
        if row.note:
            print_line(out, f"{row.name}: {row.note}")
    for sweep in board.sweeps:
        print_table(out, _sweep_table(sweep))
    for note in board.notes:
        print_line(out, note)


def _board_table(board: Leaderboard, *, notes: bool) -> TextTable:
    """Return the leaderboard as texts; the columns up to the selection metric's are on every terminal."""
    notes = notes and any(row.note for row in board.rows)
    rows = [
        (
            str(number),
            printable(row.name, lines=False),
            row.kind,
            *(cell.text(heading) for cell, heading in zip(row.cells, board.headings, strict=True)),
            *([printable(row.note, lines=False)] if notes else []),
        )
        for number, row in enumerate(board.rows, 1)
    ]
    headings = ("#", "name", "kind", *map(_with_unit, board.headings), *(["note"] if notes else []))
    styles = tuple("dim" if row.kind == "reference" else None for row in board.rows)
    left = frozenset({"name", "kind", "note"})
    return TextTable(printable(board.title), headings, tuple(rows), 4, left, styles)


def _sweep_table(sweep: Sweep) -> TextTable:
    rows = [
        (
            printable(row.name, lines=False),
            printable(row.note, lines=False),
            *(cell.text(heading) for cell, heading in zip(row.cells, sweep.headings, strict=True)),
        )
        for row in sweep.rows
    ]
    styles = tuple("bold" if row.note == "chosen" else "dim" for row in sweep.rows)
    headings = ("point", "", *map(_with_unit, sweep.headings))
    return TextTable(printable(sweep.title), headings, tuple(rows), 3, frozenset({"point", ""}), styles)


def _with_unit(heading: str) -> str:
    units = {"accuracy": "accuracy %", "cost-per-10k": "USD / 10k", "oracle-gap-closed": "gap closed %"}
    units["requests-per-second"] = "requests/s"
    return units.get(heading, heading.replace("accuracy ", "") + " %" if heading.startswith("accuracy ") else heading)


def print_benchmark(report: Mapping[str, Any]) -> None:
    """Print what a benchmark holds."""
    out = console()
    if report["synthetic"]:
        print_line(out, f"SYNTHETIC DATA: {report['synthetic']}")
    tables = {
        "datasets": (
            "samples",
            "expected",
            "images",
            "oracle %",
            "guessing %",
            "best model %",
            "best model",
            "agreement %",
        ),
        "models": ("accuracy %", "USD / 10k", "output tokens", "input tokens", "missing", "unknown", "failed calls"),
    }
    for kind, headings in tables.items():
        rows = [
            (printable(e["name"], lines=False), *(printable(shown(_KEYS[h](e), h[-1]), lines=False) for h in headings))
            for e in report[kind]
        ]
        print_table(out, TextTable(kind, ("name", *headings), tuple(rows), 2, frozenset({"name", "best model"})))
    notes = [f"left out or changed: {e['count']:,} {e['reason']}" for e in report["excluded"]]
    notes += [f"{count:,} {what}" for what, count in _counts(report).items()]
    for line in (*notes, *passed_over(report["ignored_files"]), *summary(report)):
        print_line(out, line)
    print_line(out, f"benchmark: {report['directory']}")


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    """Return what sources found worth counting, summed over the parts."""
    total: Counter[str] = Counter()
    for part in report["parts"]:
        total.update(part["counts"])
    return dict(total)


def passed_over(ignored: Mapping[str, str]) -> list[str]:
    """Return a line per reason for which files were passed over; --json lists every file."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in ignored.items():
        by_reason.setdefault(reason, []).append(name)
    return [
        f"passed over: {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "") + f" ({reason})"
        for reason, names in by_reason.items()
    ]


_KEYS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "samples": itemgetter("samples"),
    "expected": itemgetter("expected_samples"),
    "images": itemgetter("images"),
    "oracle %": itemgetter("oracle_accuracy"),
    "guessing %": lambda entry: entry["luck"] and entry["luck"]["guessing_oracle"],
    "best model %": itemgetter("best_accuracy"),
    "best model": itemgetter("best_model"),
    "agreement %": lambda entry: agreement_share(entry["agreement"]),
    "accuracy %": itemgetter("accuracy"),
    "USD / 10k": itemgetter("cost_per_10k"),
    "output tokens": itemgetter("output_tokens"),
    "input tokens": itemgetter("input_tokens"),
    "missing": itemgetter("missing"),
    "unknown": itemgetter("unknown"),
    "failed calls": itemgetter("failed_calls"),
}
