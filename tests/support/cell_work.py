"""Cells of an experiment on the handmade benchmark, with a router of the test in the place of the tiny plugin's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import handmade
import numpy as np
import pytest

from vlrb.api.results import CellInfo
from vlrb.api.routing import CostBounds, Estimate, FitContext, Labelled, Queries
from vlrb.evaluation.metrics import EvaluatedRows, Evaluator
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.resolve import make_plan
from vlrb.running.cells import run_cell
from vlrb.running.context import RunContext
from vlrb.storage import Places

TINY = Path(__file__).parent / "tiny.py"


COUNTING = '[[router]]\nuse = "counting"\n'


ESTIMATING = '[[router]]\nuse = "estimating"\n'
SWEPT = ESTIMATING + "sweep = { lambda = [0, 100, inf] }\n"


def by_text(queries: Queries) -> Any:
    """Choose by the number in the question: other rows, or another order, are other choices."""
    return np.array([int(text.split()[1]) % 3 for text in queries.texts])


@attrs.define
class Fitted:
    """A router as its own fit; without ``scores``, ``estimate``, ``chosen`` or ``save`` unless the test adds them."""

    how: Callable[[Queries], Any] = by_text
    seen: list[Any] = attrs.field(factory=list)
    more: dict[str, Any] = attrs.field(factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.more[name]
        except KeyError:
            raise AttributeError(name) from None

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
        self.seen += [train, dev, context]
        return self

    def route(self, queries: Queries) -> Any:
        self.seen.append(queries)
        return self.how(queries)


@attrs.frozen
class Work:
    """Runs cells of an experiment with a router of the test."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def experiment(self, routers: str = COUNTING, top: str = "") -> Path:
        """Write an experiment."""
        head = f'name = "t"\nplugins = ["{TINY}"]\nrequires = []\n{top}\n[logs]\nuse = "tiny"\n'
        path = self.folder / "experiment.toml"
        path.write_text(head + routers, encoding="utf-8")
        return path

    @property
    def places(self) -> Places:
        """Return the places of this folder."""
        return Places(self.folder / "runs", self.folder / "cache")

    def context(
        self,
        routers: str = COUNTING,
        top: str = "",
        *,
        bounds: CostBounds | None = None,
        digest: str = "d",
        **matrices: Any,
    ) -> RunContext:
        """Return what the cells share.

        :param bounds: in the place of those of the benchmark
        """
        plan = make_plan(self.experiment(routers, top))
        made = handmade.make(self.folder, **matrices)
        splitting = handmade.splitting_of(handmade.split_of(made, digest))
        evaluator = Evaluator(made, plan.metrics, plan.selection_metric(), plan.statistics.by)
        context = RunContext(plan, self.places, made, splitting, evaluator)
        if bounds is not None:
            rows = EvaluatedRows.of(made, splitting.splits, "dev", "train")
            context._evaluated["dev", ""] = attrs.evolve(rows, bounds=bounds)
        return context

    def folder_of(self, *arguments: Any, **more: Any) -> Path:
        """Return where the only cell's result is kept."""
        context = self.context(*arguments, **more)
        (cell,) = context.cells()
        return context.folder(cell)

    def run(self, router: Any, context: RunContext | None = None, cell: CellInfo | None = None, **more: Any) -> Path:
        """Run a cell, by default the only one; return its folder."""
        make = ConfiguredComponent.make
        self.monkeypatch.setattr(ConfiguredComponent, "make", lambda s, *m: router if m == ("fit",) else make(s, *m))
        context = context or self.context()
        cell = cell or context.cells()[0]
        arguments = {"threads": 1, "log": lambda *_: None, "progress": lambda *_: None, **more}
        run_cell(context, cell, arguments["threads"], arguments["log"], arguments["progress"])
        self.monkeypatch.setattr(ConfiguredComponent, "make", make)
        return context.folder(cell)


DEV = ["Apples/3", "Books/3", "Cats/3"]


TEST = ["Apples/4", "Apples/5", "Books/4", "Books/5", "Cats/4", "Cats/5"]


def estimated(queries: Queries) -> Estimate:
    """Return estimates that differ in every entry, by the question."""
    number = np.array([int(t.split()[1]) + len(t) / 100 for t in queries.texts])[:, None]
    return Estimate(0.9 - number / 10 - np.array([0.0, 0.1, 0.2]), 1e-3 * (number + np.array([3.0, 2.0, 1.0])))
