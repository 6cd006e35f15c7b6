"""``vlrb run --debug`` and ``--pdb``: what a router raised is shown at once, and looked at where it was raised."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from vlrb.cli.output import echo
from vlrb.texts import traceback_of

if TYPE_CHECKING:
    from vlrb.executor import Failure


def check_debugger(jobs: int | None) -> None:
    """Refuse the debugger where it cannot be used: it needs the routers in this process, and a terminal."""
    ctx = click.get_current_context()
    if jobs is not None and jobs > 1:
        raise click.UsageError("--pdb works in one process only: leave out --jobs, or set it to 1", ctx)
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        what = "--pdb needs a terminal for what you type and for what it answers: stdin or stderr is not one"
        raise click.UsageError(f"{what}; use --debug to print tracebacks", ctx)


def failure_shown(
    paused: Callable[[], AbstractContextManager[None]], *, debugger: bool
) -> Callable[[str, Failure], None]:
    """Return what is called with each failure: it prints the traceback on stderr, and then starts the debugger if so asked.

    :param paused: takes the progress bars away for a block
    """

    def show(name: str, failure: Failure) -> None:
        error = failure.error
        with paused():
            echo(f"{name} failed:\n{traceback_of(error) if error.__traceback__ else failure.text}", err=True)
            if debugger and error.__traceback__:
                _debug(error)

    return show


def _debug(error: BaseException) -> None:
    """Start the debugger where an error, or what caused it, was raised; return when it is left."""
    import pdb

    while error.__cause__ is not None and error.__cause__.__traceback__ is not None:
        error = error.__cause__
    echo("debugger: w shows where it failed, p NAME a value, q goes on with the next router", err=True)
    with contextlib.redirect_stdout(sys.__stdout__):  # so that lines can be edited; its descriptor is that of stderr
        pdb.post_mortem(error.__traceback__)
