"""Runs made by hand, to be shown to the MLflow plugin, and what MLflow then holds."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import pytest

from vlrb.api.results import (
    AggregatedScores,
    BenchmarkInfo,
    CellInfo,
    CellResult,
    MetricInfo,
    ReferenceResult,
    RouterResult,
    RunInfo,
    RunResult,
    SplitInfo,
    SplitsInfo,
)
from vlrb.api.routing import CostBounds, Undefined
from vlrb.api.statistics import Difference, Interval, RowStatistics, Statistics
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.settings import MlflowSettings


class Study:
    """A finished run of two cells and two reference points in ``root``, and ways to show it to the plugin."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.cells = (cell("knn", {"k": 5, "vote": {"weights": "uniform"}}), cell("linear", {"l2": 0.1}))
        directory = root / "runs" / "study" / "20260102-030405-0123abcd"
        self.run = RunInfo(
            name="study",
            key="0123abcd" * 8,
            directory=directory,
            protocol="paper",
            experiment={"name": "study", "seeds": [0], "selection": {"refit": False, "metric": "metrics/accuracy"}},
            benchmark=BenchmarkInfo(
                fingerprint="f" * 64,
                samples=120,
                models=("small", "large"),
                datasets={"mmstar": 80, "ai2d": 40},
                synthetic="made up for tests",
                excluded={},
                total_tokens=9000,
            ),
            split=some_splits(""),
            bounds=CostBounds(0.001, 0.02),
            metrics=(MetricInfo("accuracy", "%", True, "share of right answers"),),
            cells=self.cells,
            settings={"mlflow": MlflowSettings(**settings)},
            environment={"vlrb": "0.1.0", "python": "3.11"},
        )
        for name in ("experiment.json", "plan.json", "environment.json", "results.json"):
            write(directory / name, json.dumps({"file": name}))
        write(directory / "reports" / "leaderboard.md", "| router |\n")

    def use(self, **settings: Any) -> None:
        """Track somewhere else from now on."""
        self.run = attrs.evolve(self.run, settings={"mlflow": MlflowSettings(**settings)})

    def done(self, info: CellInfo, *, scores: Mapping[str, Any] | None = None) -> CellResult:
        """Return the result of a cell that went well."""
        directory = self.run.directory / "cells" / info.name
        write(directory / "cell.json", json.dumps({"cell": info.name}))
        write(directory / "dev.parquet", "choices")
        (directory / "error.txt").unlink(missing_ok=True)
        return CellResult(
            info, "done", False, directory, scores or some_scores(), fit_seconds=1.5, hardware="a machine"
        )

    def failed(self, info: CellInfo, error: str = "it broke") -> CellResult:
        """Return the result of a cell that went wrong."""
        directory = self.run.directory / "cells" / info.name
        write(directory / "error.txt", error)
        return CellResult(info, "failed", False, directory, {}, error)

    def result(
        self,
        *cells: CellResult,
        finished: str = "2026-01-02T03:04:06+00:00",
        chosen: Mapping[str, Mapping[str, str]] | None = None,
    ) -> RunResult:
        """Return the result of the run; cells that are not given went well.

        :param chosen: label -> split -> the point of a sweep that was chosen there; those that are not given have no sweep
        """
        given = {c.cell.name: c for c in cells}
        results = tuple(given.get(c.name) or self.done(c) for c in self.cells)
        names = [s.name for s in self.run.split.each]
        points = {c.label: dict.fromkeys(names, "") for c in self.cells} | {**(chosen or {})}
        routers = tuple(self.router(label, of_router, results) for label, of_router in points.items())
        test = AggregatedScores(some_scores()["test"])
        return RunResult(
            run=self.run,
            cells=results,
            routers=routers,
            references=(
                ReferenceResult("oracle", "the cheapest right model", test),
                ReferenceResult("cheapest", "the cheapest model on train", test),
            ),
            statistics=some_statistics("oracle", "cheapest", *(r.label for r in routers if r.test)),
            started="2026-01-02T03:04:05+00:00",
            finished=finished,
        )

    def router(self, label: str, points: Mapping[str, str], results: Sequence[CellResult]) -> RouterResult:
        """Return the result of a router as the core makes it of the cells of the chosen points."""
        refit = bool(self.run.experiment["selection"]["refit"])
        own = [r for r in results if r.cell.label == label and not r.cell.inner and r.cell.train_fraction == 1]
        own = [r for r in own if r.cell.refit == refit and points.get(r.cell.split) == r.cell.point_name]
        done = bool(own) and all(r.status == "done" for r in own)
        over_seeds = {"overall": {"accuracy": 0.5}} if len({r.cell.seed for r in own}) > 1 else {}
        test = AggregatedScores(some_scores()["test"], over_seeds) if done else None
        return RouterResult(label, points, {}, "best", tuple(r.cell.name for r in own), test)

    def show(self, *cells: CellResult, plugin: MlflowPlugin | None = None, **result: Any) -> MlflowPlugin:
        """Call the hooks of a run that has ended so, in order, on a plugin object that knows nothing yet."""
        plugin = plugin or MlflowPlugin()
        ended = self.result(*cells, **result)
        plugin.vlrb_run_start(self.run)
        for one in ended.cells:
            plugin.vlrb_cell_end(self.run, one)
        plugin.vlrb_run_end(ended)
        return plugin

    @property
    def state(self) -> Path:
        """Return the file that says what MLflow has."""
        return self.run.directory / "tracking" / "mlflow.json"


def cell(label: str, parameters: Mapping[str, Any]) -> CellInfo:
    """Return a cell of a router."""
    return CellInfo(
        key=f"key-of-{label}",
        label=label,
        router=f"feature-routers/{label}",
        parameters=parameters,
        seed=0,
        features="text",
        plugin="feature-routers",
        dist="vlrb 0.1.0",
        sources="abc123",
    )


def some_splits(*names: str) -> SplitsInfo:
    """Return folds, or one split where the only name is empty."""
    samples, none = {"train": 84, "dev": 12, "test": 24}, {"dev": 0, "test": 0}
    return SplitsInfo(
        use="splits/grouped",
        parameters={"seed": 7, "train": 0.7},
        made="seed 7",
        pooled=len(names) > 1,
        digest="abc123",
        groups=17,
        grouped_by={"image": 120},
        each=tuple(SplitInfo(name, samples, f"digest-{name}", none) for name in names),
    )


def some_statistics(*names: str) -> Statistics:
    """Return the statistics of rows, with an interval and a difference that are undefined."""
    unknown = Undefined("one group")
    row = RowStatistics(
        intervals={
            "overall": {"accuracy": Interval(58.0, 65.0, 2000), "brier": unknown, "throughput": unknown},
            "group/general": {"accuracy": Interval(50.0, 70.0, 2000)},
        },
        against={
            "cheapest": {
                "accuracy": Difference(1.5, Interval(-0.5, 3.5, 2000), 0.04, 0.08),
                "brier": Difference(unknown, unknown, unknown, unknown),
            },
            "oracle": {"accuracy": Difference(-9.0, Interval(-12.0, -6.0, 2000), 0.001, 0.002)},
        },
    )
    cautions = ("few groups", "the best model is nearly the most expensive one")
    return Statistics(2000, 0.95, 3, 20, "cheapest", "knn", dict.fromkeys(names, row), cautions)


def some_scores(**more: Any) -> dict[str, Any]:
    """Return scores with an undefined and an infinite value, on two splits and three scopes."""
    overall = {"accuracy": 61.5, "throughput": float("inf"), "brier": Undefined("no estimate"), **more}
    scopes = {"overall": overall, "group/general": {"accuracy": 60.0}, "dataset/mmstar": {"accuracy": 59.0}}
    return {"dev": scopes, "test": scopes}


def write(file: Path, text: str) -> None:
    """Write a file into a folder that may be missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def open_at(uri: str = "", experiment: str = "vlrb") -> tuple[Any, str]:
    """Open a store as the plugin does; return the client and the id of the experiment."""
    from vlrb_plugins.mlflow.store import Place, load_mlflow, open_store

    load_mlflow(5.0)
    return open_store(Place(Address.of(uri), experiment, 5.0))


class Reader:
    """What a sqlite store holds, read with MLflow's own client."""

    def __init__(self, file: Path, experiment: str = "vlrb") -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=f"sqlite:///{file}")
        found = self.client.get_experiment_by_name(experiment)
        assert found is not None
        self.experiment = found

    def runs(self) -> dict[str, Any]:
        """Return the MLflow runs by node; two runs of one node are an error."""
        found = self.client.search_runs([self.experiment.experiment_id])
        nodes = [r.data.tags["vlrb.node"] for r in found]
        assert len(nodes) == len(set(nodes)), f"logged twice: {nodes}"
        return dict(zip(nodes, found, strict=True))

    def ids(self) -> dict[str, str]:
        """Return the ids of the MLflow runs by node."""
        return {node: run.info.run_id for node, run in self.runs().items()}

    def artifacts(self, node: str, folder: str | None = None) -> set[str]:
        """Return the paths of a node's artifacts in a folder."""
        return {a.path for a in self.client.list_artifacts(self.ids()[node], folder)}

    def text(self, node: str, path: str) -> str:
        """Return a text artifact of a node."""
        uri = self.runs()[node].info.artifact_uri
        return (Path(uri.removeprefix("file://")) / path).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and take back what the plugin tells MLflow through the environment."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        for name in [n for n in os.environ if n.startswith("MLFLOW_")]:
            del os.environ[name]
        yield


@pytest.fixture
def empty_database(mlflow_database: Path) -> Path:
    """Return a sqlite store that has its tables and nothing else."""
    return mlflow_database


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    """Return the file of the default store, empty and with its tables."""
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_database, file)
    return file


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a run that is tracked in the default store."""
    return Study(tmp_path)


@pytest.fixture
def read() -> type[Reader]:
    """Return the class that reads a store."""
    return Reader


@pytest.fixture
def opened() -> Callable[..., tuple[Any, str]]:
    """Return the function that opens a store."""
    return open_at


@pytest.fixture
def scores() -> Callable[..., dict[str, Any]]:
    """Return the function that makes scores."""
    return some_scores


@pytest.fixture
def splits() -> Callable[..., SplitsInfo]:
    """Return the function that makes splits."""
    return some_splits


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Return a function that starts Python code in a process of its own, where ``Study`` is known."""

    def start(code: str) -> subprocess.Popen[str]:
        known = f"import runpy, sys\nfrom pathlib import Path\nStudy = runpy.run_path({__file__!r})['Study']\n"
        return subprocess.Popen(
            [sys.executable, "-c", known + code],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
