"""How long MLflow takes for a run of 60 cells of the paper's size on sqlite, figures included; the aim is under 10 seconds.

Usage: python benchmarks/tracking.py [CELLS]

Loading MLflow and making its tables, which a new database needs once, are shown apart.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

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
from vlrb.api.routing import CostBounds
from vlrb.api.statistics import Difference, Interval, RowStatistics, Statistics
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.settings import MlflowSettings
from vlrb_plugins.mlflow.store import Place, load_mlflow, open_store

METRICS = ("accuracy", "cost-per-10k", "rank-score", "oracle-gap-closed", "mean-score", "average-cost")
SCOPES = ("overall", *(f"group/g{i}" for i in range(3)), *(f"dataset/d{i}" for i in range(14)))
SCORES = {scope: {metric: 0.5 + i / 100 for i, metric in enumerate(METRICS)} for scope in SCOPES}
FIGURES = 12


def made_run(folder: Path, cells: int) -> RunInfo:
    """Return a run of as many routers with one cell each."""
    infos = tuple(
        CellInfo(f"key{i}", f"router-{i}", "feature-routers/knn", {"k": i}, 0, "text", "feature-routers", "vlrb", "s")
        for i in range(cells)
    )
    datasets = {f"d{i}": 2181 for i in range(14)}
    models = tuple(f"model-{i}" for i in range(17))
    split = SplitInfo("", {"train": 21374, "dev": 3056, "test": 6110}, "digest", {"dev": 0, "test": 0})
    return RunInfo(
        name="tracking",
        key="0123abcd" * 8,
        directory=folder / "runs" / "tracking" / "20260102-030405-0123abcd",
        protocol="strict",
        experiment={"selection": {"refit": False, "metric": "metrics/rank-score"}, "seeds": [0]},
        benchmark=BenchmarkInfo("f" * 64, 30540, models, datasets, "made up", {}, None),
        split=SplitsInfo("splits/grouped", {"seed": 42}, "seed 42", False, "digest", 17000, {}, (split,)),
        bounds=CostBounds(0.001, 0.02),
        metrics=tuple(MetricInfo(name, "", "cost" not in name, "") for name in METRICS),
        cells=infos,
        settings={"mlflow": MlflowSettings(uri=f"sqlite:///{folder / 'mlflow.db'}")},
    )


def made_result(run: RunInfo) -> RunResult:
    """Return a result in which every router has every value, and write its files."""
    results = []
    for cell in run.cells:
        directory = run.directory / "cells" / cell.name
        directory.mkdir(parents=True)
        for name in ("cell.json", "dev.parquet", "test.parquet"):
            (directory / name).write_bytes(b"x" * 50_000)
        results.append(CellResult(cell, "done", False, directory, {"dev": SCORES, "test": SCORES}, fit_seconds=1.0))
    _write_reports(run.directory / "reports")
    interval = Interval(0.4, 0.6, 2000)
    differences = dict.fromkeys(METRICS, Difference(0.1, interval, 0.01, 0.02))
    row = RowStatistics({"overall": dict.fromkeys(METRICS, interval)}, {"best-single": differences})
    references = ("oracle", "strongest-per-dataset", "best-single", "cheapest-single")
    names = (*references, *(c.label for c in run.cells))
    test = AggregatedScores(SCORES)
    return RunResult(
        run=run,
        cells=tuple(results),
        routers=tuple(RouterResult(c.label, {"": ""}, {}, "best", (c.name,), test) for c in run.cells),
        references=tuple(ReferenceResult(name, "a rule", test) for name in references),
        statistics=Statistics(2000, 0.95, 0, 3000, "best-single", "router-0", dict.fromkeys(names, row)),
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:05:05+00:00",
    )


def _write_reports(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    (folder / "figures").mkdir(parents=True)
    (folder / "report.html").write_text("<p>" + "x" * 2_000_000)
    draws = np.random.default_rng(0)
    for i in range(FIGURES):
        Image.fromarray(draws.integers(0, 255, (300, 400, 3), np.uint8)).save(folder / "figures" / f"figure-{i}.png")


def main(cells: int = 60) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp())
    try:
        os.chdir(folder)
        run = made_run(folder, cells)
        result = made_result(run)
        began = time.perf_counter()
        load_mlflow(5.0)
        open_store(Place(Address.of(run.settings["mlflow"].uri), "vlrb", 5.0))
        print(f"MLflow loaded and tables made: {time.perf_counter() - began:.1f} s")
        began, used, plugin = time.perf_counter(), time.process_time(), MlflowPlugin()
        plugin.vlrb_run_start(run)
        for one in result.cells:
            plugin.vlrb_cell_start(run, one.cell)
            plugin.vlrb_cell_end(run, one)
        ended = time.perf_counter()
        plugin.vlrb_run_end(result)
        seconds = time.perf_counter() - began
        busy = time.process_time() - used
        print(f"{cells} cells and {FIGURES} figures logged: {seconds:.1f} s, cells alone {ended - began:.1f} s")
        print(f"time of the processor, about that of an idle machine: {busy:.1f} s")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
