"""``vlrb run --shard``: which shard this process is, and what it prints at its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import click

from vlrb.cli.output import echo, echo_json

if TYPE_CHECKING:
    from vlrb.running.shards import ShardOutcome

AUTO = "auto"


@attrs.frozen
class _Launcher:
    """The variables in which a launcher says which of how many tasks a process is."""

    index: str
    count: str
    first: str = "1"
    step: str = ""
    last: bool = False
    lists: bool = False

    def shard(self, environment: Mapping[str, str]) -> tuple[int, int] | None:
        """Return number, from 1, and count; None if the launcher has not started this process.

        ``first`` is a number or the variable that holds it.  With ``last``, ``count`` holds the last index, and outside an
        array there is none, or 0.  With ``lists``, indices may have gaps, so that a number may be beyond the count: any will do.
        """
        given = {n: int(text) for n, text in environment.items() if n in attrs.astuple(self) and text.isdecimal()}
        if self.index not in given or self.count not in given:
            return None
        first = int(self.first) if self.first.isdecimal() else given.get(self.first, 1)
        step = given.get(self.step) or 1
        index, count = (given[self.index] - first) // step + 1, given[self.count]
        if self.last:
            return (index, (count - first) // step + 1) if index > 0 else None
        return ((index - 1) % count + 1 if self.lists and count else index), count


LAUNCHERS = (
    _Launcher(
        "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", lists=True
    ),
    _Launcher("SGE_TASK_ID", "SGE_TASK_LAST", "SGE_TASK_FIRST", "SGE_TASK_STEPSIZE", last=True),
    _Launcher("LSB_JOBINDEX", "LSB_JOBINDEX_END", last=True),
    _Launcher("SLURM_PROCID", "SLURM_NTASKS", "0"),
    _Launcher("PMI_RANK", "PMI_SIZE", "0"),
    _Launcher("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "0"),
    _Launcher("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", "0"),
    _Launcher("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "0"),
    _Launcher("PBS_ARRAY_INDEX", "PBS_ARRAY_COUNT"),
    _Launcher("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "0"),
)
"""Slurm arrays, Grid Engine, LSF, srun, MPI, Cloud Run jobs; then those for which the user sets the count."""


def shard_of(text: str, environment: Mapping[str, str]) -> dict[str, int]:
    """Return the number of a shard, from 1, and how many there are, as parameters of the executor.

    :param text: ``I/N``, or ``auto``: what the launcher says
    :raises click.BadParameter: saying what is expected
    """
    if text == AUTO:
        found = next(filter(None, (launcher.shard(environment) for launcher in LAUNCHERS)), None)
        if found is None:
            names = ", ".join(f"{launcher.index} and {launcher.count}" for launcher in LAUNCHERS[:4])
            raise _refused(f"no launcher says which shard this is ({names} are not set): give I/N")
    else:
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if match is None:
            raise _refused(f"{text!r} is not I/N, such as 1/4 to 4/4, or auto")
        found = int(match[1]), int(match[2])
    index, count = found
    if not 1 <= index <= count:
        raise _refused(f"there is no shard {index} of {count}: shards are 1/{count} to {count}/{count}")
    return {"index": index, "count": count}


def _refused(what: str) -> click.BadParameter:
    return click.BadParameter(what, param_hint="--shard")


def show_shard(shard: Mapping[str, int], outcome: ShardOutcome, file: object, as_json: bool) -> None:
    """Print what a shard did, why cells failed, and how its work is joined."""
    if as_json:
        failed = [{"cell": name, "error": text} for name, text in outcome.failed.items()]
        echo_json({"shard": dict(shard), "done": outcome.done, "here": outcome.here, "failed": failed})
    else:
        here, others = len(outcome.here), len(outcome.done) + len(outcome.failed) - len(outcome.here)
        echo(f"shard {shard['index']} of {shard['count']}: {here} cells here, {max(0, others)} elsewhere or before")
        echo(f"`vlrb run {file}` joins the shards: it selects, reports and tracks")
    for name, text in outcome.failed.items():  # nothing else keeps it
        echo(f"error: {name} failed: {text}", err=True)
