"""Pieces shared by several processes, on any machines that share a cache: each takes pieces that no other is doing."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import validators

from vlrb import (
    Job,
    Limits,
    Listener,
    LocalExecutor,
    Task,
    TaskProcess,
    do_task,
    lock_if_free,
    param,
    thread_environment,
)

logger = logging.getLogger("vlrb")

UNLIMITED = Limits()

PAUSE = 1.0
"""Seconds between looks at pieces that others are doing."""


@attrs.frozen
class ShardParams:
    """Parameters of ``shards``."""

    index: int = param(default=1, validator=validators.ge(1), help="which of the shards this is, from 1")
    count: int = param(default=1, validator=validators.ge(1), help="how many shards there are")

    def __attrs_post_init__(self) -> None:
        if self.index > self.count:
            raise ValueError(f"index must be at most count = {self.count}, not {self.index}")


class SharedExecutor:
    """Does the tasks that no other shard does, one at a time, starting with its share; ends when all are done.

    A task is done under the claim of what it makes, a lock beside it in the cache.  A task that another shard has done is
    found in the cache by the task itself; a shard that dies leaves its claim free.  Where this process does no tasks, one
    beside it does them, and another one when that has died: also with ``isolated``, as tasks come one at a time.
    """

    def __init__(self, params: ShardParams) -> None:
        self.params = params

    def run(
        self, job: Job, tasks: Sequence[Task], listener: Listener, here: Any = None, *, limits: Limits = UNLIMITED
    ) -> None:
        """Do all tasks, see :meth:`vlrb.Executor.run`; those that make nothing in the cache are done by every shard."""
        apart = [t for t in tasks if t.makes is None]
        if apart:
            LocalExecutor().run(job, apart, listener, here, limits=limits)
        shared = [t for t in tasks if t.makes is not None]
        first = (self.params.index - 1) * len(shared) // self.params.count
        with thread_environment(limits.threads):
            worker = _Worker(job, here)
            try:
                self._share(worker, deque(shared[first:] + shared[:first]), listener)
            finally:
                worker.close()

    def _share(self, worker: _Worker, waiting: deque[Task], listener: Listener) -> None:
        taken = 0
        told = False
        while waiting:
            task = waiting.popleft()
            with lock_if_free(claim_of(task)) as is_free:
                if is_free:
                    worker.do(task, listener)
            if is_free:
                taken = 0
                continue
            waiting.append(task)
            taken += 1
            if taken >= len(waiting):
                if not told:
                    logger.warning("%d pieces are with other shards, %s among them: waiting", len(waiting), task.name)
                told, taken = True, 0
                time.sleep(PAUSE)


@attrs.define(eq=False)
class _Worker:
    """Does tasks: in this process if it has what they share, else in one beside it, so that a death ends one task only."""

    job: Job
    here: Any
    process: TaskProcess | None = None

    def do(self, task: Task, listener: Listener) -> None:
        """Do a task; the process is kept for the next one unless it has died."""
        if self.here is not None:
            do_task(self.job, self.here, task, listener)
            return
        if self.process is None:
            self.process = TaskProcess.start(self.job)
        if not self.process.do(task, listener):
            self.process = None

    def close(self) -> None:
        """End the process beside this one."""
        if self.process is not None:
            self.process.close()


def claim_of(task: Task) -> Path:
    """Return the path whose lock is held while a shard does a task."""
    made = task.makes
    assert made is not None
    return made.with_name(f"{made.name}.claim")
