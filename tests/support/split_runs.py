"""Runs with several splits on the tiny logs, and what their directories hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq

from vlrb.api.frozen import Array
from vlrb.api.results import CellResult, RouterResult, RunResult
from vlrb.experiment.resolve import make_plan
from vlrb.running.context import RunContext
from vlrb.running.run import RunOutcome, execute, prepare
from vlrb.storage import Places

HERE = Path(__file__).parent
KEYED = '[[router]]\nuse = "keyed"\n'
SWEPT = KEYED + "sweep = { lambda = [0, 3, inf] }\n"
FOLDS = "[split]\nfolds = 3\n"


@attrs.frozen
class SplitRun:
    """A finished run, what its cells shared, and its exit status."""

    context: RunContext
    outcome: RunOutcome

    @property
    def result(self) -> RunResult:
        return self.outcome.result

    @property
    def files(self) -> Path:
        return self.result.run.directory

    def router(self, label: str = "keyed") -> RouterResult:
        return next(r for r in self.result.routers if r.label == label)

    def standing(self, label: str = "keyed", seed: int = 42) -> list[CellResult]:
        """Return the cells that a router's row is made of, with one seed."""
        names = self.router(label).cells
        return [c for c in self.result.cells if c.cell.name in names and c.cell.seed == seed]

    def known(self) -> dict[str, dict[str, Any]]:
        """Return sample id -> what the run directory says of it."""
        return {row["id"]: row for row in pq.read_table(self.files / "evaluated.parquet").to_pylist()}

    def parts(self, name: str) -> dict[str, str]:
        """Return sample id -> train, dev or test in a split, from the run directory."""
        rows = pq.read_table(self.files / "split.parquet").to_pylist()
        return {r["id"]: r["split"] for r in rows if r.get("split_name", "") == name}

    def chosen(self, cell: CellResult, part: str = "test") -> dict[str, str]:
        """Return sample id -> the model that a cell chose, from the run directory."""
        rows = pq.read_table(cell.directory / f"{part}.parquet").to_pylist()
        return {r["id"]: r["model"] for r in rows}


def experiment(folder: Path, routers: str = SWEPT, more: str = FOLDS, top: str = "", logs: str = "") -> Path:
    """Write an experiment on the tiny logs."""
    plugins = [str(HERE / name) for name in ("tiny.py", "keyed.py")]
    head = f'name = "t"\nplugins = {plugins}\nrequires = []\n{top}\n[logs]\nuse = "tiny"\n{logs}\n'
    folder.mkdir(exist_ok=True)
    path = folder / "experiment.toml"
    path.write_text(head + more + routers, encoding="utf-8")
    return path


def run_splits(folder: Path, routers: str = SWEPT, more: str = FOLDS, top: str = "", logs: str = "") -> SplitRun:
    """Run an experiment in this process."""
    plan = make_plan(experiment(folder, routers, more, top, logs), ("no:mlflow",))
    places = Places(folder / "runs", folder / "cache")
    return SplitRun(prepare(plan, places, jobs=1), execute(plan, places, jobs=1))


def accuracy(run: SplitRun, chosen: dict[str, str]) -> float:
    """Return the share of samples on which the chosen models are right."""
    known = run.known()
    right: Array = np.array([known[i][f"quality:{model}"] for i, model in chosen.items()])
    return float(right.mean())
