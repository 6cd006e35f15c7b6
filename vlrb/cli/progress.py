"""Progress on stderr: bars on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vlrb import interrupts
from vlrb.executor import Progress as ProgressFunction
from vlrb.texts import printable

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
