"""What the commands print: texts made printable, JSON for programs, and nothing of plugins on stdout."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from vlrb.errors import VlrbError
from vlrb.texts import printable

MOST_PROBLEMS = 20


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a line on stdout or stderr; control characters in it are shown as escapes."""
    click.echo(printable(text), err=err)


def echo_styled(text: str) -> None:
    """Print a text on stdout whose colours are kept, where it is a terminal; other control characters are shown as escapes."""
    pieces = re.split(r"(\x1b\[[\d;]*m)", text.removesuffix("\n") + "\n")
    sys.stdout.write("".join(p if i % 2 else printable(p) for i, p in enumerate(pieces)))


def echo_json(value: Any) -> None:
    """Print JSON on stdout; in ASCII where stdout's encoding is not UTF-8."""
    import json

    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    click.echo(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=encoding != "utf8"))


def print_problems(error: VlrbError) -> None:
    """Print what is wrong on stderr; of very many problems the first ones and their number."""
    for problem in error.problems[:MOST_PROBLEMS]:
        echo(f"error: {problem}", err=True)
    more = len(error.problems) - MOST_PROBLEMS
    if more > 0:
        echo(f"... and {more:,} more problems like these", err=True)


def passed_over(ignored: Mapping[str, str]) -> list[str]:
    """Return a line per reason for which files were passed over; --json lists every file."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in ignored.items():
        by_reason.setdefault(reason, []).append(name)
    return [
        f"passed over: {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "") + f" ({reason})"
        for reason, names in by_reason.items()
    ]


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send whatever is printed meanwhile to stderr, by plugins, their libraries and processes: stdout is for results."""
    import ctypes

    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            kept = os.dup(1)
            os.dup2(2, 1)
        except OSError:  # closed by whoever started vlrb
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(OSError, TypeError):  # what C libraries print waits in a buffer of their own
                ctypes.CDLL(None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)
