"""The router ``best-value``: the cheapest model whose accuracy on train is close to that of the best."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from attrs import validators

from vlrb import FitContext, Labelled, Queries, RouterSpec, hookimpl, param


@attrs.frozen
class Params:
    """Parameters of ``best-value``."""

    tolerance: float = param(
        default=0.05, validator=validators.ge(0), help="accuracy that may be lost for a lower price"
    )


@attrs.frozen
class Always:
    """Chooses one model."""

    choice: int

    def route(self, queries: Queries) -> Any:
        """Return the same choice for every query."""
        return np.full(len(queries), self.choice)


@attrs.frozen
class BestValue:
    """Finds the model."""

    params: Params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Always:
        """Return the cheapest model that is accurate enough on train."""
        accuracy, cost = train.quality.mean(axis=0), train.cost.mean(axis=0)
        enough = accuracy >= accuracy.max() - self.params.tolerance
        return Always(int(np.where(enough, cost, np.inf).argmin()))


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Register the router."""
    summary = "the cheapest model whose accuracy on train is close to that of the best"
    return [RouterSpec(name="best-value", summary=summary, factory=BestValue, params=Params)]
