"""Work in several processes: what each of them finds is told, and none that dies holds up the others."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

LOGS = """
import multiprocessing
import os
import time
from pathlib import Path

from vlrb import hookimpl
from vlrb.errors import DataError
from vlrb.specs import LogSourceSpec, NoParams
from vlrb.types import Listing, Part


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
from vlrb.specs import NoParams, RouterSpec


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
