"""The command line. ``main`` is the entry point; heavy imports happen inside the commands."""

from __future__ import annotations

import logging
import sys

import click

from vlrb.cli.output import print_problems
from vlrb.errors import ExitCode, VlrbError


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of :class:`vlrb.errors.ExitCode`."""
    sys.exit(int(run(arguments)))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    from vlrb.cli.commands import vlrb

    try:
        status = vlrb.main(arguments, prog_name="vlrb", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command goes on where this one stopped", err=True)
        return ExitCode.INTERRUPTED
    except VlrbError as error:
        print_problems(error)
        return error.exit_code
    except BrokenPipeError:
        sys.stdout = None
        return ExitCode.OK
    except OSError as error:  # a folder that cannot be written, a full disk: nothing of vlrb's to mend
        logging.getLogger("vlrb").debug("", exc_info=True)
        click.echo(f"error: {error.filename or 'the file system'}: {error.strerror or error}", err=True)
        click.echo(
            "    fix: see to the folder's rights and the disk's space, or use another folder (--runs, --cache, --to)",
            err=True,
        )
        return ExitCode.USAGE
    except Exception:
        logging.getLogger("vlrb").exception("this is a fault of vlrb; please report it with what follows")
        return ExitCode.INTERNAL
    return status if isinstance(status, int) else ExitCode.OK
