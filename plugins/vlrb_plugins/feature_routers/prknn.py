"""Neighbours that compare the models pairwise (VL-RouterBench, PRkNN).

On a train sample one model beats another if it alone is right, or if both are equally right and it is cheaper.  By the rule
``wins`` a model scores the weight of every single win (VL-RouterBench's implementation); by ``majority`` a point for every other
model that it beats by the weight of the neighbours, less one where it is beaten (Copeland); by ``correctness`` the mean of how
often it is right (RouterEval, which counts unsolved samples and unscaled features too).  Soft targets change nothing here: at any
lambda above 0 they order the models of a sample in the same way.

Of models with equal scores the one that is right on most of the neighbours is chosen, then the one of smaller mean cost on train,
then the first; in the variant ``reference`` the first.
"""

from __future__ import annotations

from functools import partial

import attrs
import numpy as np

from vlrb import Array, Labelled
from vlrb_plugins.feature_routers.deciding import TIE
from vlrb_plugins.feature_routers.neighbours import Found, votes
from vlrb_plugins.feature_routers.params import PrknnParams
from vlrb_plugins.feature_routers.scaling import blocks
from vlrb_plugins.feature_routers.voting import FittedNeighbours, NeighbourRouter

OFFSET = 1e-6
"""What is added to distances, so that an equal vector has a weight."""


@attrs.define(eq=False)
class FittedPrknn(FittedNeighbours):
    """Knows the ranks of the models on the train rows, int16[n, k]; a model's score is a share of what it could have.

    ``wins`` and ``correctness``: from 0 to 1, the share of the weighted comparisons won, or of the neighbours on which it is
    right.  ``majority``: from -1, beaten by all others, to 1.
    """

    router, known_as, params_class = "prknn", "ranks", PrknnParams

    @staticmethod
    def learn(params: PrknnParams, train: Labelled, kept: Array) -> Array:  # noqa: ARG004
        """Return the ranks."""
        return ranks(train.quality[kept], train.cost[kept])

    def count(self, found: Found) -> Array:
        """Return the score of each model by the rule."""
        rule, known = self.params.rule, self.quality if self.params.rule == "correctness" else self.known
        kind = self.params.weights or ("uniform" if rule == "correctness" else "distance")
        weights = votes(found, kind, lambda d: 1.0 / (OFFSET + d))
        models = known.shape[1]
        scores = np.empty((len(weights), models))
        for part in blocks(len(weights), self.params.k * models * models):
            scores[part] = SCORES[rule](weights[part], known[found.rows[part]])
        return scores


Prknn, load = partial(NeighbourRouter, FittedPrknn), FittedPrknn.load


def ranks(quality: Array, cost: Array) -> Array:
    """Return how many models beat each model on a sample, int16[n, k]: a model beats those of a higher number."""
    beaten = np.empty(quality.shape, dtype=np.int16)
    for part in blocks(len(quality), quality.shape[1] ** 2):
        right, dollars = quality[part].astype(np.int8), cost[part]
        better = right[:, :, None] > right[:, None, :]
        cheaper = (right[:, :, None] == right[:, None, :]) & (dollars[:, :, None] < dollars[:, None, :])
        beaten[part] = (better | cheaper).sum(axis=1)
    return beaten


# --- the rules: from the weights [n, j] of neighbours, and what is known of the models there [n, j, k], to scores [n, k] ------


def _wins(weights: Array, ranked: Array) -> Array:
    beaten = (ranked[:, :, :, None] < ranked[:, :, None, :]).sum(axis=3)
    most = weights.sum(axis=1, keepdims=True) * max(ranked.shape[2] - 1, 1)
    return np.asarray(np.einsum("ij,ija->ia", weights, beaten) / most)


def _majority(weights: Array, ranked: Array) -> Array:
    wins = np.einsum("ij,ijab->iab", weights, ranked[:, :, :, None] < ranked[:, :, None, :])
    lead = wins - wins.transpose(0, 2, 1)
    lead[np.abs(lead) <= TIE * weights.sum(axis=1)[:, None, None]] = 0.0
    return np.asarray(np.sign(lead).sum(axis=2) / max(ranked.shape[2] - 1, 1))


def _correctness(weights: Array, right: Array) -> Array:
    return np.asarray(np.einsum("ij,ija->ia", weights, right) / weights.sum(axis=1, keepdims=True))


SCORES = {"wins": _wins, "majority": _majority, "correctness": _correctness}
