"""A Dask cluster for the tests, whose scheduler and workers are processes with other working directories, and tasks for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb import Failure, Job, Listener, Task

LIMIT = 90.0


def make() -> str:
    """Return what tasks share."""
    return f"made by {os.getpid()}"


def work(_made: str, report: Any, what: str, *more: Any) -> Any:
    """Do what a test wants."""
    if what == "log":
        for step in range(more[0]):
            report.progress("counting", step, more[0])
            report.log(step, {"value": float(step)})
        return os.getpid()
    if what == "where":
        return {"folder": str(Path.cwd()), "threads": report.threads, "environment": os.environ.get("OMP_NUM_THREADS")}
    if what == "print":
        print("x" * more[0], flush=True)  # noqa: T201
    if what == "raise":
        raise ValueError(f"no good: {more[0]}")
    if what == "exit":
        os._exit(3)
    if what == "edit" and Path(more[0]).read_text(encoding="utf-8") == "1":
        Path(more[0]).write_text("2", encoding="utf-8")
        os._exit(3)
    if what == "kill-worker":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if what == "sleep":
        Path(more[0]).touch()
        time.sleep(more[1])
    if what == "first-sleeps":  # until the test, which waits for the file, kills the worker
        file = Path(more[0])
        if file.exists():
            return "again"
        report.log(1, {"value": 1.0})
        time.sleep(1)  # a worker's messages are sent a few milliseconds later
        aside = file.with_suffix(".aside")
        aside.write_text(str(os.getppid()), encoding="utf-8")
        aside.rename(file)
        time.sleep(60)
    return what


def job(versions: Mapping[str, str] | None = None) -> Job:
    """Return a job whose tasks do what a test wants."""
    return Job(make, (), work) if versions is None else Job(make, (), work, alike)


def alike() -> dict[str, str]:
    """Return what must be the same, from the environment of this process, or a file that it names."""
    thing = os.environ.get("DASK_WORK_THING", "1")
    return {"the thing": Path(thing).read_text(encoding="utf-8") if Path(thing).is_absolute() else thing}


@attrs.define
class Heard:
    """The calls of a listener, in order."""

    calls: list[tuple[Any, ...]] = attrs.Factory(list)
    results: dict[str, Any] = attrs.Factory(dict)

    def listener(self) -> Listener:
        """Return the listener."""
        return Listener(
            ended=self._ended,
            progress=lambda *a: self.calls.append(("progress", *a)),
            started=lambda t: self.calls.append(("started", t.name)),
            log=lambda t, step, values: self.calls.append(("log", t.name, step, dict(values))),
        )

    def _ended(self, task: Task, result: Any) -> None:
        assert task.name not in self.results
        self.calls.append(("ended", task.name))
        self.results[task.name] = result.text if isinstance(result, Failure) else result

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """Return what was heard of a task, but for its progress."""
        return [c for c in self.calls if c[1] == name and c[0] != "progress"]


def wait_for(condition: Any) -> Any:
    """Wait until something holds; return it."""
    limit = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return found


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def alive_in_group(group: int) -> list[str]:
    """Return the processes of a group that have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = file.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(file.parent.name)
    return found


@attrs.define(eq=False)
class Cluster:
    """A scheduler and workers, each a process.

    ``before``: name of a process -> the command that starts it elsewhere.
    """

    folder: Path
    host: str = "127.0.0.1"
    before: Mapping[str, Sequence[str]] = attrs.Factory(dict)
    processes: list[subprocess.Popen[bytes]] = attrs.Factory(list)

    @property
    def file(self) -> Path:
        """Return the scheduler's file."""
        return self.folder / "scheduler.json"

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start a scheduler, and wait for its file."""
        options = [
            "--host",
            self.host,
            "--port",
            "0",
            "--no-dashboard",
            "--no-show",
            "--scheduler-file",
            str(self.file),
        ]
        process = self._start("dask_scheduler", options, "scheduler", {})
        wait_for(lambda: self.file.exists() and self.file.read_text(encoding="utf-8").strip().endswith("}"))
        return process

    @property
    def address(self) -> str:
        """Return the scheduler's address."""
        return str(json.loads(self.file.read_text(encoding="utf-8"))["address"])

    def start_worker(
        self, name: str, *options: str, nanny: bool = False, path: Sequence[Path] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker in its own folder."""
        tests = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*map(str, path), *tests]))
        given = [self.address, "--nthreads", "1", "--no-dashboard", "--name", name, *options]
        return self._start("dask_worker", given + ([] if nanny else ["--no-nanny"]), name, environment)

    def _start(
        self, module: str, options: Sequence[str], name: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [*self.before.get(name, ()), sys.executable, "-m", f"distributed.cli.{module}", *options],
                cwd=folder, stdout=log, stderr=log, env={**os.environ, **environment},
            )  # fmt: skip
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End all processes."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()


class Wire:
    """A connection between two sides that can be cut and restored: a port that leads to another one."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._to = (host, int(port))
        self._ends: list[socket.socket] = []
        self.is_cut = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Cut the open connections, and refuse new ones."""
        self.is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all."""
        self.cut()
        self._server.close()
        for end in self._ends:
            end.close()
