"""Results of finished runs, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb import (
    AggregatedScores,
    BenchmarkInfo,
    CellInfo,
    CellResult,
    CostBounds,
    MetricInfo,
    MetricValue,
    ReferenceResult,
    RouterResult,
    RunInfo,
    RunResult,
    SplitInfo,
    SplitsInfo,
    Statistics,
    Undefined,
)
from vlrb.api.results import SweepPoint
from vlrb.running.routers import aggregate_scores

SELECTION = {"metric": "rank-score", "on": "dev", "folds": 5, "rule": "best", "refit": False}
HIGHER = {"accuracy": True, "rank-score": True, "average-cost": False, "cost-per-10k": False, "own": True}


def cell(label: str, seed: int = 1, x: int | None = None, **values: Any) -> CellResult:
    """Return a finished cell whose values on dev are half of those on test."""
    info = CellInfo("k", label, f"p/{label}", {}, seed, None, "p", "d 1", "", {} if x is None else {"x": x})
    test = {k.replace("_", "-"): v for k, v in values.items()}
    dev = {k: v if isinstance(v, Undefined) else v / 2 for k, v in test.items()}
    return CellResult(info, "done", False, Path(), {"dev": {"overall": dev}, "test": {"overall": test}})


def failed(label: str, x: int | None = None) -> CellResult:
    return attrs.evolve(cell(label, x=x), status="failed", scores={}, error="it broke")


def reference(name: str, **scopes: Mapping[str, MetricValue]) -> ReferenceResult:
    """Return a reference point; ``overall`` and others by the slugs of their groups."""
    named = {"overall" if k == "overall" else f"group/{k.replace('_', '-')}": v for k, v in scopes.items()}
    return ReferenceResult(name, "", AggregatedScores(named))


def selecting(metric: str, **more: Any) -> dict[str, Any]:
    """Return an experiment that selects by a metric."""
    return {"selection": {**SELECTION, "metric": metric, **more}, "statistics": {"pairs": [], "by": []}}


def split_info(made: str = "as the logs give it", leaking: int = 0, **more: Any) -> SplitsInfo:
    """Return what is said of a single split."""
    samples = {"train": 7, "dev": 1, "test": 2}
    one = SplitInfo("", samples, "3f2a" * 16, {"dev": 5, "test": leaking})
    given = {"use": "splits/given", "parameters": {}, "pooled": False, "grouped_by": {}, "each": (one,), **more}
    return SplitsInfo(made=made, digest="3f2a" * 16, groups=6, **given)


def statistics_of(**more: Any) -> Statistics:
    """Return statistics of no row."""
    return Statistics(2000, 0.95, 0, 6, **{"baseline": "best-single", "leader": "", "rows": {}, **more})


def routers_of(
    cells: tuple[CellResult, ...],
    winners: Mapping[str, str] | None = None,
    decided_by: Mapping[str, str] | None = None,
    on: str = "dev",
) -> tuple[RouterResult, ...]:
    """Return what cells come to on a single split.

    :param winners: label -> the point that stands for a router with a sweep
    """
    routers = []
    for label in dict.fromkeys(c.cell.label for c in cells):
        own = [c for c in cells if c.cell.label == label]
        points = dict.fromkeys(c.cell.point_name for c in own)
        won = (winners or {}).get(label, "" if len(points) == 1 else None)
        standing = [c for c in own if c.cell.point_name == won]
        done = [c.scores["test"] for c in standing if c.status == "done"]
        compared = {p: [c for c in own if c.cell.point_name == p] for p in points} if won and len(points) > 1 else {}
        sweep = tuple(
            SweepPoint(p, aggregate_scores([[c.scores[on] for c in those]]).scores["overall"], int(p == won))
            for p, those in compared.items()
            if all(c.status == "done" for c in those)
        )
        routers.append(
            RouterResult(
                label=label,
                points={} if won is None else {"": won},
                decided_by={"": decided_by[label]} if label in (decided_by or {}) else {},
                rule="" if won is None else "best",
                cells=tuple(c.cell.name for c in standing),
                test=aggregate_scores([done]) if done else None,
                sweep=sweep,
            )
        )
    return tuple(routers)


def result_of(
    *cells: CellResult,
    references: tuple[ReferenceResult, ...] = (),
    metrics: tuple[str, ...] = ("accuracy", "rank-score"),
    experiment: Mapping[str, Any] | None = None,
    benchmark: Mapping[str, Any] | None = None,
    leaking: int = 0,
    winners: Mapping[str, str] | None = None,
    decided_by: Mapping[str, str] | None = None,
) -> RunResult:
    """Return the result of a run with some cells."""
    infos = tuple(MetricInfo(m, "", HIGHER[m], "") for m in metrics)
    about = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {}, 100)
    run = RunInfo(
        "r",
        "k",
        Path("r/1"),
        "strict",
        experiment or {"selection": SELECTION, "statistics": {"pairs": [], "by": []}},
        attrs.evolve(about, **(benchmark or {})),
        split_info(leaking=leaking),
        CostBounds(1e-4, 1e-2),
        infos,
        (),
        {},
        {},
    )
    routers = routers_of(cells, winners, decided_by, str(run.experiment["selection"]["on"]))
    return RunResult(run, cells, routers, references, statistics_of(), "", "")


def with_cells(result: RunResult, *cells: CellResult, **more: Any) -> RunResult:
    """Return a run with other cells."""
    return attrs.evolve(result, cells=cells, routers=routers_of(cells, **more))


def seeded_cell(label: str, seed: int, accuracy: Any, rank: Any, error: str = "") -> CellResult:
    """Return a cell with the same values on dev and test, or one that failed."""
    info = CellInfo("key", label, f"p/{label}", {}, seed, None, "p", "d 1", "")
    scores = {s: {"overall": {"accuracy": accuracy, "rank-score": rank}} for s in ("dev", "test")}
    return CellResult(info, "failed" if error else "done", False, Path(), {} if error else scores, error)


def finished_run() -> RunResult:
    """Return a run with two seeds of one router, a failed one, and one whose rank score is undefined."""
    metrics = (MetricInfo("accuracy", "", True, ""), MetricInfo("rank-score", "", True, ""))
    benchmark = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {"answers without a verdict": 3}, 100)
    grouped = {"group": 4, "image": 5, "text": 1}
    split = split_info("seed 42", 1, use="splits/grouped", parameters={"seed": 42}, grouped_by=grouped)
    run = RunInfo(
        "r",
        "k",
        Path("r/1"),
        "strict",
        {"selection": SELECTION, "statistics": {"pairs": [], "by": []}},
        benchmark,
        split,
        CostBounds(1e-4, 1e-2),
        metrics,
        (),
        {},
        {},
    )
    cells = (
        seeded_cell("middling", 1, 0.5, 0.5),
        seeded_cell("middling", 2, 0.7, 0.6),
        seeded_cell("broken", 1, 0, 0, "it broke"),
        seeded_cell("good", 1, 0.8, 0.7),
        seeded_cell("costless", 1, 0.9, Undefined("the mean cost is 0")),
    )
    oracle = reference("oracle", overall={"accuracy": 1.0, "rank-score": 0.9})
    return RunResult(run, cells, routers_of(cells), (oracle,), statistics_of(), "", "")
