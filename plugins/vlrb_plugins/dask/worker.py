"""What runs in a Dask worker: it passes tasks to processes next to it, and their messages to the main process.

Tasks change their process (signal handlers, threads of libraries, environment), may end it, and need the code as it is on disk
now: so none runs in the worker itself.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import util
from typing import Any

import attrs

from vlrb import Failure, Job, Listener, Task, TaskProcess
from vlrb_plugins.dask.inside import open_job, step
from vlrb_plugins.dask.messages import DIED, ENDED, LOG, PROGRESS, STARTED, UNKNOWN, pack

IDLE = 60.0
"""Seconds after which an unused job is dropped: the main process was killed."""
OFTEN = 0.2
"""Seconds between two progress messages on one thing."""


@attrs.define(eq=False)
class Held:
    """A job that the worker has taken, with what its processes must find, and these."""

    packed: tuple[bytes, bytes]
    threads: int
    idle: list[TaskProcess] = attrs.Factory(list)
    busy: list[TaskProcess] = attrs.Factory(list)
    used: float = 0.0


_jobs: dict[str, Held] = {}
_lock = threading.Lock()
_starting = threading.Lock()


@functools.cache
def _close_at_exit() -> None:
    """End the processes when this one ends; multiprocessing would wait for them otherwise."""
    util.Finalize(None, _close_all, exitpriority=10)


def take_job(topic: str, name: str, mark: int, packed: tuple[bytes, bytes], threads: int) -> None:
    """Take a job, and look whether this worker can do it."""
    with _lock:
        _close_at_exit()
        if name not in _jobs:
            _jobs[name] = Held(packed, threads, used=time.monotonic())
            threading.Thread(target=_drop_unused, args=(name,), daemon=True).start()
    _do(topic, name, mark, Task("look", ("look",)))


def do_task(topic: str, name: str, mark: int, task: bytes, threads: int) -> None:
    """Do a task of a job that the worker has taken."""
    _do(topic, name, mark, Task("work", ("work", threads, task)))


def end_job(name: str) -> None:
    """Interrupt the tasks of a job and drop it."""
    with _lock:
        held = _jobs.pop(name, None)
        for process in held.busy if held else ():
            process.interrupt()
    if held:
        threading.Thread(target=_close, args=(held,), daemon=True).start()


def _do(topic: str, name: str, mark: int, task: Task) -> None:
    """Have a process of a job do a task, and tell under a topic what comes of it; the scheduler keeps the order."""
    from distributed import get_worker

    log_event = get_worker().log_event

    def tell(*message: Any) -> None:
        log_event(topic, pack((mark, *message)))

    process = _borrowed(name)
    if process is None:
        tell(UNKNOWN)
        return
    tell(STARTED)
    results: list[Any] = []
    progress = _rate_limited(functools.partial(tell, PROGRESS))
    listener = Listener(lambda _, result: results.append(result), progress, log=lambda _, *values: tell(LOG, *values))
    alive = process.do(task, listener)
    _give_back(name, process, alive)
    result = results[0]
    if not alive:
        tell(DIED, str(result.error.problems[0].message))
    else:
        tell(ENDED, pack(result) if isinstance(result, Failure) else result)


def _rate_limited(tell: Callable[..., None]) -> Callable[..., None]:
    """Return a function that sends progress on one thing at most every :data:`OFTEN` seconds, and always its end."""
    last: dict[str, float] = {}

    def told(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last.get(what, 0.0) > OFTEN:
            last[what] = now
            tell(what, done, total)

    return told


def _borrowed(name: str) -> TaskProcess | None:
    """Return a process for one task of a job; None where the job is unknown."""
    with _lock:
        held = _jobs.get(name)
        if held is None:
            return None
        process = held.idle.pop() if held.idle else None
        if process is not None:
            held.busy.append(process)
            return process
        held.used = float("inf")  # while a process starts
    with _starting, _children_allowed():
        process = TaskProcess.start(Job(open_job, held.packed, step), held.threads)
    with _lock:
        held.busy.append(process)
        if name not in _jobs:
            process.interrupt()
    return process


def _give_back(name: str, process: TaskProcess, alive: bool) -> None:
    with _lock:
        held = _jobs.get(name)
        if held is not None:
            held.busy.remove(process)
            held.used = time.monotonic()
            if alive:
                held.idle.append(process)
                return
    if alive:
        process.close()


@contextlib.contextmanager
def _children_allowed() -> Iterator[None]:
    """Let a daemonic process (a worker under a nanny) have children, which end by themselves when it is gone."""
    config = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    before = config.get("daemon")
    config["daemon"] = False
    try:
        yield
    finally:
        config["daemon"] = before


def _drop_unused(name: str) -> None:
    while True:
        time.sleep(IDLE / 4)
        with _lock:
            held = _jobs.get(name)
            if held is None:
                return
            if held.busy or time.monotonic() - held.used < IDLE:
                continue
            del _jobs[name]
        _close(held)
        return


def _close(held: Held) -> None:
    for process in held.idle:
        process.close()


def _close_all() -> None:
    for name in list(_jobs):
        held = _jobs.pop(name)
        for process in held.busy:
            process.interrupt()
        _close(held)
