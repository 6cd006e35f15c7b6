"""Whole runs on Dask: the results are those of the local executor, and a run that was ended in any way resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from dask_work import Cluster, alive_in_group, is_gone, wait_for

ROOT = Path(__file__).parents[3]
ROUTERS = """
[[router]]
use = "cheapest"
[[router]]
use = "knn"
sweep = { k = [5, 20] }
[[router]]
use = "random"
"""
TIMES = {"directory", "started", "finished", "executor", "fit_seconds", "route_seconds", "encode_seconds"}
TIMES |= {"requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms"}


def on(cluster: Cluster, more: str = "") -> str:
    """Return the table of the executor."""
    return f'[executor]\nuse = "dask"\nscheduler_file = "{cluster.file}"\n{more}\n'


def without_times(value: Any) -> Any:
    """Return results without what two runs on one machine differ in."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def tables(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all tables of a run: splits, choices, estimates, reference points."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.parquet")}


def test_results_are_those_of_the_local_executor(project: Any, cluster: Cluster) -> None:
    """Byte for byte but for times, under the same key; resources of a router and of features change neither."""
    features = '[features.default]\nencoders = ["hashed-text"]\n'
    local = project.vlrb(
        "--cache", "a", "--runs", "one", "run", project.experiment(ROUTERS + features, "seeds = [1, 2]")
    )
    routers = ROUTERS.replace('use = "random"', 'use = "random"\nresources = { GPU = 1 }')
    routers += features + "resources = { GPU = 1 }\n"
    file = project.experiment(routers, "seeds = [1, 2]", more=on(cluster))
    shown = project.vlrb("--cache", "b", "--runs", "two", "run", file)

    assert (local.status, shown.status) == (0, 0), local.err + shown.err
    assert shown.err.count("Dask scheduler: tcp://127.0.0.1:") == 1
    assert "distributed" not in shown.err
    first, second = (next((project.folder / runs / "t").glob("2*")) for runs in ("one", "two"))
    assert len(tables(first)) > 15
    assert tables(first) == tables(second)
    results = [without_times(json.loads((f / "results.json").read_text(encoding="utf-8"))) for f in (first, second)]
    assert results[0] == results[1]
    assert first.name[-8:] == second.name[-8:]


def test_resources_are_checked(project: Any) -> None:
    """An amount must be a positive number, of a router or of features."""
    features = '[features.f]\nencoders = ["hashed-text"]\nresources = { GPU = -1 }\n'
    routers = '[[router]]\nuse = "cheapest"\nresources = { GPU = 0, x = "1" }\n'
    shown = project.vlrb("check", project.experiment(routers + features))

    assert shown.status == 4
    assert "features.f.resources.GPU: must be a number above 0, not -1" in shown.err
    assert "router[0].resources.GPU: must be a number above 0, not 0" in shown.err
    assert "router[0].resources.x: must be a number above 0" in shown.err


def test_a_worker_with_other_sources_is_refused(project: Any, scheduler: Cluster, tmp_path: Path) -> None:
    """It would compute under the key of other code: the run ends with the plugin that differs, and no cell was run."""
    changed = tmp_path / "changed"
    shutil.copytree(ROOT / "plugins" / "vlrb_plugins", changed / "vlrb_plugins", ignore=shutil.ignore_patterns("*.pyc"))
    module = changed / "vlrb_plugins" / "baselines" / "__init__.py"
    module.write_text(module.read_text(encoding="utf-8") + "\nCHANGED = 1\n", encoding="utf-8")
    scheduler.start_worker("other", path=[changed])
    shown = project.vlrb("run", project.experiment(ROUTERS, more=on(scheduler)))

    assert shown.status == 4, shown.err
    assert "what counts of the sources of plugin 'baselines' as router is " in shown.err
    assert "Dask worker tcp://127.0.0.1:" in shown.err
    assert "fix: start the worker in the environment of the main process" in shown.err
    assert not list((project.folder / ".vlrb-cache" / "cells").glob("*/cell.json"))


def started(project: Any, executor: str, **more: Any) -> Any:
    """Start a run whose second router sleeps, and wait until it does."""
    file = project.folder / "sleeps"
    routers = f'[[router]]\nuse = "cheapest"\n[[router]]\nuse = "sleeps-here"\nfile = "{file}"\n'
    (project.folder / "sleeper.py").write_text(SLEEPS, encoding="utf-8")
    text = project.experiment(routers, more=executor).read_text(encoding="utf-8")
    experiment = project.file(text.replace('["tiny.py"]', '["tiny.py", "sleeper.py"]'))
    process = project.process("run", experiment, **more)
    wait_for(lambda: file.exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process, int(file.read_text(encoding="utf-8"))


SLEEPS = """
import os
import time
from pathlib import Path

import attrs
import numpy as np
from vlrb import RouterSpec, hookimpl


@attrs.frozen
class Params:
    file: str


@attrs.frozen
class Router:
    params: Params

    def fit(self, train, dev, context):
        file = Path(self.params.file)
        if not file.exists():
            aside = file.with_suffix(".aside")
            aside.write_text(str(os.getpid()))
            aside.rename(file)
            time.sleep(60)
        return self

    def route(self, queries):
        return np.zeros(len(queries), int)


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="sleeps-here", summary="s", factory=Router, params=Params)]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_tasks_and_the_local_cluster(project: Any, number: int) -> None:
    """Status 2, nothing is left running, and the next run finishes."""
    process, fitting = started(project, '[executor]\nuse = "dask"\nworkers = 1\n')
    cluster = os.getpgid(fitting)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)

    assert (process.returncode, "Traceback" in told) == (2, False), told
    assert alive_in_group(cluster) == []
    again = project.process("run", project.folder / "experiment.toml")
    _, told = again.communicate(timeout=180)
    assert again.returncode == 0, told


def test_an_interrupt_ends_the_task_of_a_worker_elsewhere(project: Any, scheduler: Cluster) -> None:
    """The worker lives on, without the process that fitted."""
    worker = scheduler.start_worker("one")
    process, fitting = started(project, on(scheduler))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 2
    wait_for(lambda: is_gone(fitting))
    assert worker.poll() is None


def test_a_killed_parent_leaves_no_process(project: Any) -> None:
    """Neither the cluster nor its workers nor their processes."""
    process, fitting = started(project, '[executor]\nuse = "dask"\nworkers = 1\n')
    cluster = os.getpgid(fitting)
    process.kill()
    process.communicate()
    began = time.monotonic()

    wait_for(lambda: not alive_in_group(cluster))
    assert time.monotonic() - began < 30
