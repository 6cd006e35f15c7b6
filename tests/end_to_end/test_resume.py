"""Runs that are killed, and runs beside each other."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


def routers(folder: Path, wait: float) -> str:
    """Return three routers that take a while and note each fit, and one that is quick."""
    tables = [
        f'[[router]]\nuse = "counting"\nlabel = "slow-{i}"\nfile = "{folder}/fits-{i}"\nwait = {wait}\nchoice = {i}\n'
        for i in range(3)
    ]
    return "".join(tables) + '[[router]]\nuse = "knn"\n'


def choices(run: Path) -> dict[str, Any]:
    """Return what every cell of a run chose."""
    return {f"{f.parent.name}/{f.name}": pq.read_table(f) for f in sorted(run.glob("cells/*/*.parquet"))}


@pytest.mark.parametrize(
    "moment",
    ["parts/[!.]*/part.json", "benchmarks/[!.]*/manifest.json", "cells/[!.]*/cell.json", "cells/[!.]*/cell.json#2"],
    ids=["reading", "built", "first-cell", "second-cell"],
)
def test_a_killed_run_goes_on_where_it_stopped(project: Any, moment: str) -> None:
    """kill -9 at any point: the same choices in the end, no finished cell fitted twice, one run directory, no rubbish."""
    pattern, _, number = moment.partition("#")
    file = project.experiment(routers(project.folder, 0.3))
    process = project.process("run", file)
    deadline = time.monotonic() + 60
    while len(list(project.folder.glob(f".vlrb-cache/{pattern}"))) < int(number or 1):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = [p.parent.name for p in project.folder.glob(".vlrb-cache/cells/[!.]*/cell.json")]
    fits_before = {p.name: len(p.read_text().split()) for p in project.folder.glob("fits-*")}

    resumed = project.vlrb("run", file, "--json")

    assert resumed.status == 0, resumed.err
    assert len([c for c in resumed.json["cells"] if c["reused"]]) == len(finished)
    for name in (p.name for p in project.folder.glob("fits-*")):
        done = next(
            c["reused"] for c in resumed.json["cells"] if c["cell"]["parameters"].get("file", "").endswith(name)
        )
        assert len((project.folder / name).read_text().split()) == fits_before.get(name, 0) + (0 if done else 1)
    assert len(list(project.folder.glob("runs/t/2*"))) == 1
    assert not list(project.folder.glob(".vlrb-cache/**/*.partial"))
    unbroken = project.vlrb("--cache", "other", "--runs", "unbroken", "run", file, "--json")
    assert choices(Path(resumed.json["run_directory"])) == choices(Path(unbroken.json["run_directory"]))


def test_a_killed_run_leaves_no_second_mlflow_run(project: Any, mlflow_database: Path) -> None:
    """After kill -9 in the middle and a second start, MLflow holds each run of the tree once, all finished."""
    shutil.copy(mlflow_database, project.folder / "mlflow.db")
    file = project.experiment(routers(project.folder, 0.5))
    process = project.process("run", file, mlflow=True)
    deadline = time.monotonic() + 90
    while len(list(project.folder.glob("runs/t/2*/cells/slow-0*/cell.json"))) < 1:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = project.process("run", file, mlflow=True)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err

    states = project.tracked()
    assert Counter(s["node"] for s in states) == Counter(
        ["run", *(f"cell/slow-{i}-seed42" for i in range(3)), "cell/knn-seed42"]
        + [
            f"reference/{n}"
            for n in ("oracle", "strongest-per-dataset", "best-single", "best-single-by-metric", "cheapest-single")
        ]
    )
    assert {s["status"] for s in states} == {"FINISHED"}


def test_a_dead_tracking_server_costs_seconds_and_loses_nothing(project: Any, mlflow_database: Path) -> None:
    """Results are complete and the exit status says that tracking is not; a later run logs what is missing."""
    shutil.copy(mlflow_database, project.folder / "mlflow.db")
    dead = '[plugin.mlflow]\nuri = "http://me:secret@127.0.0.1:9"\n'
    file = project.experiment(more=dead)
    began = time.monotonic()
    process = project.process("run", file, mlflow=True)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 6, err
    assert time.monotonic() - began < 30
    assert "secret" not in out + err
    assert "oracle" in out
    assert len(project.results()) == 1

    file.write_text(file.read_text(encoding="utf-8").replace("http://me:secret@127.0.0.1:9", "sqlite:///mlflow.db"))
    later = project.process("run", file, mlflow=True)
    out, err = later.communicate(timeout=120)
    assert later.returncode == 0, err
    assert "finished before" in out
    assert len(project.tracked()) == 7
    assert {s["status"] for s in project.tracked()} == {"FINISHED"}


def test_two_runs_at_once_do_not_disturb_each_other(project: Any) -> None:
    """Two processes on one cache: both succeed with the same results, and every cell is fitted once."""
    file = project.experiment(routers(project.folder, 0.2))
    both = [project.process("run", file, "--json", stderr=None) for _ in range(2)]
    results = [json.loads(p.communicate(timeout=120)[0]) for p in both]

    assert [p.returncode for p in both] == [0, 0]
    assert all(len(p.read_text().split()) == 1 for p in project.folder.glob("fits-*"))
    assert results[0]["run"]["key"] == results[1]["run"]["key"]
    assert len(list(project.folder.glob("runs/t/2*"))) == 1
