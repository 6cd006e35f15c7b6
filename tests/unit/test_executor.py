"""Work in several processes: what each of them finds is told, and none that dies holds up the others."""

from __future__ import annotations

import errno
import json
import os
import pickle
import queue
import signal
import threading
import time
from typing import Any

import pytest

from vlrb import executor
from vlrb.errors import StorageError
from vlrb.executor import Failure, stage

LOGS = """
import multiprocessing
import os
import time
from pathlib import Path

from vlrb import hookimpl
from vlrb.errors import DataError
from vlrb.api.components import LogSourceSpec, NoParams
from vlrb.api.logs import Listing, Part


class Logs:
    def __init__(self, params):
        pass

    def list(self, catalog):
        names = [f"m{i}" for i in range(9)]
        parts = [Part("samples/D", "samples", (Path("large.bin"),), "D")]
        return Listing((*parts, *(Part(f"outcomes/D/{m}", "outcomes", (Path("large.bin"),), "D", m) for m in names)), {})

    def read(self, part, catalog):
        if multiprocessing.parent_process() is not None:
            DIE
        raise DataError("is no table", where=part.id)
        yield


@hookimpl
def vlrb_log_sources():
    return [LogSourceSpec(name="mine", summary="for tests", factory=Logs, params=NoParams)]
"""
EXPERIMENT = """
name = "x"
plugins = ["mine.py"]
requires = []
[logs]
use = "mine"
[[dataset]]
name = "D"
group = "g"
"""


def build(project: Any, death: str) -> tuple[int, str]:
    """Build with a log source that does this in every process but the first; return status and messages."""
    (project.folder / "mine.py").write_text(LOGS.replace("DIE", death), encoding="utf-8")
    with (project.folder / "large.bin").open("wb") as file:
        file.truncate(30 * 1024**2)
    models = "".join(f'[[model]]\nname = "m{i}"\n' for i in range(9))
    process = project.process("build", project.file(EXPERIMENT + models), "--jobs", "2")
    if "waiting" in death:
        limit = time.monotonic() + 60
        while not (project.folder / "waiting").exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    return process.returncode, told


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_process_that_dies_ends_the_work(project: Any, death: str) -> None:
    """Killed by the system or by a plugin: vlrb ends soon, and says what can be done."""
    status, told = build(project, death)
    assert (status, "a process died" in told, "--jobs 1" in told) == (5, True, True), told


def test_a_build_that_is_interrupted_ends_its_processes(project: Any) -> None:
    """SIGTERM while another process reads: status 2 at once, and that process is gone."""
    status, told = build(project, 'Path("waiting").write_text(str(os.getpid())); time.sleep(60)')
    assert (status, "Traceback" in told) == (2, False), told
    with pytest.raises(ProcessLookupError):
        os.kill(int((project.folder / "waiting").read_text()), 0)


THREADS = """
import json
import os
from pathlib import Path

import numpy as np
from vlrb import hookimpl
from vlrb.api.components import NoParams, RouterSpec


class Router:
    def __init__(self, params):
        pass

    def fit(self, train, dev, context):
        import scipy.linalg
        import threadpoolctl

        found = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        Path("pools.json").write_text(json.dumps([context.threads, *found, int(os.environ["OMP_NUM_THREADS"])]))
        return self

    def route(self, queries):
        return np.zeros(len(queries), int)


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="looking", summary="for tests", factory=Router, params=NoParams)]
"""


@pytest.mark.parametrize(("jobs", "threads"), [("1", None), ("1", "1"), ("2", None)])
def test_libraries_loaded_by_a_router_keep_to_its_threads(project: Any, jobs: str, threads: str | None) -> None:
    """A library that a router imports late uses as many threads as the cell's record says."""
    (project.folder / "looking.py").write_text(THREADS, encoding="utf-8")
    file = project.experiment('[[router]]\nuse = "looking"\n')
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    process = project.process("-p", "looking.py", "run", file, "--jobs", jobs, env=environment)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (cell,) = project.folder.glob("runs/t/2*/cells/*/cell.json")
    recorded = json.loads(cell.read_text(encoding="utf-8"))["threads"]
    assert set(json.loads((project.folder / "pools.json").read_text(encoding="utf-8"))) == {recorded}
    expected = max(1, len(os.sched_getaffinity(0)) // int(jobs))
    assert recorded == min(expected, int(threads or expected))


def test_problems_of_all_processes_are_told(project: Any) -> None:
    """Every part that cannot be read is named, whoever was to read it."""
    status, told = build(project, "pass")
    assert status == 4, told
    assert all(f"outcomes/D/m{i}" in told for i in range(9)), told
    assert "samples/D" in told


ROUTER = """
import logging
import threading
import time

import numpy as np
from vlrb import hookimpl
from vlrb.api.components import NoParams, RouterSpec


class Router:
    def __init__(self, params):
        pass

    def fit(self, train, dev, context):
        FIT
        return self

    def route(self, queries):
        return np.zeros(len(queries), int)


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="mine", summary="for tests", factory=Router, params=NoParams)]
"""


def run(project: Any, fit: str, jobs: str, *options: str) -> tuple[int, str]:
    """Run a router that does this in its fit; return status and messages."""
    (project.folder / "mine.py").write_text(ROUTER.replace("FIT", fit), encoding="utf-8")
    file = project.experiment('[[router]]\nuse = "mine"\n')
    _, err = (process := project.process(*options, "-p", "mine.py", "run", file, "--jobs", jobs)).communicate(
        timeout=60
    )
    return process.returncode, err


def test_routers_in_other_processes_are_not_accused(project: Any) -> None:
    """A process starts with its standard input closed, which no router has done: nothing is said of routers."""
    file = project.experiment(top="seeds = [1, 2]")
    process = project.process("run", file, "--jobs", "2")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "router" in err, "changed" in err) == (0, False, False), err


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_log_records_of_other_processes_are_as_those_of_the_first(project: Any, options: tuple[str, ...]) -> None:
    """No escape sequence of a plugin reaches the terminal, and records are shown from the level that was asked for."""
    fit = "logging.getLogger('x').warning('a \\x1b[31mred one'); logging.getLogger('x').info('a quiet one')"
    status, err = run(project, fit, "2", *options)
    assert (status, "\x1b" in err, "a quiet one" in err) == (0, False, bool(options)), err
    assert "WARNING: a \\x1b[31mred one" in err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_thread_that_a_router_leaves_does_not_hold_up_the_end(project: Any, jobs: str) -> None:
    """The results are there, the command ends, and the thread is named."""
    status, err = run(project, "threading.Thread(target=time.sleep, args=(100,), name='forgotten').start()", jobs)
    assert (status, "forgotten" in err) == (0, True), err
    assert len(project.results()) == 1


def test_a_parent_that_ends_just_as_a_task_begins_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between taking a task and saying so, or with tasks that came before: the work is interrupted all the same."""

    class Gone:
        def recv(self) -> None:
            raise EOFError

    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended = threading.Event()
    monkeypatch.setattr(executor.signal, "pthread_kill", lambda _, number: told.put(number))
    monkeypatch.setattr(executor, "GRACE", 0.0)
    monkeypatch.setattr(executor.os, "_exit", lambda _: ended.set())
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    busy = threading.Event()
    thread = threading.Thread(target=executor._receive, args=(Gone(), tasks, busy), daemon=True)
    thread.start()
    assert tasks.get(timeout=5) is None
    time.sleep(0.05)
    busy.set()
    assert told.get(timeout=5) == signal.SIGTERM
    assert ended.wait(5)
    thread.join()


def test_what_the_system_refuses_is_the_same_in_every_process() -> None:
    """A full disk is a StorageError in this process and in others; any other error of files stays what it is."""
    for sent in (False, True):
        made = [Failure.of(OSError(n, "no", "/a/file")) for n in (errno.ENOSPC, errno.ENOENT)]
        full, missing = ((pickle.loads(pickle.dumps(m)) if sent else m).error for m in made)
        assert isinstance(full, StorageError)
        assert full.problems[0].where == "/a/file"
        assert isinstance(missing, FileNotFoundError)
        assert missing.filename == "/a/file"


def test_a_stage_ends_whatever_happens_in_it() -> None:
    """Its bar is taken away by an error too."""
    told: list[tuple[str, int, int]] = []
    with pytest.raises(KeyError), stage(lambda *what: told.append(what), "splitting"):  # type: ignore[arg-type]
        raise KeyError

    assert told == [("splitting", 0, 0), ("splitting", 1, 0)]
