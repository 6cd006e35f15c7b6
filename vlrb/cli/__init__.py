"""The command line. ``main`` is the entry point; heavy imports happen inside the commands."""

from __future__ import annotations

import contextlib
import logging
import sys

import click

from vlrb import interrupts
from vlrb.cli.output import print_problems
from vlrb.errors import ExitCode, StorageError, VlrbError
from vlrb.interrupts import end_in_time


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of :class:`vlrb.errors.ExitCode`; signals are interrupts from now on."""
    interrupts.install()
    try:
        status = run(arguments)
        interrupts.close()
    except KeyboardInterrupt:  # one that was sent again, or came between two handlers
        status = _interrupted()
    status = _flushed(status)
    if arguments is None:  # the process is vlrb's own
        end_in_time(int(status))
    sys.exit(int(status))


def _flushed(status: int) -> int:
    """Write what waits in stdout and stderr; return the exit status, an error where stdout cannot be written.

    Python itself would flush them later, and exit with status 120 where it cannot.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None
    except (OSError, ValueError, AttributeError) as error:  # a full disk, a closed terminal
        sys.stdout = None
        if status == ExitCode.OK and isinstance(error, OSError):
            status = _failed(error)
    try:
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        sys.stderr = None
    return status


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    try:
        from vlrb.cli import catalog, commands  # noqa: F401  (they add their commands to the group)
        from vlrb.cli.root import vlrb

        status = vlrb.main(arguments, prog_name="vlrb", standalone_mode=False)
        interrupts.check()
    except (Exception, KeyboardInterrupt) as error:
        if interrupts.received() or isinstance(error, click.Abort | KeyboardInterrupt):
            return _interrupted()
        return _failed(error)
    return status if isinstance(status, int) else ExitCode.OK


def _interrupted() -> int:
    """Say so.  Whatever the interrupt has led to on its way is of no interest, nor is a terminal that is gone."""
    if interrupts.received():
        interrupts.close()
    # Python remembers an interrupt that left code given to exec() as text, as libraries run it on import, and would end by
    # SIGINT although it was caught; the next exec() of a text lets it forget (unhandled_keyboard_interrupt, pythonrun.c)
    exec("")
    with contextlib.suppress(OSError, ValueError):
        click.echo("interrupted; the same command goes on where this one stopped", err=True)
    return ExitCode.INTERRUPTED


def _misplaced(error: click.NoSuchOption) -> click.UsageError:
    """Return an error that says of an option of vlrb's own, given after a command, that it belongs before the command."""
    ctx = error.ctx
    if ctx is not None and any(error.option_name in p.opts for p in ctx.find_root().command.params):
        place = f"vlrb {error.option_name} ... {ctx.info_name} ..."
        return click.UsageError(f"{error.option_name} belongs before the command: {place}", ctx)
    return error


def _failed(error: Exception) -> int:
    """Say what went wrong; return the exit status."""
    if isinstance(error, click.NoSuchOption):
        error = _misplaced(error)
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    if isinstance(error, BrokenPipeError):
        sys.stdout = None
        return ExitCode.OK
    if isinstance(error, OSError):  # a folder that cannot be written, a full disk: nothing of vlrb's
        logging.getLogger("vlrb").debug("", exc_info=error)
        error = StorageError.of(error)
    if isinstance(error, VlrbError):
        print_problems(error)
        return error.exit_code
    logging.getLogger("vlrb").error("this is a fault of vlrb; please report it with what follows", exc_info=error)
    return ExitCode.INTERNAL
