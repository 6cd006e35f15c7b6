"""Steps of a build: one function for many tasks, in this process and, where there is much to do, in others too."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vlrb.benchmark.read import PartBuilder
from vlrb.errors import DataError, Problem
from vlrb.executor import Failure, Job, Listener, LocalExecutor, Progress, Report, Task
from vlrb.experiment.resolve import plan_document
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

    def ended(_task: Task, found: list[Problem]) -> None:
        nonlocal done
        done += 1
        problems.extend(found)
        progress(what, done, len(tasks))

    def failed(_task: Task, failure: Failure) -> None:
        raise failure.error

    jobs = min(jobs, len(tasks)) if sum(t.size for t in tasks) > PARALLEL_BYTES else 1
    job = Job(_builder, (builder.plan.document, builder.plan.options, builder.places, step), _attempt)
    listener = Listener(lambda _: None, progress, lambda *_: None, ended, failed)
    LocalExecutor(jobs).run(job, tasks, listener, here=(builder, step))
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _builder(document: Any, options: tuple[str, ...], places: Places, step: Step) -> tuple[PartBuilder, Step]:
    """Set up a process: plugins cannot be sent to it, so it makes the plan anew from the same document."""
    places.use()
    return PartBuilder(plan_document(document, options), places), step


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
