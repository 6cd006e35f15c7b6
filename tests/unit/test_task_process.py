"""One more process for tasks: it does one after the other, can be interrupted from another thread, and says how it died."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from vlrb.executor import Failure, Job, Listener, Task
from vlrb.task_process import TaskProcess


def make() -> int:
    """Return what tasks share."""
    return os.getpid()


def work(made: int, _report: Any, what: str) -> Any:
    """Return what is shared and the limit of threads, or exit, or sleep once the file is there."""
    if what == "exit":
        os._exit(3)
    if what.startswith("/"):
        Path(what).touch()
        time.sleep(60)
    return made, os.environ["OMP_NUM_THREADS"]


def do(process: TaskProcess, what: str) -> tuple[bool, Any]:
    """Do a task; return whether the process lives, and the result."""
    results: list[Any] = []
    listener = Listener(lambda _, result: results.append(result), lambda *_: None)
    return process.do(Task("t", (what,)), listener), results[0]


def test_it_does_one_task_after_the_other_until_it_dies() -> None:
    """In one process, which keeps what tasks share; then it is known how it died."""
    process = TaskProcess.start(Job(make, (), work), threads=3)
    first, second = do(process, "a"), do(process, "b")

    assert first == second
    assert first[1][1] == "3"
    assert first[1][0] != os.getpid()
    alive, failure = do(process, "exit")
    assert not alive
    assert isinstance(failure, Failure)
    assert "exit status 3" in failure.text
    process.close()


def test_it_can_be_interrupted_and_closed(tmp_path: Path) -> None:
    """A task ends at once; a process without one is closed."""
    file = tmp_path / "sleeps"
    process, idle = (TaskProcess.start(Job(make, (), work)) for _ in range(2))

    def interrupt() -> None:
        while not file.exists():
            time.sleep(0.01)
        process.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    alive, _ = do(process, str(file))
    thread.join()
    assert not alive
    assert time.monotonic() - began < 30

    _, (pid, _) = do(idle, "a")
    idle.close()
    assert not Path(f"/proc/{pid}").exists()
