"""Routers that learn from feature vectors: those of VL-RouterBench's feature level."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlrb import RouterSpec, hookimpl
from vlrb_plugins.feature_routers.params import (
    KmeansParams,
    KnnParams,
    LinearParams,
    MlpParams,
    OvrParams,
    PrknnParams,
)

if TYPE_CHECKING:
    from vlrb import Fitted, Router


def _spec(name: str, params: type, summary: str, **more: Any) -> RouterSpec:
    """Return the record of the router in the module of this name, which is imported when it is used."""
    module = f"{__name__}.{name}"

    def make(chosen: Any) -> Router:
        made: Router = getattr(import_module(module), name.capitalize())(chosen)
        return made

    def load(directory: Path) -> Fitted:
        loader: Callable[[Path], Fitted] = import_module(module).load
        return loader(directory)

    return RouterSpec(name=name, summary=summary, factory=make, params=params, load=load, needs_features=True, **more)


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the six feature-level routers."""
    return [
        _spec("knn", KnnParams, "the k nearest train samples vote for their cheapest correct model"),
        _spec("prknn", PrknnParams, "the k nearest train samples compare the models pairwise"),
        _spec("ovr", OvrParams, "a logistic regression per model says how likely it is right"),
        _spec("kmeans", KmeansParams, "clusters of samples, each with its best model"),
        _spec("linear", LinearParams, "multinomial logistic regression on hard labels or soft targets"),
        _spec(
            "mlp",
            MlpParams,
            "a multilayer perceptron on hard labels or soft targets",
            requires=("torch",),
            extra="torch",
        ),
    ]
