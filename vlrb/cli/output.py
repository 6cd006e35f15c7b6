"""What the commands print: texts made printable, JSON for programs, progress, and nothing of plugins on stdout."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from vlrb import interrupts
from vlrb.errors import VlrbError, shorten_list
from vlrb.texts import printable

if TYPE_CHECKING:
    from vlrb.executor import Progress
    from vlrb.running.reports import Reports
    from vlrb.running.run import RunOutcome

MOST_PROBLEMS = 20
PLAIN_INTERVAL = 10.0
"""Seconds between lines of progress where stderr is not a terminal."""


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a line on stdout or stderr; control characters in it are shown as escapes."""
    click.echo(printable(text), err=err)


def echo_styled(text: str) -> None:
    """Print a text on stdout, keeping its colours on a terminal; other control characters are shown as escapes."""
    pieces = re.split(r"(\x1b\[[\d;]*m)", text.removesuffix("\n") + "\n")
    sys.stdout.write("".join(p if i % 2 else printable(p) for i, p in enumerate(pieces)))


def echo_json(value: Any) -> None:
    """Print JSON on stdout; in ASCII where stdout's encoding is not UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    import json

    click.echo(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=encoding != "utf8"))


def print_problems(error: VlrbError) -> None:
    """Print what is wrong on stderr: the first problems, then how many more there are."""
    for problem in error.problems[:MOST_PROBLEMS]:
        echo(f"error: {problem}", err=True)
    if (more := len(error.problems) - MOST_PROBLEMS) > 0:
        echo(f"... and {more:,} more problems like these", err=True)


def show_reports(reports: Reports, subject: Any) -> None:
    """Print the texts of reports on stdout; what their plugins print goes to stderr."""
    with prints_to_stderr():
        texts = list(filter(None, reports.texts(subject)))
    for text in texts:
        echo_styled(text)


def exit_status(outcome: RunOutcome | Reports) -> int:
    """Print what failed; return the exit status."""
    for error in outcome.errors:
        print_problems(error)
    return outcome.exit_code


def relative_path(path: Path) -> Path:
    """Return a path relative to the working directory if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def passed_over(ignored: Mapping[str, str]) -> list[str]:
    """Return a line per reason for which files were passed over; --json lists every file."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in ignored.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"passed over: {shorten_list(names, 1)} ({reason})" for reason, names in by_reason.items()]


class _Stderr:
    """Stderr, which says of itself what stdout does: reports look whether it is a terminal."""

    def __init__(self) -> None:
        self._terminal, self.encoding = sys.stdout.isatty(), sys.stdout.encoding

    def isatty(self) -> bool:
        """Tell whether stdout was a terminal before its descriptor became stderr's."""
        return self._terminal

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send whatever is printed meanwhile to stderr, by plugins, their libraries and processes: stdout is for results."""
    sys.stdout.flush()
    with contextlib.redirect_stdout(cast(TextIO, _Stderr())):
        try:
            kept = os.dup(1)
            os.dup2(2, 1)
        except OSError:  # closed by whoever started vlrb
            yield
            return
        try:
            yield
        finally:
            import ctypes

            with contextlib.suppress(OSError, TypeError):  # C libraries buffer what they print
                ctypes.CDLL(None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give a function that shows progress on stderr: bars on a terminal, else a line now and then.

    Each call also looks for an interrupt that was swallowed.
    """
    with _bars() if sys.stderr.isatty() else contextlib.nullcontext(_plain_progress()) as show:

        def checked(what: str, done: int, total: int) -> None:
            interrupts.check()
            show(printable(what, lines=False), done, total)

        yield checked


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich import progress
    from rich.console import Console
    from rich.markup import escape

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn())
    elapsed = progress.TimeElapsedColumn()
    with progress.Progress(*columns, elapsed, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, progress.TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(escape(what), total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


def _plain_progress() -> Progress:
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        if done >= total or time.monotonic() - last.get(what, float("-inf")) > PLAIN_INTERVAL:
            last[what] = time.monotonic()
            sys.stderr.write(f"{what}: {done}/{total}\n")

    return show
