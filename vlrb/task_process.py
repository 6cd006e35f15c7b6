"""One more process on this machine, for an executor that assigns tasks itself, such as one with workers on other machines."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import attrs

from vlrb.executor import LOOK, Job, Listener, Task, _ended, _listen, _Process, _start
from vlrb.interrupts import GRACE
from vlrb.threads import thread_environment


@attrs.frozen(eq=False)
class TaskProcess:
    """A process that does tasks of a job, one after the other, until it is closed or dies; it starts with the code as it is now.

    One thread may do a task while another interrupts it.
    """

    _process: _Process
    _running: list[_Process]

    @classmethod
    def start(cls, job: Job, threads: int = 0) -> TaskProcess:
        """Start a process; not in two threads at once.

        :param threads: of its numerical libraries; 0: no limit
        """
        running: list[_Process] = []
        with thread_environment(threads):
            _start(job, running)
        return cls(running[0], running)

    def do(self, task: Task, listener: Listener) -> bool:
        """Do a task; return whether the process is still alive: if not, the listener got a failure that says how it died."""
        self._process.give(task, listener)
        while self._process.tasks and self._running:
            _listen(self._running, listener, LOOK)
        return bool(self._running)

    def interrupt(self) -> None:
        """Interrupt the process in its task, and kill it if it continues."""
        self._signal(signal.SIGTERM)
        timer = threading.Timer(GRACE, self._signal, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()

    def _signal(self, number: int) -> None:
        if self._running:  # whoever waits for it has not seen its end
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.process.pid, number)

    def close(self) -> None:
        """End the process, which must be idle."""
        with _ended(self._running):
            pass
        self._running.clear()
