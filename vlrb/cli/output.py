"""What the commands print: texts made printable, JSON for programs, progress, and nothing of plugins on stdout."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import attrs
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


def has_display() -> bool:
    """Tell whether a browser can open next to the terminal; without a display, Python would start one inside it."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return named or sys.platform in ("darwin", "win32")


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
def progress_bars() -> Iterator[_Shown]:
    """Give a function that shows progress on stderr: bars on a terminal, else a line now and then; nothing with ``-q``.

    Each call also looks for an interrupt that was swallowed.
    """
    quiet = logging.getLogger().level > logging.WARNING
    plain = contextlib.nullcontext(_Shown((lambda *_: None) if quiet else _plain_progress()))
    with _bars() if sys.stderr.isatty() and not quiet else plain as shown:
        yield shown


@attrs.frozen(eq=False)
class _Shown:
    """Shows progress; ``paused`` takes it away for a block, so that others can use the terminal."""

    _show: Progress
    paused: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    def __call__(self, what: str, done: int, total: int) -> None:
        interrupts.check()
        self._show(printable(what, lines=False), done, total)


@contextlib.contextmanager
def _bars() -> Iterator[_Shown]:
    from rich import progress
    from rich.console import Console
    from rich.markup import escape
    from rich.text import Text

    class Count(progress.MofNCompleteColumn):
        def render(self, task: progress.Task) -> Text:
            return Text() if task.total is None else super().render(task)

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), Count(), progress.TimeElapsedColumn())
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, progress.TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if done >= max(total, 1):  # over: others need its line
                if what in tasks:
                    bars.remove_task(tasks.pop(what))
            elif what in tasks:
                bars.update(tasks[what], completed=done, total=total or None)
            else:
                tasks[what] = bars.add_task(escape(what), completed=done, total=total or None)
                bars.refresh()

        @contextlib.contextmanager
        def paused() -> Iterator[None]:
            bars.stop()
            yield
            bars.start()

        yield _Shown(show, paused)


def _plain_progress() -> Progress:
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        if total and (done >= total or time.monotonic() - last.get(what, float("-inf")) > PLAIN_INTERVAL):
            last[what] = time.monotonic()
            sys.stderr.write(f"{what}: {done}/{total}\n")

    return show
