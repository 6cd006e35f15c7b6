"""Steps of a build: one function for many tasks, in this process and, where there is much to do, in others too."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vlrb.benchmark.read import PartBuilder
from vlrb.errors import DataError, Problem
from vlrb.executor import Executor, Failure, Job, Limits, Listener, Progress, Report, Task
from vlrb.experiment.portable import pack_plan, unpack_plan
from vlrb.storage import Places

Step = Callable[..., None]
"""A function of a module: ``step(builder, *arguments)``.  What it makes, it leaves in the cache."""

PARALLEL_BYTES = 20 * 1024**2
"""Work on more bytes than this is shared by several processes: starting these costs about a second."""


def run_tasks(
    builder: PartBuilder, step: Step, tasks: Sequence[Task], jobs: int, what: str, progress: Progress
) -> None:
    """Do a step on all tasks, the largest first.

    :raises DataError: with the problems of all tasks
    :raises PluginError: when a plugin raises, or another process dies
    """
    problems: list[Problem] = []
    done = 0

    def ended(_task: Task, found: list[Problem] | Failure) -> None:
        nonlocal done
        if isinstance(found, Failure):
            raise found.error
        done += 1
        problems.extend(found)
        progress(what, done, len(tasks))

    jobs = min(jobs, len(tasks)) if sum(t.size for t in tasks) > PARALLEL_BYTES else 1
    plan = pack_plan(builder.plan) if jobs > 1 else b""
    job = Job(_builder, (plan, builder.places, step), _attempt)
    executor: Executor = builder.plan.executor.make("run")
    executor.run(job, tasks, Listener(ended, progress), here=(builder, step), limits=Limits(jobs))
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _builder(plan: bytes, places: Places, step: Step) -> tuple[PartBuilder, Step]:
    """Set up another process."""
    places.use()
    return PartBuilder(unpack_plan(plan), places), step


def _attempt(made: tuple[PartBuilder, Step], _report: Report, *arguments: Any) -> list[Problem]:
    """Do one task; return what is wrong with its data, so that the other tasks are done too."""
    builder, step = made
    try:
        with _rarely_collecting():
            step(builder, *arguments)
    except DataError as error:
        return list(error.problems)
    return []


@contextlib.contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Collect garbage rarely: rows are many small lists, at which the collector would look again and again."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
