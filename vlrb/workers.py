"""Steps of a build, one after the other or in several processes."""

from __future__ import annotations

import contextlib
import gc
import resource
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from vlrb.cache import Places
from vlrb.errors import DataError, PluginError, Problem
from vlrb.parts import PartBuilder
from vlrb.resolve import plan_document

if TYPE_CHECKING:
    from concurrent.futures import Future

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

Step = Callable[..., None]
"""A function of a module: ``step(builder, *arguments)``.  What it makes, it leaves in the cache."""

PARALLEL_BYTES = 20 * 1024**2
"""Work on more bytes than this is shared by several processes: starting these costs about a second."""


AHEAD = 2
"""Tasks that each of the other processes has: one that it does, and the next one."""

largest_kilobytes = 0
"""The largest memory of any of the other processes that this one has had."""


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
    with contextlib.closing(results):
        for done, found in enumerate(results, 1):
            problems += found
            progress(what, done, len(tasks))
    if problems:
        raise DataError(list(dict.fromkeys(problems)))


def _alone(builder: PartBuilder, step: Step, tasks: Sequence[Task]) -> Generator[list[Problem]]:
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


def _side_by_side(builder: PartBuilder, step: Step, tasks: Sequence[Task], jobs: int) -> Generator[list[Problem]]:
    """Do tasks in this process and in others; this one begins with the smallest, while the others are starting.

    :raises PluginError: when one of the others dies
    """
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, ProcessPoolExecutor, wait

    plan = builder.plan
    arguments = (plan.document, plan.options, builder.places)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs - 1, context, initializer=_start_worker, initargs=arguments)
    left = deque(tasks)
    running: set[Future[tuple[list[Problem], int]]] = set()
    try:
        while left or running:
            while left and len(running) < AHEAD * (jobs - 1):
                running.add(pool.submit(_work, step, left.popleft()))
            if left:
                yield _attempt(builder, step, left.pop())
            done, running = wait(running, timeout=0 if left else None, return_when=FIRST_COMPLETED)
            for future in done:
                problems, kilobytes = future.result()
                _note_memory(kilobytes)
                yield problems
    except BaseException as error:
        pool.shutdown(cancel_futures=True)  # so that nothing is written any more when the error is seen
        if isinstance(error, BrokenExecutor):
            raise _died(step) from None
        raise
    pool.shutdown(wait=False)  # the processes end while this one goes on


def _died(step: Step) -> PluginError:
    return PluginError(
        "a process died: it was killed, perhaps for want of memory, or a plugin ended it",
        where=f"{step.__module__}.{step.__qualname__}",
        fix="see to the machine's memory, or do all the work in one process with --jobs 1",
    )


def _note_memory(kilobytes: int) -> None:
    global largest_kilobytes
    largest_kilobytes = max(largest_kilobytes, kilobytes)
