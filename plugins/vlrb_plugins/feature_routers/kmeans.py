"""Clusters of queries, each with what is known of the models there; or, in the variant ``reference``, a prototype per model.

``published`` runs k-means on the train features (rows without a right model count too) and keeps, per cluster, every model's
accuracy and mean cost.  A query goes to its nearest cluster, which decides by a rule:

- ``best-accuracy``: the most accurate model (RouterEval's cluster router)
- ``avengers``: the nearest clusters vote, each for the models in the order of their accuracy (Avengers)
- ``avengers-pro``: the best balance of accuracy and cost (Avengers-Pro)
- ``budget``: the most accurate model within the budget (MMR-Bench); without a budget, the most accurate

Given lambda or a budget, all rules leave the decision to ``vlrb.decide``: they differ in their clusters only.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb.errors import ConfigError, DataError
from vlrb.targets import solved_rows
from vlrb.types import Array, Estimate, FitContext, Labelled, Queries
from vlrb_plugins.feature_routers.deciding import choose, decides, worth
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.params import KmeansParams
from vlrb_plugins.feature_routers.prototypes import FittedPrototypes, fit_prototypes, load_prototypes
from vlrb_plugins.feature_routers.scaling import ZScore, blocks, unit
from vlrb_plugins.feature_routers.seeding import starting_centres
from vlrb_plugins.feature_routers.storage import store, stored

logger = logging.getLogger("vlrb")

CLUSTERS = {"best-accuracy": 3, "avengers": 32, "avengers-pro": 32, "budget": 20}
STARTS = {"best-accuracy": 1, "avengers": 10, "avengers-pro": 10, "budget": 1}
"""What the methods use, by rule."""


class Kmeans:
    """The router ``kmeans``."""

    def __init__(self, params: KmeansParams) -> None:
        self.params = params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedClusters | FittedPrototypes:  # noqa: ARG002
        """Find clusters, or prototypes.

        :raises DataError: when no model is right on any train sample, or there are fewer samples than clusters
        :raises ConfigError: when prototypes are to decide by lambda or a budget
        """
        features, kept = features_of(train.queries, "kmeans"), solved_rows(train, "kmeans")
        if self.params.variant == "reference":
            if decides(self.params):
                message = "prototypes estimate neither probability nor cost, so lambda and budget cannot be set"
                raise ConfigError(message, where="kmeans", fix='set variant = "published"')
            return fit_prototypes(features.matrix, train.quality, kept, self.params)
        scaler = ZScore.fit(features.matrix, np.arange(len(train)))
        matrix = prepared(scaler.filled(features.matrix), self.params)
        centres = find_centres(matrix, self.params, context)
        names = tuple(c.name for c in context.candidates)
        return from_centres(centres, matrix, train, scaler, names, self.params)


@attrs.frozen(eq=False)
class FittedClusters:
    """Centres float64[c, d], and per cluster the accuracy and the mean cost of every model, float64[c, k]."""

    params: KmeansParams
    scaler: ZScore
    centres: Array
    accuracy: Array
    cost: Array
    names: tuple[str, ...]

    def route(self, queries: Queries) -> Array:
        """Return the model that the rule, lambda or the budget chooses."""
        if decides(self.params):
            return choose(self.estimate(queries), self.params)
        return np.asarray(self.scores(queries).argmax(axis=1))

    def scores(self, queries: Queries) -> Array:
        """Return what the rule gives each model, float64[n, k]; with lambda or a budget, what each model is worth."""
        if decides(self.params):
            return worth(self.estimate(queries), self.params)
        distances = self._distances(queries)
        if self.params.rule == "avengers":
            return self._voted(distances)
        per_cluster = self.accuracy if self.params.rule != "avengers-pro" else self.balance()
        return np.asarray(per_cluster[distances.argmin(axis=1)])

    def estimate(self, queries: Queries) -> Estimate:
        """Return accuracy and mean cost in the query's cluster; for ``avengers``, averaged over the clusters that vote."""
        shares, near = self._voters(self._distances(queries))
        shares = shares / shares.sum(axis=1, keepdims=True)
        p, cost = (np.einsum("ij,ijm->im", shares, m[near]) for m in (self.accuracy, self.cost))
        return Estimate(np.clip(p, 0.0, 1.0), cost)

    def balance(self) -> Array:
        """Return Avengers-Pro's score of each model in each cluster, float64[c, k], from 0 to 1."""
        low, high = (f(self.accuracy, axis=1, keepdims=True) for f in (np.min, np.max))
        spread = high - low
        accuracy = np.divide(self.accuracy - low, spread, out=np.ones_like(self.accuracy), where=spread > 0)
        most = self.cost.max(axis=1, keepdims=True)
        thrift = 1.0 - np.divide(self.cost, most, out=np.zeros_like(self.cost), where=most > 0)
        return np.asarray(self.params.accuracy_weight * accuracy + (1.0 - self.params.accuracy_weight) * thrift)

    def _distances(self, queries: Queries) -> Array:
        """Return how far the centres are, float64[n, c]: 1 - product for ``avengers``, else half the squared distance."""
        matrix = features_of(queries, "kmeans", self.centres.shape[1]).matrix
        distances = np.empty((len(matrix), len(self.centres)))
        offset = 1.0 if self.params.rule == "avengers" else 0.5 * np.einsum("ij,ij->i", self.centres, self.centres)
        for part in blocks(*matrix.shape):
            rows = prepared(self.scaler.filled(matrix[part]), self.params).astype(np.float64)
            distances[part] = offset - rows @ self.centres.T
        return distances

    def _voters(self, distances: Array) -> tuple[Array, Array]:
        """Return the weights and the numbers of the clusters that vote, nearest first, [n, top]."""
        top = self.params.top if self.params.rule == "avengers" else 1
        near = np.argsort(distances, axis=1, kind="stable")[:, :top]
        close = -self.params.beta * (distances - distances.min(axis=1, keepdims=True, initial=np.inf))
        weights = np.exp(close)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.maximum(np.take_along_axis(weights, near, axis=1), np.finfo(np.float64).tiny), near

    def _voted(self, distances: Array) -> Array:
        weights, near = self._voters(distances)
        by_name = np.argsort(np.array(self.names), kind="stable")
        order = by_name[np.argsort(-self.accuracy[:, by_name], axis=1, kind="stable")]
        share = np.empty(order.shape)
        np.put_along_axis(share, order, 1.0 / np.arange(1, order.shape[1] + 1)[None], axis=1)
        return np.asarray(np.einsum("ij,ijm->im", weights, share[near]))

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        arrays = {"mean": self.scaler.mean, "scale": self.scaler.scale, "centres": self.centres}
        arrays |= {"accuracy": self.accuracy, "cost": self.cost}
        store(directory, "kmeans", self.params, arrays, names=list(self.names))


def load(directory: Path) -> FittedClusters | FittedPrototypes:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "kmeans")
    params, a = found.parameters(KmeansParams), found.arrays
    if params.variant == "reference":
        return load_prototypes(found, params)
    scaler = ZScore(a["mean"], a["scale"])
    return FittedClusters(params, scaler, a["centres"], a["accuracy"], a["cost"], tuple(found.content["names"]))


def prepared(matrix: Array, params: KmeansParams) -> Array:
    """Return the rows that are clustered, float32."""
    return unit(matrix) if params.normalize else matrix.astype(np.float32)


def find_centres(matrix: Array, params: KmeansParams, context: FitContext) -> Array:
    """Return the centres of k-means, float64[c, d]: those of the best of several starts.

    :raises DataError: when there are fewer rows than clusters
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    clusters = params.clusters or CLUSTERS[params.rule]
    if clusters > len(matrix):
        raise DataError(
            f"{clusters} clusters of {len(matrix)} train samples", where="kmeans", fix=f"set clusters <= {len(matrix)}"
        )
    rng = np.random.default_rng(context.seed if params.seed is None else params.seed)
    starts = starting_centres(matrix, clusters, params.n_init or STARTS[params.rule], rng)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        models = [
            KMeans(clusters, init=s, n_init=1, max_iter=params.max_iter, random_state=0).fit(matrix) for s in starts
        ]
    best = min(models, key=lambda m: m.inertia_)
    for message in {str(w.message).splitlines()[0] for w in caught}:
        logger.warning("kmeans: %s", message)
    return np.asarray(best.cluster_centers_, dtype=np.float64)


def from_centres(
    centres: Array, matrix: Array, train: Labelled, scaler: ZScore, names: tuple[str, ...], params: KmeansParams
) -> FittedClusters:
    """Return the router that these centres make of the train rows; a centre nearest to no row is left out.

    :param matrix: the train rows as they are clustered
    """
    nearest = np.empty(len(matrix), dtype=np.int64)
    half: Any = 0.5 * np.einsum("ij,ij->i", centres, centres)
    for part in blocks(*matrix.shape):
        nearest[part] = (half - matrix[part].astype(np.float64) @ centres.T).argmin(axis=1)
    used, nearest = np.unique(nearest, return_inverse=True)
    members = (nearest[None] == np.arange(len(used))[:, None]).astype(np.float64)
    members /= members.sum(axis=1, keepdims=True)
    accuracy, cost = members @ train.quality.astype(np.float64), members @ train.cost.astype(np.float64)
    return FittedClusters(params, scaler, centres[used], np.clip(accuracy, 0.0, 1.0), cost, names)
