"""Neighbours that compare the models pairwise (VL-RouterBench, PRkNN).

On a train sample one model beats another if it alone is right, or if both are equally right and it is cheaper.  In the variant
``published`` a model scores a point for every other model that it beats by the weight of the neighbours, and loses one where it
is beaten (Copeland); in the variant ``reference`` it scores the weight of every single win.  Soft targets change nothing here:
at any lambda above 0 they order the models of a sample in the same way.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from vlrb.targets import solved_rows
from vlrb.types import Array, FitContext, Labelled, Queries
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.neighbours import Index, check_k, index_of, votes
from vlrb_plugins.feature_routers.params import PrknnParams
from vlrb_plugins.feature_routers.scaling import blocks
from vlrb_plugins.feature_routers.storage import store, stored

OFFSET = 1e-6
"""What is added to distances, so that an equal vector has a weight."""


class Prknn:
    """The router ``prknn``."""

    def __init__(self, params: PrknnParams) -> None:
        self.params = params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedPrknn:  # noqa: ARG002
        """Keep the train samples.

        :raises DataError: when no model is right on any train sample, or on fewer samples than k
        """
        features, kept = features_of(train.queries, "prknn"), solved_rows(train, "prknn")
        check_k(self.params.k, kept.size, "prknn")
        index, borrowed = index_of(features, kept, self.params.metric)
        return FittedPrknn(self.params, index, ranks(train.quality[kept], train.cost[kept]), borrowed)


@attrs.define(eq=False)
class FittedPrknn:
    """An index of train rows, with the rank of every model on each of them, int16[n, k].

    ``borrowed_seconds`` is the work that other routers did and the last ``fit`` or ``route`` made use of.
    """

    params: PrknnParams
    index: Index
    ranks: Array
    borrowed_seconds: float = 0.0

    def route(self, queries: Queries) -> Array:
        """Return the model with the highest score; of equals the first."""
        scores, self.borrowed_seconds = self._scores(queries)
        return np.asarray(scores.argmax(axis=1))

    def scores(self, queries: Queries) -> Array:
        """Return the score of each model, as a share of what it could have, float64[n, k].

        ``published``: from -1, beaten by all others, to 1.  ``reference``: from 0 to 1, the share of the weighted comparisons won.
        """
        return self._scores(queries)[0]

    def _scores(self, queries: Queries) -> tuple[Array, float]:
        features = features_of(queries, "prknn", self.index.rows.shape[1])
        found, borrowed = self.index.find(features, self.params.k)
        weights = votes(found, self.params.weights, lambda d: 1.0 / (OFFSET + d))
        models = self.ranks.shape[1]
        scores = np.empty((len(weights), models))
        for part in blocks(len(weights), self.params.k * models * models):
            scores[part] = _pairwise(weights[part], self.ranks[found.rows[part]], self.params.variant)
        most = np.float64(max(models - 1, 1))
        if self.params.variant == "reference":
            most = most * weights.sum(axis=1, keepdims=True)
        return np.asarray(scores / most), borrowed

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        store(directory, "prknn", self.params, {**self.index.arrays(), "ranks": self.ranks})


def load(directory: Path) -> FittedPrknn:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "prknn")
    params, arrays = found.parameters(PrknnParams), found.arrays
    return FittedPrknn(params, Index.restored(params.metric, arrays), arrays["ranks"])


def ranks(quality: Array, cost: Array) -> Array:
    """Return how many models beat each model on a sample, int16[n, k]: a model beats those of a higher number."""
    beaten = np.empty(quality.shape, dtype=np.int16)
    for part in blocks(len(quality), quality.shape[1] ** 2):
        right, dollars = quality[part].astype(np.int8), cost[part]
        better = right[:, :, None] > right[:, None, :]
        cheaper = (right[:, :, None] == right[:, None, :]) & (dollars[:, :, None] < dollars[:, None, :])
        beaten[part] = (better | cheaper).sum(axis=1)
    return beaten


def _pairwise(weights: Array, ranked: Array, variant: str) -> Array:
    """Return scores [n, k] from the weights [n, j] of neighbours and their ranks of the models [n, j, k]."""
    beats = ranked[:, :, :, None] < ranked[:, :, None, :]
    if variant == "reference":
        return np.asarray(np.einsum("ij,ija->ia", weights, beats.sum(axis=3)))
    wins = np.einsum("ij,ijab->iab", weights, beats)
    return np.asarray(np.sign(wins - wins.transpose(0, 2, 1)).sum(axis=2))
