"""Results of finished runs, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb import (
    BenchmarkInfo,
    CellInfo,
    CellResult,
    CostBounds,
    MetricInfo,
    MetricValue,
    ReferenceResult,
    RunInfo,
    RunResult,
    SplitInfo,
    Undefined,
)

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
    return ReferenceResult(name, "", {"test": named})


def result_of(
    *cells: CellResult,
    references: tuple[ReferenceResult, ...] = (),
    metrics: tuple[str, ...] = ("accuracy", "rank-score"),
    experiment: Mapping[str, Any] | None = None,
    benchmark: Mapping[str, Any] | None = None,
    leaking: int = 0,
    **more: Any,
) -> RunResult:
    """Return the result of a run with some cells."""
    infos = tuple(MetricInfo(m, "", HIGHER[m], "") for m in metrics)
    about = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {}, 100)
    split = SplitInfo(
        use="splits/given",
        parameters={},
        made="as the logs give it",
        samples={"train": 7, "dev": 1, "test": 2},
        digest="3f2a" * 16,
        groups=6,
        grouped_by={},
        group_also_in_train={"dev": 5, "test": leaking},
    )
    run = RunInfo(
        "r",
        "k",
        Path("r/1"),
        "strict",
        experiment or {"selection": {"metric": "rank-score", "on": "dev"}},
        attrs.evolve(about, **(benchmark or {})),
        split,
        CostBounds(1e-4, 1e-2),
        infos,
        (),
        {},
        {},
    )
    return RunResult(run, cells, references, "", "", **more)


def seeded_cell(label: str, seed: int, accuracy: Any, rank: Any, error: str = "") -> CellResult:
    """Return a cell with the same values on dev and test, or one that failed."""
    info = CellInfo("key", label, f"p/{label}", {}, seed, None, "p", "d 1", "")
    scores = {s: {"overall": {"accuracy": accuracy, "rank-score": rank}} for s in ("dev", "test")}
    return CellResult(info, "failed" if error else "done", False, Path(), {} if error else scores, error)


def finished_run() -> RunResult:
    """Return a run with two seeds of one router, a failed one, and one whose rank score is undefined."""
    metrics = (MetricInfo("accuracy", "", True, ""), MetricInfo("rank-score", "", True, ""))
    benchmark = BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {"answers without a verdict": 3}, 100)
    split = SplitInfo(
        use="splits/grouped",
        parameters={"seed": 42},
        made="seed 42",
        samples={"train": 7, "dev": 1, "test": 2},
        digest="3f2a" * 16,
        groups=6,
        grouped_by={"group": 4, "image": 5, "text": 1},
        group_also_in_train={"dev": 0, "test": 1},
    )
    experiment = {"selection": {"metric": "rank-score", "on": "dev"}}
    run = RunInfo(
        "r", "k", Path("r/1"), "strict", experiment, benchmark, split, CostBounds(1e-4, 1e-2), metrics, (), {}, {}
    )
    cells = (
        seeded_cell("middling", 1, 0.5, 0.5),
        seeded_cell("middling", 2, 0.7, 0.6),
        seeded_cell("broken", 1, 0, 0, "it broke"),
        seeded_cell("good", 1, 0.8, 0.7),
        seeded_cell("costless", 1, 0.9, Undefined("the mean cost is 0")),
    )
    oracle = ReferenceResult("oracle", "", {"test": {"overall": {"accuracy": 1.0, "rank-score": 0.9}}})
    return RunResult(run, cells, (oracle,), "", "")
