"""Tasks in this process and in others: what an executor is asked, what it tells, and the one for this machine."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import resource
import signal
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from vlrb import interrupts
from vlrb.errors import STORAGE, PluginError, StorageError, VlrbError
from vlrb.interrupts import GRACE, end_in_time
from vlrb.texts import accept_any_text, describe_error, print_records, traceback_of
from vlrb.threads import thread_environment

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is; 0, 0 for work of unknown length, 1, 0 at its end."""
AHEAD = 2
"""Tasks that each of the other processes has: the current one and the next."""
LOOK = 1.0
"""Seconds between checks that a silent process is still alive."""
largest_kilobytes = 0
"""The peak memory of the largest of the other processes so far."""


def quiet(*_: Any) -> None:
    """Tell nobody of progress, or of whatever else a task reports."""


@contextlib.contextmanager
def stage(progress: Progress, what: str) -> Iterator[None]:
    """Tell what is being done in a block whose length is unknown."""
    progress(what, 0, 0)
    try:
        yield
    finally:
        progress(what, 1, 0)


@attrs.frozen
class Task:
    """One piece of work: its name in messages, its arguments, the bytes that it works on.

    ``makes``: what it makes in the cache; ``resources``: what its machine must offer.
    """

    name: str
    arguments: tuple[Any, ...]
    size: int = 0
    makes: Path | None = None
    resources: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen
class Report:
    """How a task tells of its progress, and of values at a step (a router's curve).

    ``threads`` are those of its numerical libraries where the executor decides it; 0: as the task says.
    """

    progress: Progress
    log: Callable[[int, Mapping[str, float]], None]
    threads: int = 0


def no_versions(*_: Any) -> Mapping[str, str]:
    """Return nothing that must be the same elsewhere."""
    return {}


@attrs.frozen
class Job:
    """What is done with each task, as functions of modules: ``work(make(*shared), report, *arguments)`` is its result.

    ``make`` is called once in a process.  ``versions(*shared)``, name -> version or digest, must be the same wherever the work is
    done, which an executor with other machines checks.
    """

    make: Callable[..., Any]
    shared: tuple[Any, ...]
    work: Callable[..., Any]
    versions: Callable[..., Mapping[str, str]] = no_versions


@attrs.frozen(eq=False)
class Failure:
    """What a task raised, and the same as text: with the traceback, if it was unexpected."""

    error: BaseException
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe the exception being handled; a full disk and the like become a StorageError."""
        if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in STORAGE:
            refused = StorageError.of(error)
            refused.__cause__ = error
            error = refused
        return cls(error, error_text(error))

    def __reduce__(self) -> tuple[type[Failure], tuple[BaseException, str]]:
        """Send an exception that any process can load; that of a plugin's class becomes its text."""
        error = self.error
        if isinstance(error, OSError) and isinstance(error.errno, int):
            name = None if error.filename is None else str(error.filename)
            error = OSError(error.errno, str(error.strerror), name)
        elif not isinstance(error, VlrbError):
            error = VlrbError(self.text)
        return Failure, (error, self.text)


def error_text(error: BaseException) -> str:
    """Return an error's message, with the traceback if it was unexpected."""
    if isinstance(error, VlrbError) and error.__cause__ is None:
        return str(error)
    first = str(error) if isinstance(error, VlrbError) else describe_error(error)
    return f"{first}\n\n{traceback_of(error)}"


@attrs.frozen
class Limits:
    """How tasks are done.

    :param jobs: tasks at a time
    :param isolated: each task has a process of its own
    :param threads: of each task's numerical libraries; 0: no limit
    """

    jobs: int = 1
    isolated: bool = False
    threads: int = 0


@attrs.frozen
class Listener:
    """What is called in the main process, one call at a time; what a call raises ends the work.

    ``ended`` gets a task's result, or its :class:`Failure`.
    """

    ended: Callable[[Task, Any], None]
    progress: Progress
    started: Callable[[Task], None] = quiet
    log: Callable[[Task, int, Mapping[str, float]], None] = quiet


class Executor(Protocol):
    """Does tasks in this process and in others, here or on other machines."""

    def run(
        self, job: Job, tasks: Sequence[Task], listener: Listener, here: Any = None, *, limits: Limits = Limits()
    ) -> None:
        """Do all tasks; a task that fails, or whose process dies, holds up no other.

        ``make`` is called once in each process, ``work`` for each task, the listener in the main process.
        An interrupt, and what the listener raises, is raised when all other processes have ended.

        :param here: what ``make`` gives, for tasks in this process; None: it does none
        :param limits: of this machine
        """


class LocalExecutor:
    """Does tasks on this machine, the largest first."""

    def run(
        self, job: Job, tasks: Sequence[Task], listener: Listener, here: Any = None, *, limits: Limits = Limits()
    ) -> None:
        """Do all tasks, see :meth:`Executor.run`."""
        waiting = deque(sorted(tasks, key=lambda t: -t.size))
        running: list[_Process] = []
        others = limits.jobs - (here is not None)
        with thread_environment(limits.threads), _ended(running):
            while waiting or running:
                while waiting and len(running) < others:
                    _start(job, running)
                    running[-1].give(waiting.popleft(), listener)
                for process in running:
                    while waiting and not limits.isolated and len(process.tasks) < AHEAD:
                        process.give(waiting.popleft(), listener)
                    if not process.told and (limits.isolated or not waiting):
                        process.told = True
                        process.send(None)
                if here is not None and waiting:
                    # the smallest, while others start; without others in their order
                    do_task(job, here, waiting.pop() if others else waiting.popleft(), listener)
                _listen(running, listener, 0 if here is not None and waiting else LOOK)
                interrupts.check()


def do_task(job: Job, made: Any, task: Task, listener: Listener) -> None:
    """Do a task in this process.

    :param made: what the job's ``make`` gives
    """
    listener.started(task)
    report = Report(listener.progress, functools.partial(listener.log, task))
    result = _attempt(lambda: job.work(made, report, *task.arguments))
    interrupts.check()  # so that no interrupt passes for a failure
    listener.ended(task, result)


def _attempt(work: Callable[[], Any]) -> Any:
    """Return a task's result, or its failure."""
    try:
        return work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure.of(error)


@attrs.define(eq=False)
class _Process:
    """Another process, its pipe, and its tasks, the current one first; ``told`` that no more tasks come."""

    process: Any
    pipe: Any
    tasks: deque[Task] = attrs.Factory(deque)
    told: bool = False

    def give(self, task: Task, listener: Listener) -> None:
        """Send a task, the next one after those that the process has."""
        listener.started(task)
        self.tasks.append(task)
        self.send(task)

    def send(self, task: Task | None) -> None:
        """Send a task; that the process has died is noticed when it is listened to."""
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
            with _hidden_main():
                process.start()
            there.close()
            running.append(_Process(process, here))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    """Hide the main module: a new process would import it, and run a script that does not ask for its ``__name__`` again."""
    main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _ended(running: list[_Process]) -> Iterator[None]:
    """End the processes that are left after a block: first by closing their pipes."""
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
    """Take a message of a process; return whether it has done all its tasks, or died."""
    global largest_kilobytes
    try:
        if not each.pipe.poll():
            raise EOFError  # it died, and a process that it started holds its end of the pipe
        kind, *content = each.pipe.recv()
    except (EOFError, OSError):
        failure = _death(each)
        for task in each.tasks:
            listener.ended(task, failure)
        return True
    if kind == "progress":
        listener.progress(*content)
    elif kind == "log":
        listener.log(each.tasks[0], *content)
    else:
        result, kilobytes = content
        largest_kilobytes = max(largest_kilobytes, kilobytes)
        listener.ended(each.tasks.popleft(), result)
    return each.told and not each.tasks


def _death(each: _Process) -> Failure:
    """Say how a process died."""
    each.process.join()
    code = each.process.exitcode
    if -code in interrupts.SIGNALS:
        time.sleep(0.5)  # the signal may have gone to the whole group, this process included
        interrupts.check()
    how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return Failure.of(
        PluginError(
            f"a process died ({how}): it was killed, perhaps because memory ran out, or a plugin ended it",
            where=each.tasks[0].name,
            fix="check the machine's memory, or do all the work in one process with --jobs 1",
        )
    )


def _serve(job: Job, pipe: Any, level: int) -> None:
    """Do the tasks that come through a pipe until None comes; end when the main process is gone.

    :param level: of the log records that are printed, as in the main process
    """
    accept_any_text()
    print_records(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its processes
    interrupts.install((signal.SIGTERM, signal.SIGHUP))
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    busy = threading.Event()
    lock = threading.Lock()

    def send(*message: Any) -> None:
        interrupts.check()
        with lock:  # a router may log from another thread
            pipe.send(message)

    report = Report(functools.partial(send, "progress"), functools.partial(send, "log"))
    make = functools.cache(lambda: job.make(*job.shared))  # called in a task, which fails if it does
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
        threading.Thread(target=_receive, args=(pipe, tasks, busy), daemon=True).start()
        while (task := tasks.get()) is not None:
            busy.set()
            result = _attempt(lambda task=task: job.work(make(), report, *task.arguments))  # type: ignore[misc]
            send("ended", result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            busy.clear()
        interrupts.close()
        end_in_time(0)
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        interrupts.end_by(interrupts.received() or signal.SIGTERM)


def _receive(pipe: Any, tasks: queue.SimpleQueue[Task | None], busy: threading.Event) -> None:
    """Pass tasks on; when the parent is gone, or closed the pipe, interrupt this process, and end it if it goes on."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(pipe.recv())
    tasks.put(None)
    busy.wait()  # also for a task that was taken just now, or comes before the end
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
