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
    except KeyboardInterrupt:  # sent again, or between two handlers
        status = _interrupted()
    status = _flushed(status)
    if arguments is None:  # the process is vlrb's own
        end_in_time(int(status))
    sys.exit(int(status))


def _flushed(status: int) -> int:
    """Flush stdout and stderr; return the exit status, an error where stdout cannot be written.

    Python itself would flush them later, and exit with status 120 where it cannot.
    """
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError, AttributeError) as error:  # a full disk, a closed pipe or terminal
            setattr(sys, name, None)
            if name == "stdout" and status == ExitCode.OK and isinstance(error, OSError):
                status = _failed(error)
    return status


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    try:
        from vlrb.cli import catalog, commands, compare, report, verify  # noqa: F401  (they add their commands to the group)
        from vlrb.cli.root import vlrb

        status = vlrb.main(arguments, prog_name="vlrb", standalone_mode=False)
        interrupts.check()
    except (Exception, KeyboardInterrupt) as error:
        if interrupts.received() or isinstance(error, click.Abort | KeyboardInterrupt):
            return _interrupted()
        return _failed(error)
    return status if isinstance(status, int) else ExitCode.OK


def _interrupted() -> int:
    """Say so; errors that the interrupt caused, and a closed terminal, do not matter."""
    if interrupts.received():
        interrupts.close()
    # Python remembers an interrupt that left exec() of a text, as some libraries use on import, and would end by SIGINT
    # although it was caught; another exec() of a text resets this (unhandled_keyboard_interrupt, pythonrun.c)
    exec("")
    with contextlib.suppress(OSError, ValueError):
        click.echo("interrupted; run the same command again to resume", err=True)
    return ExitCode.INTERRUPTED


def _failed(error: Exception) -> int:
    """Print what went wrong; return the exit status."""
    if isinstance(error, click.NoSuchOption) and error.ctx:
        option, ctx = error.option_name, error.ctx
        if any(option in p.opts for p in ctx.find_root().command.params):
            place = f"vlrb {option} ... {ctx.info_name} ..."
            error = click.UsageError(f"{option} belongs before the command: {place}", ctx)
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    if isinstance(error, BrokenPipeError):
        sys.stdout = None
        return ExitCode.OK
    if isinstance(error, OSError):  # such as a read-only folder or a full disk
        logging.getLogger("vlrb").debug("", exc_info=error)
        error = StorageError.of(error)
    if isinstance(error, VlrbError):
        print_problems(error)
        return error.exit_code
    logging.getLogger("vlrb").error("this is a bug in vlrb; please report it with the traceback", exc_info=error)
    return ExitCode.INTERNAL
