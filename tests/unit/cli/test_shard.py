"""Which shard a process is, and what cannot be asked of one."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.cli.shard import shard_of
from vlrb.errors import ExitCode

SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}

SLURM_LIST = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_STEP": "1"}
"""``--array=3,8``."""
SGE_ALONE = dict.fromkeys(("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"), "undefined")
"""A job outside an array."""


@given(st.integers(1, 10**5).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_shards_are_counted_from_one(shard: tuple[int, int]) -> None:
    """I/N, as other tools with a --shard have it."""
    assert shard_of("{}/{}".format(*shard), {}) == {"index": shard[0], "count": shard[1]}


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2", "٣/٤"])
def test_other_texts_are_refused_with_what_is_expected(text: str) -> None:
    """The message shows a value that would do."""
    with pytest.raises(click.BadParameter, match=r"1/4 to 4/4|are 1/\d"):
        shard_of(text, {})


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({**SLURM, "SLURM_ARRAY_TASK_STEP": "2"}, (4, 4)),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "0"}, (1, 3)),
        ({"SGE_TASK_ID": "5", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "9", "SGE_TASK_STEPSIZE": "2"}, (3, 5)),
        ({"LSB_JOBINDEX": "2", "LSB_JOBINDEX_END": "8"}, (2, 8)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, (1, 2)),
        ({"PMI_RANK": "3", "PMI_SIZE": "4"}, (4, 4)),
        ({"CLOUD_RUN_TASK_INDEX": "1", "CLOUD_RUN_TASK_COUNT": "2"}, (2, 2)),
        ({"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "3"}, (3, 3)),
        ({**SGE_ALONE, "PMI_RANK": "0", "PMI_SIZE": "1"}, (1, 1)),
        ({"LSB_JOBINDEX": "0", "LSB_JOBINDEX_END": "0", "PMI_RANK": "1", "PMI_SIZE": "2"}, (2, 2)),
        ({"SLURM_ARRAY_TASK_ID": "3", **SLURM_LIST}, (1, 2)),
        ({"SLURM_ARRAY_TASK_ID": "8", **SLURM_LIST}, (2, 2)),
    ],
)
def test_launchers_number_their_tasks(environment: dict[str, str], shard: tuple[int, int]) -> None:
    """Each in its own way: from 0 or 1, with steps, gaps, the last index instead of a count; without an array they say nothing."""
    assert shard_of("auto", environment) == {"index": shard[0], "count": shard[1]}


def test_without_a_launcher_auto_is_refused() -> None:
    """A count that is missing is no reason to do everything in every process; a number beyond a count that is set is an error."""
    with pytest.raises(click.BadParameter, match=r"SLURM_ARRAY_TASK_ID .* are not set\): give I/N"):
        shard_of("auto", {"JOB_COMPLETION_INDEX": "1", **SGE_ALONE, "LSB_JOBINDEX": "0", "LSB_JOBINDEX_END": "0"})
    with pytest.raises(click.BadParameter, match="no shard 10 of 4"):
        shard_of("auto", {"JOB_COMPLETION_INDEX": "9", "JOB_COMPLETIONS": "4"})


@pytest.mark.parametrize("more", [["--fresh"], ["--jobs", "2"], ["--pdb"]])
def test_what_a_shard_cannot_do_is_refused(project: Any, more: list[str]) -> None:
    """--fresh would remove what other shards have just made; a shard does one thing at a time."""
    shown = project.vlrb("run", project.experiment(), "--shard", "1/2", *more)

    assert shown.status == ExitCode.USAGE
    assert "--shard goes with none of" in shown.err
