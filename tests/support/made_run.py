"""Directories of finished runs, made by hand: any names, any number of models, whatever failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from finished import SELECTION, split_info

from vlrb import (
    AggregatedScores,
    BenchmarkInfo,
    CellInfo,
    CellResult,
    CostBounds,
    Difference,
    FinishedRun,
    Interval,
    MetricInfo,
    ReferenceResult,
    RouterResult,
    RowStatistics,
    RunInfo,
    RunResult,
    Statistics,
    Undefined,
)
from vlrb.api.results import SweepPoint
from vlrb.benchmark.matrices import MATRICES
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry
from vlrb_plugins.figures import vlrb_figures

METRICS = ("rank-score", "accuracy", "cost-per-10k")
REFERENCES = ("oracle", "best-single")


@attrs.frozen(kw_only=True)
class Made:
    """What a run holds; ``failed``: every cell has, ``undefined``: no metric has a value, ``free``: models that cost nothing."""

    models: Sequence[str] = ("cheap", "middle", "dear")
    routers: Sequence[str] = ("good", "bad")
    datasets: Sequence[str] = ("D", "E")
    samples: int = 40
    failed: bool = False
    undefined: bool = False
    estimates: bool = True
    swept: bool = True
    free: int = 0
    synthetic: str = "made up"
    cautions: tuple[str, ...] = ()


def made_run(folder: Path, made: Made) -> FinishedRun:
    """Write the directory of a run, and return the run with the bundled figures."""
    rng = np.random.default_rng(0)
    n, k = made.samples, len(made.models)
    quality = rng.random((n, k)) < np.linspace(0.3, 0.9, k)
    cost = np.tile(np.geomspace(1e-6, 1e-3, k), (n, 1)) * rng.uniform(0.5, 1.5, (n, 1))
    cost[:, : made.free] = 0.0
    tokens = np.ones((n, k), dtype=np.int64)
    matrices = dict(zip(MATRICES, (quality, quality.astype(float), cost, tokens, tokens), strict=True))
    ids = [f"s{i:05d}" for i in range(n)]
    where = [made.datasets[i % len(made.datasets)] for i in range(n)]
    columns = {f"{m}:{name}": matrix[:, j] for m, matrix in matrices.items() for j, name in enumerate(made.models)}
    pq.write_table(
        pa.table({"id": ids, "dataset": where, "group": np.arange(n), **columns}), folder / "evaluated.parquet"
    )
    oracle = np.where(quality, cost, np.inf).argmin(axis=1)
    chosen = {"oracle": oracle, "best-single": np.full(n, k - 1)}
    pq.write_table(pa.table({"id": ids, "split": ["test"] * n, **chosen}), folder / "references.parquet")
    references = tuple(ReferenceResult(r, "", _scores(made, matrices, chosen[r], where)) for r in REFERENCES)
    found = [_router(folder, made, matrices, where, label, i, rng) for i, label in enumerate(made.routers)]
    cells = tuple(cell for _, cells in found for cell in cells)
    result = RunResult(
        _info(folder, made), cells, tuple(r for r, _ in found), references, _statistics(made), "now", "then"
    )
    return FinishedRun(result, registry=figure_registry())


def figure_registry() -> Registry:
    """Return the plugin of the bundled figures, and no other."""
    plugin = Plugin("figures", "vlrb_plugins.figures", "1", "here")
    return Registry((), {"figure": tuple(Registered(s, plugin) for s in vlrb_figures())}, Selection.of(()))


def _router(
    folder: Path, made: Made, matrices: dict[str, Any], where: list[str], label: str, number: int, rng: Any
) -> tuple[RouterResult, list[CellResult]]:
    """Write the cells of a router, which chooses at random: one for each point of a sweep over lambda."""
    n, k = matrices["cost"].shape
    points = [{"lambda": 0}, {"lambda": 10.0}, {"lambda": "inf"}] if made.swept and not number else [{}]
    cells = []
    for i, point in enumerate(points):
        info = CellInfo(f"k{number}-{i}", label, "p/r", {}, 1, None, "p", "d 1", "", point)
        directory = folder / "cells" / f"{number}-{i}"
        directory.mkdir(parents=True)
        choices = rng.integers(0, k, n)
        p = rng.uniform(0, 1, (n, k))
        estimate = {f"p_correct:{m}": p[:, j] for j, m in enumerate(made.models)}
        estimate |= {f"cost:{m}": matrices["cost"][:, j] for j, m in enumerate(made.models)}
        table = {"id": [f"s{i:05d}" for i in range(n)], "choice": choices, **(estimate if made.estimates else {})}
        pq.write_table(pa.table(table), directory / "test.parquet")
        scores = {} if made.failed else {"test": _scores(made, matrices, choices, where).scores}
        status: Any = "failed" if made.failed else "done"
        cells.append(CellResult(info, status, False, directory, scores, "it broke" if made.failed else ""))
    standing = cells[0]
    swept = [SweepPoint(c.cell.point_name, c.scores["test"]["overall"], int(c is standing)) for c in cells if c.scores]
    test = None if made.failed else AggregatedScores(standing.scores["test"])
    points_of = {} if made.failed else {"": standing.cell.point_name}
    sweep = tuple(swept) if len(swept) > 1 else ()
    return RouterResult(label, points_of, {}, "best", (standing.cell.name,), test, sweep), cells


def _scores(made: Made, matrices: dict[str, Any], choices: Any, where: list[str]) -> AggregatedScores:
    at = np.arange(len(choices))
    values: dict[str, Any] = {
        "accuracy": float(matrices["quality"][at, choices].mean()),
        "cost-per-10k": 1e4 * float(matrices["cost"][at, choices].mean()),
    }
    values["rank-score"] = values["accuracy"]
    if made.undefined:
        values = dict.fromkeys(METRICS, Undefined("nothing has a value here"))
    return AggregatedScores({"overall": values})


def _info(folder: Path, made: Made) -> RunInfo:
    sizes = {d: len(range(i, made.samples, len(made.datasets))) for i, d in enumerate(made.datasets)}
    about = BenchmarkInfo("f" * 64, made.samples, tuple(made.models), sizes, made.synthetic, {made.routers[0]: 3}, 100)
    metrics = tuple(MetricInfo(m, "", m != "cost-per-10k", f"what {m} is") for m in METRICS)
    experiment = {"selection": SELECTION, "statistics": {"pairs": [], "by": []}}
    environment = {"vlrb": "1", "plugin reports": "vlrb 1"}
    bounds = CostBounds(1e-6, 1e-3)
    return RunInfo(
        made.routers[0], "key", folder, "strict", experiment, about, split_info(), bounds, metrics, (), {}, environment
    )


def _statistics(made: Made) -> Statistics:
    """Return statistics in which the first router leads, if anything has a value."""
    nothing = made.failed or made.undefined
    interval = Interval(0.2, 0.8, 100)
    rows: dict[str, RowStatistics] = {}
    for name in (*REFERENCES, *made.routers):
        others = [o for o in ("best-single", made.routers[0]) if o != name]
        against = {o: {"rank-score": Difference(-0.1, Interval(-0.2, -0.01, 100), 0.001, 0.01)} for o in others}
        overall = {} if nothing else dict.fromkeys(METRICS, interval)
        rows[name] = RowStatistics({"overall": overall}, {} if nothing else against)
    return Statistics(
        100, 0.95, 0, made.samples, "best-single", "" if nothing else made.routers[0], rows, made.cautions
    )
