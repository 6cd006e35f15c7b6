"""Routers that learn from feature vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs
from attrs import validators

from vlrb import hookimpl
from vlrb.specs import RouterSpec, param

if TYPE_CHECKING:
    from vlrb.types import Fitted
    from vlrb_plugins.feature_routers.knn import Knn


@attrs.frozen
class KnnParams:
    """Parameters of the router ``knn``."""

    k: int = param(default=5, validator=validators.ge(1), help="neighbours that vote")
    weights: Literal["distance", "uniform"] = param(
        default="distance", help="distance: a vote weighs 1/distance; neighbours at distance 0 outvote all others"
    )
    metric: Literal["cosine", "euclidean"] = param(default="cosine", help="distance between z-scored feature vectors")


def _knn(params: KnnParams) -> Knn:
    from vlrb_plugins.feature_routers.knn import Knn

    return Knn(params)


def _load_knn(directory: Path) -> Fitted:
    from vlrb_plugins.feature_routers.knn import load

    return load(directory)


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the router ``knn``."""
    return [
        RouterSpec(
            name="knn",
            summary="the k nearest train samples vote for their cheapest correct model",
            factory=_knn,
            params=KnnParams,
            load=_load_knn,
            needs_features=True,
        )
    ]
