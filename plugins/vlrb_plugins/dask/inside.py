"""What a process next to a worker does: it checks that its environment is that of the main process, then does tasks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from vlrb import Failure, Job, Problem, Report, Task
from vlrb_plugins.dask.messages import pack, unpack

PATIENCE = 5.0
"""Seconds until a file that another machine has written must be visible: network file systems cache a folder's content."""
SAME = "start the worker in the environment of the main process: the same Python, packages and plugin files"
SHARED = "give all machines one cache folder under the same path (a shared file system), or name another with --cache"


@attrs.frozen
class Expected:
    """What a worker must find: versions by name, and a file in the cache folder."""

    versions: Mapping[str, str]
    token: Path


@attrs.frozen(slots=False)
class Inside:
    """A job, and what its tasks share, which is made with the first of them."""

    job: Job

    @cached_property
    def made(self) -> Any:
        """Make it."""
        return self.job.make(*self.job.shared)


def open_job(packed: bytes) -> Inside:
    """Unpack a job."""
    return Inside(unpack(packed))


def look(inside: Inside, _report: Report, expected: bytes) -> bytes:
    """Return, packed, the problems that exclude this worker from a job, or the failure of the check."""
    return pack(_result(lambda: list(_differences(inside.job, unpack(expected)))))


def work(inside: Inside, report: Report, threads: int, task: bytes) -> bytes:
    """Do a task; return its result or failure, packed."""

    def done() -> Any:
        given: Task = unpack(task)
        return inside.job.work(inside.made, attrs.evolve(report, threads=threads), *given.arguments)

    return pack(_result(done))


def step(inside: Inside, report: Report, name: str, *arguments: Any) -> bytes:
    """Look or work, as ``name`` says."""
    return look(inside, report, *arguments) if name == "look" else work(inside, report, *arguments)


def _result(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure.of(error)


def _differences(job: Job, expected: Expected) -> Iterator[Problem]:
    found = job.versions(*job.shared)
    for name in sorted(found.keys() | expected.versions.keys()):
        here, there = expected.versions.get(name, "not there"), found.get(name, "not there")
        if here != there:
            yield Problem(f"{name} is {there} on the worker, and {here} where vlrb was started", fix=SAME)
    yield from _folder_problems(expected.token)


def _folder_problems(token: Path) -> Iterator[Problem]:
    limit = time.monotonic() + PATIENCE
    while not token.exists():
        if time.monotonic() > limit:
            yield Problem(
                "the worker does not see this cache folder, or another one of that name", str(token.parent), SHARED
            )
            return
        time.sleep(0.1)
    try:
        with tempfile.TemporaryFile(dir=token.parent):
            pass
    except OSError as error:
        fix = "give the worker's user the right to write there: results go through the cache folder"
        yield Problem(f"the worker cannot write in the cache folder: {error.strerror}", str(token.parent), fix)
