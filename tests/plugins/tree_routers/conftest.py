"""Samples whose structure trees can find, and routers fitted on them; tests with a ``name`` run for both libraries."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.frozen import Array
from vlrb.api.routing import Candidate, Column, Labelled, Queries
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.testing import make_features, make_queries
from vlrb_plugins.tree_routers.calibration import sigmoid
from vlrb_plugins.tree_routers.params import PARAMS

CANDIDATES = tuple(Candidate(n) for n in ("large", "middle", "small", "never"))
COLUMNS = (
    Column("text/0"),
    Column("subject [of] {it}", "categorical"),
    Column("width", "numeric", may_be_missing=True),
    Column("text/0"),
)
QUICK: dict[str, Any] = {"rounds": 60, "min_leaf": 10, "l2": 1.0, "learning_rate": 0.15}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
        for name in ("lightgbm", "xgboost")
    ]
)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a library, which is that of its router."""
    return str(request.param)


@attrs.frozen
class Context:
    """What the routers use of a context; ``dev_score`` is accuracy less cost unless another is given."""

    dev: Any
    seed: int = 7
    threads: int = 1
    candidates: Any = CANDIDATES
    score: Any = None
    kept: Any = None
    logged: Any = attrs.field(factory=list)
    done: Any = attrs.field(factory=list)

    def dev_score(self, choices: Any) -> Any:
        """Return the selection metric."""
        if self.score is not None:
            return self.score(choices)
        rows = np.arange(len(choices))
        return float(self.dev.quality[rows, choices].mean() - 50 * self.dev.cost[rows, choices].mean())

    def log(self, step: int, values: Any) -> None:
        """Keep what is logged."""
        self.logged.append((step, dict(values)))

    def progress(self, done: int, total: int) -> None:
        """Keep the progress."""
        self.done.append((done, total))


class Trees:
    """Makes samples, contexts and fitted routers."""

    columns = COLUMNS
    candidates = CANDIDATES
    context = Context

    def __init__(self) -> None:
        self._fitted: dict[str, Any] = {}

    @cached_property
    def specs(self) -> dict[str, Any]:
        """Return the routers' records by name."""
        registry = load(Selection())
        return {name: registry.find("router", name).record for name in PARAMS}

    def queries(self, matrix: Any, columns: Any = COLUMNS, candidates: Any = CANDIDATES) -> Queries:
        """Return queries with these features."""
        return make_queries([""] * len(matrix), candidates=candidates, features=make_features(matrix, columns))

    def drawn(self, n: int, seed: int, strength: float = 3.0) -> tuple[Labelled, Array]:
        """Return samples and the true chances float64[n, k].

        ``large`` knows even subjects, ``middle`` what has no width, ``small`` flips a coin, and answers wide images at ten times
        the cost.  ``never`` is never right.
        """
        rng = np.random.default_rng(seed)
        subject = rng.integers(0, 8, n) * 10 + 3
        width = np.where(rng.random(n) < 0.4, np.nan, rng.normal(0, 1, n))
        matrix = np.column_stack([rng.normal(size=n), subject, width, rng.normal(size=n)])
        even = (subject // 10) % 2 == 0
        odds = np.column_stack([np.where(even, 1, -1), np.where(np.isnan(width), 1, -1), np.zeros(n)]) * strength / 2
        chance = np.column_stack([sigmoid(odds), np.zeros(n)])
        quality = rng.random((n, 4)) < chance
        cost = np.tile([4e-3, 2e-3, 1e-3, 1e-4], (n, 1)) * rng.lognormal(0, 0.2, (n, 4))
        cost[:, 2] *= np.where(np.nan_to_num(width) > 0, 10, 1)
        for array in (quality, cost):
            array.flags.writeable = False
        return Labelled(self.queries(matrix), quality, quality.astype(float), cost), chance

    def fit(self, name: str, train: Labelled, dev: Labelled, context: Context | None = None, **params: Any) -> Any:
        """Fit a router, quickly unless other parameters are given."""
        made = self.specs[name].factory(PARAMS[name](**{**QUICK, **params}))
        return made.fit(train, dev, context or Context(dev))

    def standard(self, name: str) -> Any:
        """Return a router fitted on structured samples, once for all tests."""
        if name not in self._fitted:
            self._fitted[name] = self.fit(name, self.drawn(1200, 0)[0], self.drawn(300, 1)[0])
        return self._fitted[name]


@pytest.fixture(scope="session")
def trees() -> Trees:
    """Return a maker of samples and routers."""
    return Trees()
