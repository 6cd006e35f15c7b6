"""What the commands show: tables on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vlrb import interrupts
from vlrb.data_page import agreement_share, shown, summary
from vlrb.executor import Progress as ProgressFunction
from vlrb.leaderboard import Leaderboard, Sweep, leaderboard
from vlrb.types import RunResult

WIDEST = 1000
"""Characters that no table needs."""

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
                tasks[what] = bars.add_task(what, total=total)
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
            sys.stderr.write(f"{what}: {done}/{total}\n")

    return show


def console() -> Console:
    """Return the console of stdout; wide where there is no terminal, so that a piped table is not cut."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def print_leaderboard(result: RunResult) -> None:
    """Print a run's leaderboard; on a narrow terminal with fewer columns, never with cut numbers."""
    board = leaderboard(result)
    out = console()
    groups = [h for h in board.headings if h.startswith("accuracy ")]
    steps = ((), groups, ("requests-per-second",), ("oracle-gap-closed",), ("kind",), ("note",))
    dropped: list[str] = []
    for step in steps:
        dropped += step
        table = _table(board, dropped)
        needed = Measurement.get(out, out.options.update(width=WIDEST), table).maximum
        if needed <= out.width:
            break
    out.print(table, width=max(needed, out.width), crop=False)
    for sweep in board.sweeps:
        table = _sweep_table(sweep)
        needed = Measurement.get(out, out.options.update(width=WIDEST), table).maximum
        out.print(table, width=max(needed, out.width), crop=False)
    for note in board.notes:
        out.print(note, markup=False, highlight=False, soft_wrap=True)


def _table(board: Leaderboard, dropped: Sequence[str]) -> Table:
    kept = [i for i, h in enumerate(board.headings) if h not in dropped]
    kind, notes = "kind" not in dropped, "note" not in dropped and any(row.note for row in board.rows)
    table = Table(title=escape(board.title), title_justify="left")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("name", no_wrap=True)
    for heading in ["kind"] if kind else []:
        table.add_column(heading, no_wrap=True)
    for i in kept:
        table.add_column(_with_unit(board.headings[i]), justify="right", no_wrap=True)
    for heading in ["note"] if notes else []:
        table.add_column(heading, no_wrap=True)
    for number, row in enumerate(board.rows, 1):
        cells = [row.cells[i].text(board.headings[i]) for i in kept]
        beside = [row.kind] if kind else []
        style = "dim" if row.kind == "reference" else None
        table.add_row(
            str(number), escape(row.name), *beside, *cells, *([escape(row.note)] if notes else []), style=style
        )
    return table


def _sweep_table(sweep: Sweep) -> Table:
    table = Table(title=escape(sweep.title), title_justify="left")
    table.add_column("point", no_wrap=True)
    for heading in sweep.headings:
        table.add_column(_with_unit(heading), justify="right", no_wrap=True)
    table.add_column("")
    for row in sweep.rows:
        cells = [c.text(h) for h, c in zip(sweep.headings, row.cells, strict=True)]
        style = "bold" if row.note == "chosen" else "dim"
        table.add_row(escape(row.name), *cells, escape(row.note), style=style)
    return table


def _with_unit(heading: str) -> str:
    units = {"accuracy": "accuracy %", "cost-per-10k": "USD / 10k", "oracle-gap-closed": "gap closed %"}
    units["requests-per-second"] = "requests/s"
    return units.get(heading, heading.replace("accuracy ", "") + " %" if heading.startswith("accuracy ") else heading)


def print_benchmark(report: Mapping[str, Any]) -> None:
    """Print what a benchmark holds."""
    out = console()
    if report["synthetic"]:
        out.print(f"SYNTHETIC DATA: {report['synthetic']}", markup=False, highlight=False)
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
        table = Table(title=kind, title_justify="left")
        table.add_column("name", overflow="fold")
        for heading in headings:
            table.add_column(heading, justify="right")
        for entry in report[kind]:
            table.add_row(escape(entry["name"]), *(shown(_KEYS[h](entry), h[-1]) for h in headings))
        out.print(table)
    notes = [f"left out or changed: {e['count']:,} {e['reason']}" for e in report["excluded"]]
    notes += [f"{count:,} {what}" for what, count in _counts(report).items()]
    for line in (*notes, *passed_over(report["ignored_files"]), *summary(report)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(f"benchmark: {report['directory']}", markup=False, highlight=False, soft_wrap=True)


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
