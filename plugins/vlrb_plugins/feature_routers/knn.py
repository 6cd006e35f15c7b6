"""K nearest neighbours (VL-RouterBench).

Train samples that some model answers rightly carry the hard label, the cheapest model that is right, or a soft target; the
others are left out.  Features are z-scored on the kept rows.  Of models with equally many votes the one that is right on most of
the neighbours is chosen, then the one of smaller mean cost on train, then the first; in the variant ``reference`` the first.
"""

from __future__ import annotations

from functools import partial

import attrs
import numpy as np

from vlrb import Array, Labelled
from vlrb_plugins.feature_routers.inputs import targets_of
from vlrb_plugins.feature_routers.neighbours import Found, votes
from vlrb_plugins.feature_routers.params import KnnParams
from vlrb_plugins.feature_routers.voting import FittedNeighbours, NeighbourRouter

ROUNDING = 1e-12
"""Distances below this are those of equal vectors."""


@attrs.define(eq=False)
class FittedKnn(FittedNeighbours):
    """Knows the targets of the train rows, float64[n, k]; a model's score is its share of the votes."""

    router, known_as, params_class = "knn", "targets", KnnParams

    @staticmethod
    def learn(params: KnnParams, train: Labelled, kept: Array) -> Array:
        """Return the targets."""
        return targets_of(train, kept, params.lambda_, params.variant)

    def count(self, found: Found) -> Array:
        """Return the share of the votes that each model gets."""
        weights = votes(found, self.params.weights, _inverse)
        scores = np.einsum("ij,ijm->im", weights, self.known[found.rows])
        return np.asarray(scores / weights.sum(axis=1, keepdims=True))


Knn, load = partial(NeighbourRouter, FittedKnn), FittedKnn.load


def _inverse(distances: Array) -> Array:
    """Return 1/distance; where some distance is 0, only those vote, each with 1."""
    equal = distances < ROUNDING
    inverse = 1.0 / np.where(equal, 1.0, distances)
    return np.where(equal.any(axis=1, keepdims=True), equal.astype(np.float64), inverse)
