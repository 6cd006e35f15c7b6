"""Tasks in this process and in others: what an executor is asked, what it tells, and the one for this machine.

A distributed executor offers the same method :meth:`LocalExecutor.run`: it calls ``make`` once in each of its processes,
``work`` for each task, and the :class:`Listener` in the process that asked.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from vlrb import interrupts
from vlrb.errors import STORAGE, PluginError, StorageError, VlrbError
from vlrb.faults import describe_error, traceback_of
from vlrb.interrupts import GRACE, end_in_time
from vlrb.texts import accept_any_text, print_records

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


AHEAD = 2
"""Tasks that each of the other processes has: one that it does, and the next one."""

LOOK = 1.0
"""Seconds between looks whether a process that says nothing is still there."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables that libraries of numerics read when they are loaded, which may be long after a limit was set by a call."""

largest_kilobytes = 0
"""The largest memory of any of the other processes that this one has had."""


@attrs.frozen
class Task:
    """One piece of work: its name in messages, the arguments of the work, and the size of what it works on, in bytes."""

    name: str
    arguments: tuple[Any, ...]
    size: int = 0


@attrs.frozen
class Report:
    """What a task tells while it goes on: its progress, and values that a router logs at a step."""

    progress: Progress
    log: Callable[[int, Mapping[str, float]], None]


@attrs.frozen
class Job:
    """What is done with each task, as functions of modules, so that another process finds them.

    ``make(*shared)`` gives what all tasks in a process work with; ``work(made, report, *arguments)`` is a task's result.
    """

    make: Callable[..., Any]
    shared: tuple[Any, ...]
    work: Callable[..., Any]


@attrs.frozen(eq=False)
class Failure:
    """What a task raised, and the same as text: with the traceback, if it was not foreseen."""

    error: BaseException
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception that is being handled; what the system refuses becomes a StorageError."""
        if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in STORAGE:
            refused = StorageError.of(error)
            refused.__cause__ = error
            error = refused
        return cls(error, error_text(error))

    def portable(self) -> Failure:
        """Return the same with an exception that can be sent to another process."""
        error = self.error
        if isinstance(error, VlrbError):
            return self
        if isinstance(error, OSError) and isinstance(error.errno, int):
            name = None if error.filename is None else str(error.filename)
            return Failure(OSError(error.errno, str(error.strerror), name), self.text)
        return Failure(VlrbError(self.text), self.text)


def error_text(error: BaseException) -> str:
    """Return an error as its message, followed by where it came from if it was not foreseen."""
    if isinstance(error, VlrbError) and error.__cause__ is None:
        return str(error)
    first = str(error) if isinstance(error, VlrbError) else describe_error(error)
    return f"{first}\n\n{traceback_of(error)}"


@attrs.frozen
class Listener:
    """What is called in the asking process, one call at a time; what a call raises ends the work."""

    started: Callable[[Task], None]
    progress: Progress
    log: Callable[[Task, int, Mapping[str, float]], None]
    ended: Callable[[Task, Any], None]
    failed: Callable[[Task, Failure], None]


@attrs.frozen
class LocalExecutor:
    """Does tasks on this machine, the largest first.

    :param jobs: tasks at a time
    :param isolated: each task has a process of its own
    :param threads: that each task's numerics may use; 0: as many as they like
    """

    jobs: int = 1
    isolated: bool = False
    threads: int = 0

    def run(self, job: Job, tasks: Sequence[Task], listener: Listener, here: Any = None) -> None:
        """Do all tasks; return when the last one has ended.

        A task that fails, or whose process dies, is told to the listener, and the others go on.  Whatever the listener
        raises, and an interrupt, ends the other processes first.

        :param here: what ``make`` gives, for this process; None: it does no tasks itself
        """
        waiting = deque(sorted(tasks, key=lambda t: -t.size))
        running: list[_Process] = []
        others = self.jobs - (here is not None)
        with thread_environment(self.threads), _ended(running):
            while waiting or running:
                self._hand_out(job, waiting, running, others, listener)
                if here is not None and waiting:
                    # the smallest, while others start; without others in their order
                    _do(job, here, waiting.pop() if others else waiting.popleft(), listener)
                _listen(running, listener, 0 if here is not None and waiting else LOOK)
                interrupts.check()

    def _hand_out(
        self, job: Job, waiting: deque[Task], running: list[_Process], others: int, listener: Listener
    ) -> None:
        """Give the other processes their next tasks."""
        while waiting and len(running) < others:
            _start(job, running)
            self._give(running[-1], waiting, listener)
        for process in running:
            while waiting and not self.isolated and len(process.tasks) < AHEAD:
                self._give(process, waiting, listener)
            if not process.told and (self.isolated or not waiting):
                process.told = True
                process.send(None)

    def _give(self, process: _Process, waiting: deque[Task], listener: Listener) -> None:
        listener.started(waiting[0])
        process.tasks.append(waiting[0])
        process.send(waiting.popleft())


def _do(job: Job, made: Any, task: Task, listener: Listener) -> None:
    """Do a task in this process."""
    listener.started(task)
    report = Report(listener.progress, partial(listener.log, task))
    result = _attempt(lambda: job.work(made, report, *task.arguments))
    interrupts.check()  # so that no interrupt passes for a failure
    if isinstance(result, Failure):
        listener.failed(task, result)
    else:
        listener.ended(task, result)


def _attempt(work: Callable[[], Any]) -> Any:
    """Return what the work of a task gives, or its failure."""
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure.of(error)


# --- threads of numerics ----------------------------------------------------------------------------------------------------


def available_threads() -> int:
    """Return how many CPUs this process may use, or fewer where the environment says so (``OMP_NUM_THREADS``)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(cpus, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cpus


@contextlib.contextmanager
def thread_environment(threads: int) -> Iterator[None]:
    """Have libraries that are loaded in a block, and the processes that are started in it, use so many threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    if threads:
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is not None:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)


# --- in the process that asks -----------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _Process:
    """Another process, its pipe, and the tasks that it has, the current one first."""

    process: Any
    pipe: Any
    tasks: deque[Task] = attrs.Factory(deque)
    told: bool = False
    """Told that no more tasks come."""

    def send(self, task: Task | None) -> None:
        """Send a task; a process that has died is found out when it is listened to."""
        with contextlib.suppress(OSError):
            self.pipe.send(task)


def _start(job: Job, running: list[_Process]) -> None:
    import multiprocessing
    from multiprocessing import resource_tracker

    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # it would unblock signals while it is started
    with interrupts.held():
        # a new process begins with signals blocked, until it knows what to do with them
        before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
        try:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(job, there, logging.getLogger().level))
            process.start()
            there.close()
            running.append(_Process(process, here))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _ended(running: list[_Process]) -> Iterator[None]:
    """End the processes that are left after a block; they see their pipes closed."""
    try:
        yield
    finally:
        with interrupts.held():
            for each in running:
                each.pipe.close()
            limit = time.monotonic() + 2 * GRACE
            for each in running:
                each.process.join(max(0.0, limit - time.monotonic()))
                each.process.kill()
                each.process.join()


def _listen(running: list[_Process], listener: Listener, patience: float) -> None:
    """Take one message of each process that has one; drop the processes that have ended."""
    from multiprocessing.connection import wait

    ready = wait([p.pipe for p in running], patience) if running else []
    for each in list(running):
        if (each.pipe in ready or not each.process.is_alive()) and _take(each, listener):
            running.remove(each)


def _take(each: _Process, listener: Listener) -> bool:
    """Take a message of a process; tell whether it has done all its tasks, or died."""
    global largest_kilobytes
    try:
        if not each.pipe.poll():
            raise EOFError  # it has died, and one that it has started holds its end of the pipe
        kind, *content = each.pipe.recv()
    except (EOFError, OSError):
        failure = _death(each)
        for task in each.tasks:
            listener.failed(task, failure)
        return True
    if kind == "progress":
        listener.progress(*content)
    elif kind == "log":
        listener.log(each.tasks[0], *content)
    else:
        result, kilobytes = content
        largest_kilobytes = max(largest_kilobytes, kilobytes)
        tell = listener.failed if isinstance(result, Failure) else listener.ended
        tell(each.tasks.popleft(), result)
    return each.told and not each.tasks  # it ends while this one goes on


def _death(each: _Process) -> Failure:
    """Say how a process died."""
    each.process.join()
    code = each.process.exitcode
    if -code in interrupts.SIGNALS:
        time.sleep(0.5)  # such a signal goes to a whole group of processes: it is about to interrupt this one
        interrupts.check()
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return Failure.of(
        PluginError(
            f"a process died ({how}): it was killed, perhaps because memory ran out, or a plugin ended it",
            where=each.tasks[0].name,
            fix="check the machine's memory, or do all the work in one process with --jobs 1",
        )
    )


# --- in another process -----------------------------------------------------------------------------------------------------


def _serve(job: Job, pipe: Any, level: int) -> None:
    """Do the tasks that come through a pipe, until it says that there are no more; end when the other side is gone.

    :param level: from which log records are printed, as in the asking process
    """
    accept_any_text()
    print_records(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its processes
    interrupts.install((signal.SIGTERM, signal.SIGHUP))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    busy = threading.Event()
    try:
        threading.Thread(target=_receive, args=(pipe, tasks, busy), daemon=True).start()
        _work(job, pipe, tasks, busy)
        interrupts.close()
        end_in_time(0)
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        interrupts.end_by(interrupts.received() or signal.SIGTERM)


def _receive(pipe: Any, tasks: queue.SimpleQueue[Task | None], busy: threading.Event) -> None:
    """Pass tasks on; when the parent is gone, or wants no more, interrupt this process, and end it if it goes on."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(pipe.recv())
    tasks.put(None)
    busy.wait()  # also for a task that was taken just now, or comes before the end
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _work(job: Job, pipe: Any, tasks: queue.SimpleQueue[Task | None], busy: threading.Event) -> None:
    lock = threading.Lock()

    def send(*message: Any) -> None:
        interrupts.check()
        with lock:  # a router may log from a thread of its own
            pipe.send(message)

    report = Report(partial(send, "progress"), partial(send, "log"))
    made: Any = None

    def work(task: Task) -> Any:
        nonlocal made
        made = job.make(*job.shared) if made is None else made
        return job.work(made, report, *task.arguments)

    while (task := tasks.get()) is not None:
        busy.set()
        result = _attempt(partial(work, task))
        if isinstance(result, Failure):
            result = result.portable()
        send("ended", result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        busy.clear()
