"""Work done aside: a store that is slow, or never answers, holds up its own threads and not the run.

A call to MLflow is never cut in the middle by an interrupt, because interrupts reach the main thread only.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

Job = Callable[[], None]


class Stopped(Exception):
    """Raised inside a job that was given up, at its next call."""


class Lanes:
    """Runs jobs in daemon threads: those of a lane one after another, lanes side by side.

    The first job that fails ends all work; ``failure`` says why.
    """

    def __init__(self, width: int) -> None:
        self.failure: BaseException | None = None
        self._width = width
        self._waiting: dict[str, deque[Job]] = {}
        self._busy: dict[str, int] = {}
        self._calls: dict[int, float] = {}
        self._generation = 0
        self._threads: set[threading.Thread] = set()
        self._changed = threading.Condition()

    def submit(self, lane: str, job: Job) -> None:
        """Do a job after those that its lane has."""
        with self._changed:
            self._waiting.setdefault(lane, deque()).append(job)
            self._threads = {t for t in self._threads if t.is_alive()}
            if len(self._threads) < self._width:
                thread = threading.Thread(target=self._work, name="vlrb-mlflow", daemon=True)
                self._threads.add(thread)
                thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; tell whether that is so after so many seconds, or after a failure."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (self._waiting or self._busy) and self.failure is None:
                now = time.monotonic()
                limit = min((deadline, *self._calls.values()))
                if limit <= now < deadline:
                    self._fail(TimeoutError("no answer in time"))
                elif now >= deadline:
                    return False
                self._changed.wait(max(0.0, min(limit, deadline) - now))
        return self.failure is None

    def drop(self) -> None:
        """Give up what waits, and what is being done at its next call."""
        with self._changed:
            self._generation += 1
            self._waiting.clear()

    def fail(self, error: BaseException) -> None:
        """Give everything up for a reason; the first one counts."""
        with self._changed:
            self._fail(error)

    @contextlib.contextmanager
    def call(self, limit: float) -> Iterator[None]:
        """Mark one call to a store, made inside a job: nobody waits for it longer than ``limit`` seconds.

        :raises Stopped: when the job was given up
        """
        me = threading.get_ident()
        with self._changed:
            if getattr(threading.current_thread(), "generation", self._generation) != self._generation:
                raise Stopped
            self._calls[me] = time.monotonic() + limit
        try:
            yield
        finally:
            with self._changed:
                self._calls.pop(me, None)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
        self._generation += 1
        self._waiting.clear()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                lane = next((name for name in self._waiting if name not in self._busy), None)
                if lane is None:
                    self._threads.discard(threading.current_thread())
                    return
                job = self._waiting[lane].popleft()
                if not self._waiting[lane]:
                    del self._waiting[lane]
                self._busy[lane] = generation = self._generation
            self._do(job, generation)
            with self._changed:
                del self._busy[lane]
                self._changed.notify_all()

    def _do(self, job: Job, generation: int) -> None:
        threading.current_thread().generation = generation  # type: ignore[attr-defined]
        try:
            job()
        except Stopped:
            pass
        except BaseException as error:
            with self._changed:
                if generation == self._generation:
                    self._fail(error)
