"""The router ``my-router``: short questions go to the cheapest model, long ones to the most accurate."""

import attrs
import numpy as np
from attrs import validators
from vlrb import Array, FitContext, Labelled, Queries, RouterSpec, hookimpl, param


@attrs.frozen
class Params:
    """What an experiment file may set in the router's table."""

    threshold: int = param(default=80, validator=validators.ge(0), help="characters from which a question is long")


@attrs.frozen
class Fitted:
    """Chooses between two models, given by their places among the candidates."""

    threshold: int
    cheap: int
    strong: int

    def route(self, queries: Queries) -> Array:
        """Return the place of the chosen candidate for every query."""
        is_long = np.array([len(text) >= self.threshold for text in queries.texts], dtype=np.bool_)
        return np.where(is_long, self.strong, self.cheap)


@attrs.frozen
class Router:
    """Finds the two models."""

    params: Params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
        """Learn from train; dev is for choosing parameters."""
        cheap = int(train.cost.mean(axis=0).argmin())
        strong = int(train.quality.mean(axis=0).argmax())
        return Fitted(self.params.threshold, cheap, strong)


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Register the router."""
    summary = "short questions go to the cheapest model, long ones to the most accurate"
    return [RouterSpec(name="my-router", summary=summary, factory=Router, params=Params)]
