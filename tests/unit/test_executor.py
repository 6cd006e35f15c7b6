"""Work in several processes: what each of them finds is told, and none that dies holds up the others."""

from __future__ import annotations

from typing import Any

import pytest

LOGS = """
import multiprocessing
import os
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
    _, told = process.communicate(timeout=120)
    return process.returncode, told


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_process_that_dies_ends_the_work(project: Any, death: str) -> None:
    """Killed by the system or by a plugin: vlrb ends soon, and says what can be done."""
    status, told = build(project, death)
    assert (status, "a process died" in told, "--jobs 1" in told) == (5, True, True), told


def test_problems_of_all_processes_are_told(project: Any) -> None:
    """Every part that cannot be read is named, whoever was to read it."""
    status, told = build(project, "pass")
    assert status == 4, told
    assert all(f"outcomes/D/m{i}" in told for i in range(9)), told
    assert "samples/D" in told
