"""What the tests of the feature-level routers share: made data, contexts, and the reference vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import Candidate, Column, CostBounds, Features, FitContext, Labelled, Queries
from vlrb.testing import make_features, make_queries
from vlrb_plugins.fusions.fusing import fuse
from vlrb_plugins.metrics.rank import rank_score

TRAIN, DEV, TEST = slice(0, 420), slice(420, 480), slice(480, 600)


@attrs.define
class Logged:
    """What a router told its context."""

    progress: list[tuple[int, int]] = attrs.field(factory=list)
    curves: list[tuple[int, dict[str, float]]] = attrs.field(factory=list)


class Make:
    """Makes data and contexts."""

    def queries(self, matrix: Any, models: int = 5, *, missing: bool = False) -> Queries:
        """Return queries with these features (None: without)."""
        n, features = 0 if matrix is None else len(matrix), None
        if matrix is not None:
            columns = [Column(str(i), "dense", missing) for i in range(np.shape(matrix)[1])]
            features = make_features(matrix, columns)
        return make_queries([""] * n, candidates=self.candidates(models), features=features)

    def candidates(self, models: int) -> tuple[Candidate, ...]:
        """Return candidates m0, m1, ..."""
        return tuple(Candidate(f"m{i}") for i in range(models))

    def labelled(self, matrix: Any, quality: Any, cost: Any, **more: Any) -> Labelled:
        """Return labelled queries, with arrays that cannot be written."""
        quality, cost = np.array(quality, bool), np.array(cost, float)
        quality.flags.writeable = cost.flags.writeable = False
        return Labelled(self.queries(matrix, quality.shape[1], **more), quality, quality.astype(float), cost)

    def random(self, n: int = 120, d: int = 6, models: int = 4, seed: int = 0) -> Labelled:
        """Return data in which features tell which model is right."""
        rng = np.random.default_rng(seed)
        matrix = rng.standard_normal((n, d)).astype(np.float32)
        taste = np.random.default_rng(99).standard_normal((d, models))
        quality = matrix @ taste + rng.standard_normal((n, models)) > -0.5
        cost = np.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2])[:models] * rng.uniform(0.5, 1.5, (n, models))
        return self.labelled(matrix, quality, cost)

    def context(
        self, dev: Labelled, tmp: Path = Path(), seed: int = 42, low: float = 1e-4, high: float = 3e-3
    ) -> tuple[FitContext, Logged]:
        """Return a context whose dev score is the rank score, and what it was told."""
        logged = Logged()

        def dev_score(choices: Any) -> Any:
            rows = np.arange(len(dev))
            right, cost = dev.quality[rows, choices].mean(), dev.cost[rows, choices].mean()
            return rank_score(float(right), float(cost), low, high, 0.1)

        context = FitContext(
            candidates=self.candidates(dev.quality.shape[1]),
            bounds=CostBounds(low, high),
            dev_score=dev_score,
            rng=np.random.default_rng(seed),
            seed=seed,
            device="cpu",
            threads=1,
            work_directory=tmp,
            progress=lambda done, total: logged.progress.append((done, total)),
            log=lambda step, values: logged.curves.append((step, dict(values))),
        )
        return context, logged


@pytest.fixture(scope="session")
def make() -> Make:
    """Return the maker."""
    return Make()


@attrs.frozen
class Small:
    """The small data set of the reference vectors: train, dev and test."""

    train: Labelled
    dev: Labelled
    test: Labelled
    low: float
    high: float


@pytest.fixture
def vectors(shared: Callable[[str], Path]) -> Callable[[str], dict[str, Any]]:
    """Return a function that reads a file of reference vectors."""

    def read(name: str) -> dict[str, Any]:
        with np.load(shared(f"vectors/{name}.npz")) as file:
            return {k: file[k] for k in file.files}

    return read


@pytest.fixture
def small(vectors: Callable[[str], dict[str, Any]], make: Make) -> Callable[[str], Small]:
    """Return a function of the fusion that gives the small data set."""

    def get(fusion: str) -> Small:
        data, bounds = vectors("data_small"), vectors("routers_feature")
        parts = [
            Features(data[k].astype(np.float32), tuple(Column(str(i)) for i in range(data[k].shape[1])))
            for k in ("X_text", "X_vision")
        ]
        matrix = fuse(parts, fusion.replace("_", "-")).matrix
        train, dev, test = (make.labelled(matrix[r], data["Y"][r], data["C"][r]) for r in (TRAIN, DEV, TEST))
        return Small(train, dev, test, float(bounds["cmin"]), float(bounds["cmax"]))

    return get
