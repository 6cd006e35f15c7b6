"""K nearest neighbours (VL-RouterBench).

Train samples that some model answers rightly carry the hard label, the cheapest model that is right, or a soft target; the
others are left out.  Features are z-scored on the kept rows.  Of models with equally many votes the one that is right on most of
the neighbours is chosen, then the one of smaller mean cost on train, then the first; in the variant ``reference`` the first.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from vlrb import Array, FitContext, Labelled, Queries, solved_rows
from vlrb_plugins.feature_routers.deciding import each_row, settled
from vlrb_plugins.feature_routers.inputs import features_of, targets_of
from vlrb_plugins.feature_routers.neighbours import Index, check_k, index_of, votes
from vlrb_plugins.feature_routers.params import KnnParams
from vlrb_plugins.feature_routers.storage import store, stored

ROUNDING = 1e-12
"""Distances below this are those of equal vectors."""


class Knn:
    """The router ``knn``."""

    def __init__(self, params: KnnParams) -> None:
        self.params = params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedKnn:  # noqa: ARG002
        """Keep the train samples.

        :raises DataError: when no model is right on any train sample, or on fewer samples than k
        """
        features, kept = features_of(train.queries, "knn"), solved_rows(train, "knn")
        check_k(self.params.k, kept.size, "knn")
        index, borrowed = index_of(features, kept, self.params.metric)
        targets = targets_of(train, kept, self.params.lambda_, self.params.variant)
        return FittedKnn(self.params, index, targets, train.quality[kept], train.cost.mean(axis=0), borrowed)


@attrs.define(eq=False)
class FittedKnn:
    """An index of train rows with their targets float64[n, k] and who is right bool[n, k]; mean costs float64[k].

    ``borrowed_seconds`` is the work that other routers did and the last ``fit`` or ``route`` made use of.
    """

    params: KnnParams
    index: Index
    targets: Array
    quality: Array
    cost: Array
    borrowed_seconds: float = 0.0

    def route(self, queries: Queries) -> Array:
        """Return the model with most votes."""
        scores, self.borrowed_seconds = self._scores(queries)
        return np.asarray(scores.argmax(axis=1))

    def scores(self, queries: Queries) -> Array:
        """Return the share of the votes that each model gets, float64[n, k]."""
        return self._scores(queries)[0]

    def _scores(self, queries: Queries) -> tuple[Array, float]:
        features = features_of(queries, "knn", self.index.rows.shape[1])
        found, borrowed = self.index.find(features, self.params.k)
        weights = votes(found, self.params.weights, _inverse)
        scores = np.einsum("ij,ijm->im", weights, self.targets[found.rows])
        scores /= weights.sum(axis=1, keepdims=True)
        if self.params.variant == "published":
            scores = settled(scores, lambda r: self.quality[found.rows[r]].mean(axis=1), each_row(-self.cost))
        return np.asarray(scores), borrowed

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        known = {"targets": self.targets, "quality": self.quality, "cost": self.cost}
        store(directory, "knn", self.params, {**self.index.arrays(), **known})


def load(directory: Path) -> FittedKnn:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "knn")
    params, a = found.parameters(KnnParams), found.arrays
    return FittedKnn(params, Index.restored(params.metric, a), a["targets"], a["quality"], a["cost"])


def _inverse(distances: Array) -> Array:
    """Return 1/distance; where some distance is 0, only those vote, each with 1."""
    equal = distances < ROUNDING
    inverse = 1.0 / np.where(equal, 1.0, distances)
    return np.where(equal.any(axis=1, keepdims=True), equal.astype(np.float64), inverse)
