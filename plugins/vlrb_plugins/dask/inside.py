"""What each process beside a worker does: it looks whether all is as in the asking process, then does tasks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

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
    expected: Expected

    @cached_property
    def differing(self) -> list[Problem] | Failure:
        """Return what differs in this process, or why this cannot be told."""
        return cast("list[Problem] | Failure", _result(lambda: list(_differences(self.job, self.expected.versions))))

    @cached_property
    def made(self) -> Any:
        """Make it."""
        return self.job.make(*self.job.shared)


@attrs.frozen
class Refused:
    """What excludes a worker from a job, or why this cannot be told; found by a process that had a task."""

    found: list[Problem] | Failure


def open_job(packed: bytes, expected: bytes) -> Inside:
    """Unpack a job."""
    return Inside(unpack(packed), unpack(expected))


def look(inside: Inside, _report: Report) -> bytes:
    """Return, packed, the problems that exclude this worker from a job, or why this cannot be told."""
    found = inside.differing
    return pack(found if isinstance(found, Failure) else [*found, *_folder_problems(inside.expected.token)])


def work(inside: Inside, report: Report, threads: int, task: bytes) -> bytes:
    """Do a task; return its result or failure, packed, or that it was not begun since this process is unlike the asking one.

    A process that starts later than the look may find sources or packages that were changed meanwhile.
    """
    if inside.differing:
        return pack(Refused(inside.differing))

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


def _differences(job: Job, expected: Mapping[str, str]) -> Iterator[Problem]:
    found = job.versions(*job.shared)
    for name in sorted(found.keys() | expected.keys()):
        here, there = expected.get(name, "not there"), found.get(name, "not there")
        if here != there:
            yield Problem(f"{name} is {there} on the worker, and {here} where vlrb was started", fix=SAME)


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
