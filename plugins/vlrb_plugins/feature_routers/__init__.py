"""Routers that learn from feature vectors: those of VL-RouterBench's feature level."""

from __future__ import annotations

from vlrb import RouterSpec, hookimpl
from vlrb_plugins.feature_routers.params import (
    KmeansParams,
    KnnParams,
    LinearParams,
    MlpParams,
    OvrParams,
    PrknnParams,
)

ROUTERS = (
    RouterSpec(
        name="knn",
        summary="the k nearest train samples vote for their cheapest correct model",
        factory="vlrb_plugins.feature_routers.knn:Knn",
        params=KnnParams,
        load="vlrb_plugins.feature_routers.knn:load",
        needs_features=True,
    ),
    RouterSpec(
        name="prknn",
        summary="the k nearest train samples compare the models pairwise",
        factory="vlrb_plugins.feature_routers.prknn:Prknn",
        params=PrknnParams,
        load="vlrb_plugins.feature_routers.prknn:load",
        needs_features=True,
    ),
    RouterSpec(
        name="ovr",
        summary="a logistic regression per model says how likely it is right",
        factory="vlrb_plugins.feature_routers.ovr:Ovr",
        params=OvrParams,
        load="vlrb_plugins.feature_routers.ovr:load",
        needs_features=True,
    ),
    RouterSpec(
        name="kmeans",
        summary="clusters of samples, each with its best model",
        factory="vlrb_plugins.feature_routers.kmeans:Kmeans",
        params=KmeansParams,
        load="vlrb_plugins.feature_routers.kmeans:load",
        needs_features=True,
    ),
    RouterSpec(
        name="linear",
        summary="multinomial logistic regression on hard labels or soft targets",
        factory="vlrb_plugins.feature_routers.linear:Linear",
        params=LinearParams,
        load="vlrb_plugins.feature_routers.linear:load",
        needs_features=True,
    ),
    RouterSpec(
        name="mlp",
        summary="a multilayer perceptron on hard labels or soft targets",
        factory="vlrb_plugins.feature_routers.mlp:Mlp",
        params=MlpParams,
        load="vlrb_plugins.feature_routers.mlp:load",
        needs_features=True,
        requires=("torch",),
        extra="torch",
    ),
)


@hookimpl
def vlrb_routers() -> tuple[RouterSpec, ...]:
    """Return the six feature-level routers."""
    return ROUTERS
