"""``vlrb verify``: a run's results, recomputed from its directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vlrb.cli.completion import complete_run
from vlrb.cli.output import echo, echo_json, prints_to_stderr, progress_bars
from vlrb.cli.root import Given, as_json, vlrb
from vlrb.errors import DataError, ExitCode, Problem
from vlrb.executor import stage

if TYPE_CHECKING:
    from vlrb.running.verification import Verification


@vlrb.command()
@click.argument("run_name", metavar="RUN", shell_complete=complete_run)
@as_json
@click.pass_obj
def verify(given: Given, run_name: str, as_json: bool) -> int:
    """Recompute every metric, interval, difference and rank of a finished RUN from its choices, and compare.

    Neither logs nor cache are needed. The exit status is 4 if something differs.
    """
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.api.json_data import to_json
            from vlrb.running.finished import FinishedRun
            from vlrb.running.results import find_run
            from vlrb.running.verification import verify_run

            directory = find_run(given.places.runs, run_name)
            finished = FinishedRun.read(directory, None, given.registry())
        found = verify_run(finished, progress)
    if as_json:
        echo_json({"schema": 1, "run_directory": str(directory), "agrees": not found.disagreements, **to_json(found)})
        return ExitCode.USAGE if found.disagreements else ExitCode.OK
    for line in _lines(found):
        echo(line)
    if found.disagreements:
        raise DataError(
            [Problem(f"stored {d.stored!r}, computed {d.found!r}", ", ".join(d.place)) for d in found.disagreements]
        )
    return ExitCode.OK


def _lines(found: Verification) -> list[str]:
    """Return what was compared, and what was not."""
    differ = len(found.disagreements)
    agree = f"{found.values - differ:,} of {found.values:,} values agree, {found.identical:,} of them to the last bit"
    lines = [agree + (f"; {differ:,} differ" if differ else "")]
    if found.timed:
        lines.append(f"computed from measured seconds, which are taken as stored: {', '.join(found.timed)}")
    return lines + [f"not computed: {metric} ({reason})" for metric, reason in found.left_out.items()]
