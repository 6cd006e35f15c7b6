"""Steps of a build, one after the other or in several processes."""

from __future__ import annotations

import contextlib
import gc
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from vlrb.cache import Places
from vlrb.errors import DataError, Problem
from vlrb.parts import PartBuilder
from vlrb.resolve import plan_document

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

Step = Callable[..., None]
"""A function of a module: ``step(builder, *arguments)``.  What it makes, it leaves in the cache."""

PARALLEL_BYTES = 20 * 1024**2
"""Work on more bytes than this is shared by several processes: starting these costs about a second."""


largest_kilobytes = 0
"""The largest memory of any of the other processes so far."""


@attrs.frozen
class Task:
    """The arguments of a step, and the size of what it works on, in bytes."""

    arguments: tuple[Any, ...]
    size: int = 0


def run_tasks(
    builder: PartBuilder, step: Step, tasks: Sequence[Task], jobs: int, what: str, progress: Progress
) -> None:
    """Do a step on all tasks, the largest first.

    :raises DataError: with the problems of all tasks
    """
    ordered = sorted(tasks, key=lambda t: -t.size)
    problems: list[Problem] = []
    jobs = min(jobs, len(tasks)) if sum(t.size for t in tasks) > PARALLEL_BYTES else 1
    results = _alone(builder, step, ordered) if jobs < 2 else _side_by_side(builder, step, ordered, jobs)
    for done, found in enumerate(results, 1):
        problems += found
        progress(what, done, len(tasks))
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _alone(builder: PartBuilder, step: Step, tasks: Sequence[Task]) -> Iterator[list[Problem]]:
    for task in tasks:
        yield _attempt(builder, step, task)


def _attempt(builder: PartBuilder, step: Step, task: Task) -> list[Problem]:
    """Do one task; return what is wrong with its data, so that the other tasks are done too."""
    try:
        with _rarely_collecting():
            step(builder, *task.arguments)
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


_worker: PartBuilder | None = None


def _start_worker(document: Any, options: tuple[str, ...], places: Places) -> None:
    """Set up a process: plugins cannot be sent to it, so it makes the plan anew from the same document."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops handing out tasks
    places.use()
    _worker = PartBuilder(plan_document(document, options), places)


def _work(step: Step, task: Task) -> tuple[list[Problem], int]:
    """Do one task in a process; return what is wrong with its data, and the process's largest memory so far."""
    if _worker is None:
        raise RuntimeError("the process was not set up")
    return _attempt(_worker, step, task), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _side_by_side(builder: PartBuilder, step: Step, tasks: Sequence[Task], jobs: int) -> Iterator[list[Problem]]:
    """Do tasks in this process and in others; this one begins with the smallest, while the others are starting."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    plan = builder.plan
    arguments = (plan.document, plan.options, builder.places)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs - 1, context, initializer=_start_worker, initargs=arguments)
    try:
        left = deque((pool.submit(_work, step, task), task) for task in tasks)
        while left and left[-1][0].cancel():
            yield _attempt(builder, step, left.pop()[1])
            while left and left[0][0].done():
                yield _noted(left.popleft()[0].result())
        for future in as_completed([f for f, _ in left]):
            yield _noted(future.result())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # the processes end while this one goes on


def _noted(result: tuple[list[Problem], int]) -> list[Problem]:
    global largest_kilobytes
    problems, kilobytes = result
    largest_kilobytes = max(largest_kilobytes, kilobytes)
    return problems
