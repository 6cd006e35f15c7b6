"""Curves of fits lie with their cells: after a kill in the middle of a fit, and for points of a sweep that share one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from vlrb.running.cell_files import read_curve

CURVY = """
import os
import signal

import attrs
import numpy as np

from vlrb import hookimpl
from vlrb.api.components import RouterSpec, param
from vlrb.api.routing import Estimate


@attrs.frozen
class Params:
    die: bool = param(default=False)
    lambda_: float = param(default=0.0, when="route")


@attrs.frozen
class Fitted:
    models: int

    def route(self, queries):
        return np.zeros(len(queries), dtype=int)

    def estimate(self, queries):
        shape = (len(queries), self.models)
        return Estimate(np.ones(shape), np.arange(self.models) * np.ones(shape))


@attrs.frozen
class Curvy:
    params: Params

    def fit(self, train, dev, context):
        half = context.work_directory / "half"
        if not half.exists():
            context.log(1, {"loss": 0.5})
            context.log(2, {"loss": 0.25})
            half.touch()
            if self.params.die:
                os.kill(os.getpid(), signal.SIGKILL)
        context.log(3, {"loss": 0.125, "rate": 1.0})
        return Fitted(len(context.candidates))


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="curvy", summary="logs", factory=Curvy, params=Params)]
"""

WHOLE = ((1, "loss", 0.5), (2, "loss", 0.25), (3, "loss", 0.125), (3, "rate", 1.0))


@pytest.fixture
def curvy(project: Any) -> Any:
    """Return the project with a router that logs a curve, goes on after a kill, and gives estimates."""
    project.file(CURVY, "curvy.py")
    return project


def curves(project: Any) -> dict[str, Any]:
    """Return the curves of all cells of all runs by the names of the cells' folders."""
    return {p.name: read_curve(p) for p in sorted(project.folder.glob("runs/*/*/cells/*"))}


def experiment(project: Any, routers: str) -> Path:
    """Return the file of an experiment with the curvy router."""
    file: Path = project.experiment(routers)
    file.write_text(file.read_text("utf-8").replace('["tiny.py"]', '["tiny.py", "curvy.py"]'), "utf-8")
    return file


def test_values_logged_before_a_kill_are_kept(curvy: Any) -> None:
    """Protects the first half of a curve whose fit was killed and went on from its own checkpoint."""
    file = experiment(curvy, '[[router]]\nuse = "curvy"\ndie = true\n')
    process = curvy.process("run", file)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert curvy.vlrb("run", file).status == 0
    assert curves(curvy) == {"curvy-seed42": WHOLE}
    assert not list(curvy.folder.glob(".vlrb-cache/work/*"))


def test_points_of_a_sweep_that_share_a_fit_share_its_curve(curvy: Any) -> None:
    """Protects the curve of a fit that several cells stand on: each of them has it, and a router without one has none."""
    routers = '[[router]]\nuse = "curvy"\nsweep = { lambda = [0, 10] }\n[[router]]\nuse = "cheapest"\n'
    assert curvy.vlrb("run", experiment(curvy, routers)).status == 0
    found = curves(curvy)
    assert len(found) == 3
    assert sorted(found.values()) == [(), WHOLE, WHOLE]


@pytest.mark.parametrize("step", ["2**70", "-2**64"])
def test_a_step_that_no_curve_holds_fails_the_cell_at_once(curvy: Any, step: str) -> None:
    """Protects against an error at the end of a long fit: the router is named while it logs."""
    curvy.file(CURVY.replace("context.log(1,", f"context.log({step},"), "curvy.py")
    ran = curvy.vlrb("run", experiment(curvy, '[[router]]\nuse = "curvy"\n'))
    assert ran.status == 1
    (error,) = curvy.folder.glob("runs/*/*/cells/*/error.txt")
    assert "curvy" in error.read_text("utf-8")
