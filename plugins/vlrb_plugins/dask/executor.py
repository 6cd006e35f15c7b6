"""The executor: it gives each worker as many tasks as it has threads, and listens to their messages."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb import (
    ConfigError,
    Failure,
    Job,
    Limits,
    Listener,
    Places,
    PluginError,
    Problem,
    StorageError,
    Task,
    cache_directory,
    interrupts,
)
from vlrb_plugins.dask.connection import Connection, close_connection, connected, lost, within
from vlrb_plugins.dask.crew import Attempt, Crew, Worker
from vlrb_plugins.dask.inside import Expected, Refused
from vlrb_plugins.dask.messages import DIED, ENDED, LOG, PROGRESS, STARTED, UNKNOWN, pack, unpack
from vlrb_plugins.dask.params import DaskParams
from vlrb_plugins.dask.worker import do_task, end_job, take_job

logger = logging.getLogger("vlrb")

ATTEMPTS = 3
"""How often to try a task whose process or worker dies."""
LOOK = 0.5
"""Seconds between looks at the connection and for interrupts."""
EVERY = 5.0
"""Seconds between looks at the list of workers, unless the scheduler tells of a change."""
SILENT = 3.0
"""Seconds for which nobody is told that no worker can do what is left: one may be about to join."""
TOKEN = ".dask-"
"""Beginning of the name of a file in the cache folder, which workers must see."""
STALE = 24 * 3600.0
"""Seconds after which such a file is of a process that was killed: each look of a worker renews it."""
END = 5.0
"""Seconds to tell the workers that a job has ended."""
INSTALL = 'install vlrb there as here, with its extra: pip install "vlrb[dask]"'
WORKERS_CHANGED = "workers changed"
"""What is put among the workers' messages here: the list of workers is another one."""


@attrs.frozen
class DaskExecutor:
    """Does tasks on the workers of a Dask cluster."""

    params: DaskParams

    def run(
        self,
        job: Job,
        tasks: Sequence[Task],
        listener: Listener,
        here: Any = None,  # noqa: ARG002  (no task is done in this process)
        *,
        limits: Limits | None = None,  # noqa: ARG002  (they are those of this machine)
    ) -> None:
        """Do all tasks, see :meth:`vlrb.Executor.run`.

        :raises ConfigError: when there is no scheduler, or no worker that can do what is left
        :raises StorageError: when the connection to the scheduler is lost
        """
        if not tasks:
            return
        packed, versions = pack(job), job.versions(*job.shared)
        places = next((thing for thing in job.shared if isinstance(thing, Places)), None)
        token = (places.cache if places else cache_directory()) / f"{TOKEN}{uuid.uuid4().hex}"
        try:
            connection = connected(self.params, listener.progress)
            _write_token(token)
            _remove_stale_tokens(token)
            work = _Work(connection, listener, packed, Expected(versions, token))
            try:
                work.do_all(tasks)
            finally:
                work.end()
        except BaseException:
            close_connection()
            raise
        finally:
            token.unlink(missing_ok=True)


def _write_token(token: Path) -> None:
    try:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
    except OSError as error:
        raise StorageError.of(error, token) from None


def _remove_stale_tokens(token: Path) -> None:
    """Remove what processes that were killed have left beside a token, whose time is that of the file system."""
    with contextlib.suppress(OSError):  # another process does the same
        now = token.stat().st_mtime
        for other in token.parent.glob(f"{TOKEN}*"):
            if now - other.stat().st_mtime > STALE:
                other.unlink()


@attrs.define(eq=False)
class _Work:
    """The tasks of one call, and the workers that do them.

    Workers tell all under one topic, the client's identity: the scheduler forgets it when the client has been gone for an hour.
    """

    connection: Connection
    listener: Listener
    packed: bytes
    expected: Expected
    name: str = attrs.Factory(lambda: f"vlrb-{uuid.uuid4().hex}")
    crew: Crew = attrs.Factory(Crew)
    queue: queue.SimpleQueue[tuple[Any, ...]] = attrs.Factory(queue.SimpleQueue)
    futures: dict[int, Any] = attrs.Factory(dict)
    looked: float = float("-inf")
    swept: float = 0.0
    stuck: float = 0.0
    has_warned: bool = False
    is_lost: bool = False

    @property
    def client(self) -> Any:
        return self.connection.client

    def do_all(self, tasks: Sequence[Task]) -> None:
        """Assign tasks, the largest first, and listen, until all have ended."""
        self.crew.add(sorted(tasks, key=lambda t: -t.size))
        self.subscribe()
        while self.crew.left:
            self.watch_connection()
            if not self.is_lost:
                self.watch_workers()
                for attempt in self.crew.hand_out():
                    self.give(attempt)
                self.refuse_to_hang()
                self.tell_refused()
            self.take()
            interrupts.check()

    def subscribe(self) -> None:
        """Listen to the workers, and to the scheduler where workers come and go."""
        self.client.subscribe_topic(self.client.id, self._note_message)
        self.client.subscribe_topic("all", self._note_change)

    def _note_message(self, event: Any) -> None:
        if isinstance(event[1], bytes):  # the scheduler notes there, too, what the client does
            self.queue.put(unpack(event[1]))

    def _note_change(self, event: Any) -> None:
        if event[1].get("action") in ("add-worker", "remove-worker"):
            self.queue.put((0, WORKERS_CHANGED))

    def watch_connection(self) -> None:
        """Notice that the connection is lost or back; then running tasks are assigned again, unless they have ended."""
        status = self.client.status
        if status == "closed":
            raise lost(self.connection)
        if status != "running" and not self.is_lost:
            self.is_lost = True
            limit = self.connection.params.timeout
            logger.warning("the connection to the Dask scheduler is lost: waiting up to %g s for it", limit)
        elif status == "running" and self.is_lost:
            self.is_lost, self.looked = False, float("-inf")
            logger.warning("the connection to the Dask scheduler is back")
            self.subscribe()
            self.futures.clear()
            self.crew.take_back_all()

    def watch_workers(self) -> None:
        """Look which workers have joined or left."""
        if time.monotonic() - self.looked < EVERY:
            return
        try:
            found = self.client.scheduler_info(n_workers=-1)["workers"]  # some versions give five without being asked
        except (OSError, TimeoutError):
            return  # the connection is looked at next
        self.looked = time.monotonic()
        for attempt in self.crew.take_from_gone(found):
            self.has_died(attempt, "the worker died, or the connection to it")
        for address, about in found.items():
            if address not in self.crew.workers:
                self.admit(Worker(address, about["nthreads"], about.get("resources") or {}))

    def admit(self, worker: Worker) -> None:
        """Have a worker take the job; it gets tasks when it has found nothing that differs."""
        _write_token(self.expected.token)
        mark = self.crew.look(worker)
        packed = (self.packed, pack(self.expected))
        arguments = (self.client.id, self.name, mark, packed, self.connection.params.threads)
        self.submit(mark, take_job, arguments, worker, {}, f"vlrb-look-{mark}-{self.name}")

    def give(self, attempt: Attempt) -> None:
        """Give a task to the worker that the crew has chosen."""
        arguments = (self.client.id, self.name, attempt.mark, pack(attempt.task), self.connection.params.threads)
        name = f"{attempt.task.name}-{attempt.mark}-{self.name}"
        self.submit(attempt.mark, do_task, arguments, attempt.worker, dict(attempt.task.resources), name)

    def submit(
        self, mark: int, call: Any, arguments: tuple[Any, ...], worker: Worker, resources: dict[str, float], key: str
    ) -> None:
        """Have a worker call a function."""
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):  # a job goes to a worker once
            future = self.client.submit(
                call, *arguments, key=key, workers=[worker.address], resources=resources, pure=False, retries=0
            )
        self.futures[mark] = future

    def take(self) -> None:
        """Return the messages that have arrived, or wait briefly for one."""
        done = []
        if (
            time.monotonic() - self.swept > LOOK
        ):  # before the messages: a worker's messages on a future come before its end
            self.swept = time.monotonic()
            done = [(mark, future) for mark, future in self.futures.items() if future.done()]
        try:
            message = self.queue.get(timeout=LOOK)
            while True:
                self.handle(*message)
                message = self.queue.get_nowait()
        except queue.Empty:
            for mark, future in done:
                self.is_done(mark, self.futures.pop(mark, future))

    def handle(self, mark: int, kind: str, *content: Any) -> None:
        """Handle a message; those of earlier attempts of a task are ignored."""
        if kind == WORKERS_CHANGED:
            self.looked = float("-inf")
        elif self.crew.looker(mark) is not None:
            self.has_looked(mark, kind, content)
        elif (attempt := self.crew.current(mark)) is not None:
            self.has_told(attempt, kind, content)

    def is_done(self, mark: int, future: Any) -> None:
        """Notice futures that are done without a message of the worker; its messages come first."""
        worker, attempt = self.crew.looker(mark), self.crew.current(mark)
        if future.status in (
            "cancelled",
            "lost",
        ):  # by another client; or the connection was lost, which is noticed next
            if worker is not None:
                self.admit(worker)
            elif attempt is not None:
                self.crew.take_back([attempt])
            return
        reason = repr(future.exception()) if future.status == "error" else "it ended without a result"
        if worker is not None:
            self.join_or_refuse(mark, [Problem(f"the worker cannot run vlrb: {reason}", fix=INSTALL)])
        elif attempt is not None:
            self.crew.ended(attempt)
            self.has_died(attempt, reason)

    def has_looked(self, mark: int, kind: str, content: tuple[Any, ...]) -> None:
        """Handle what a worker found when it checked the job."""
        if kind == DIED:
            self.join_or_refuse(mark, [Problem(f"the worker cannot run vlrb: {content[0]}", fix=INSTALL)])
        elif kind == ENDED:
            self.join_or_refuse(mark, _excluding(unpack(content[0])))

    def join_or_refuse(self, mark: int, problems: Sequence[Problem]) -> None:
        """Give a worker tasks from now on, or none."""
        self.crew.has_looked(mark).judge(problems)

    def tell_refused(self) -> None:
        """Say which workers get no task; if there are no others, the error says it."""
        workers = self.crew.workers.values()
        if any(worker.is_ready for worker in workers):
            for worker in workers:
                if worker.refused and not worker.is_told:
                    worker.is_told = True
                    logger.warning(
                        "%s", "\n".join(["a worker is refused and gets no task:", *map(str, worker.refused)])
                    )

    def has_told(self, attempt: Attempt, kind: str, content: tuple[Any, ...]) -> None:
        """Pass a task's message to the listener."""
        if kind == STARTED:
            self.start_task(attempt)
        elif kind == PROGRESS:
            self.listener.progress(*content)
        elif kind == LOG:
            if self.crew.is_new(attempt, content[0]):
                self.listener.log(attempt.task, *content)
        elif kind == ENDED:
            result = unpack(content[0])
            if isinstance(result, Refused):
                self.crew.take_back([attempt])
                attempt.worker.judge(_excluding(result.found))
            else:
                self.crew.ended(attempt)
                self.end_task(attempt, result)
        elif kind == UNKNOWN:  # a worker of this address was started again
            self.crew.take_back([attempt])
            if attempt.worker.is_ready:
                self.admit(attempt.worker)
        elif kind == DIED:
            self.crew.ended(attempt)
            self.has_died(attempt, content[0])

    def start_task(self, attempt: Attempt) -> None:
        """Tell the listener that a task has started, once."""
        if self.crew.starts(attempt):
            self.listener.started(attempt.task)

    def end_task(self, attempt: Attempt, result: Any) -> None:
        """Tell the listener the end of a task."""
        self.start_task(attempt)
        self.crew.left.discard(attempt.index)
        self.listener.ended(attempt.task, result)

    def has_died(self, attempt: Attempt, how: str) -> None:
        """Try a task again whose worker or process died, or give it up."""
        name, address = attempt.task.name, attempt.worker.address
        if attempt.number < ATTEMPTS:
            logger.warning("%s, attempt %d on Dask worker %s: %s; trying again", name, attempt.number, address, how)
            self.crew.again(attempt)
            return
        what = f"it was tried {ATTEMPTS} times, and each time its worker or process died, last on {address}: {how}"
        fix = "check the memory of the workers' machines and what the plugin does, or run it alone with --only"
        self.end_task(attempt, Failure.of(PluginError(what, where=name, fix=fix)))

    def refuse_to_hang(self) -> None:
        """Stop when no worker can do the remaining tasks, and none that can has joined within the time-out.

        :raises ConfigError: saying what is missing
        """
        if not self.crew.is_stuck:
            self.stuck, self.has_warned = 0.0, False
            return
        workers = self.crew.workers.values()
        refused = [p for worker in workers for p in worker.refused]
        if refused and not any(w.is_ready for w in workers):
            raise ConfigError(refused)
        limit = 0.0 if self.connection.cluster and workers else self.connection.params.timeout
        self.stuck = self.stuck or time.monotonic()
        waited = time.monotonic() - self.stuck
        if waited >= limit:
            raise ConfigError(self.crew.missing())
        if waited >= SILENT and not self.has_warned:
            self.has_warned = True
            logger.warning("waiting up to %g s: %s", limit, self.crew.missing()[0].message)

    def end(self) -> None:
        """Cancel the remaining tasks, and have the workers drop the job; running tasks are interrupted."""
        if self.client.status != "running":
            return
        with interrupts.held():
            workers = [*self.crew.workers]
            futures = list(self.futures.values()) if self.crew.left else []
            within(END, lambda: self.client.cancel(futures) if futures else None)
            within(END, lambda: self.client.run(end_job, self.name, workers=workers, on_error="ignore"))
            for topic in (self.client.id, "all"):
                within(END, lambda topic=topic: self.client.unsubscribe_topic(topic))  # type: ignore[misc]


def _excluding(found: Sequence[Problem] | Failure) -> Sequence[Problem]:
    """Return what excludes a worker, by what one of its processes found."""
    if not isinstance(found, Failure):
        return found
    problems: Sequence[Problem] = getattr(found.error, "problems", ())
    return problems or [Problem(f"the worker cannot load the experiment: {found.text}", fix=INSTALL)]
