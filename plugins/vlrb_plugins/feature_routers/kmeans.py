"""Clusters of queries, each with what is known of the models there; or, in the variant ``reference``, a prototype per model.

``published`` runs k-means on the train features (rows without a right model count too) and keeps, per cluster, every model's
accuracy and mean cost.  The clusters nearest to a query decide by a rule:

- ``best-accuracy``: the most accurate model of the nearest cluster (RouterEval's cluster router)
- ``avengers``: the same, with more clusters (Avengers, arXiv 2505.19797)
- ``avengers-code``: clusters vote with ``softmax(-beta * (1 - product))``, each for its i-th most accurate model with ``1 / i``
- ``avengers-pro``: ``w * accuracy + (1 - w) * (1 - cost)``, both scaled to [0, 1] by their minimum and maximum in the cluster,
  summed over the 4 nearest clusters (Avengers-Pro, arXiv 2508.12631)
- ``avengers-pro-code``: clusters vote as by ``avengers-code``, for models in the order of a balance in which cost is divided by
  its maximum
- ``budget``: the most accurate model within the budget (MMR-Bench); without a budget, the most accurate

Of models with equal scores or places, the more accurate one in these clusters is chosen, then the cheaper one there, then the
first.  Given lambda or a budget, all rules leave the decision to ``vlrb.api.decide``, at the accuracy and cost of the clusters that
count.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import Array, ConfigError, DataError, Estimate, FitContext, Labelled, Queries, solved_rows
from vlrb_plugins.feature_routers.deciding import ByEstimate, decides, settled
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.kmeans_init import starting_centres
from vlrb_plugins.feature_routers.params import KmeansParams
from vlrb_plugins.feature_routers.prototypes import FittedPrototypes, fit_prototypes, load_prototypes
from vlrb_plugins.feature_routers.rules import RULES, Rule
from vlrb_plugins.feature_routers.scaling import ZScore, blocks, unit
from vlrb_plugins.feature_routers.storage import store, stored

logger = logging.getLogger("vlrb")

BETA, ACCURACY_WEIGHT = 9.0, 0.7
"""What AvengersPro's code uses."""


@attrs.frozen
class Kmeans:
    """The router ``kmeans``."""

    params: KmeansParams

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
        return from_centres(centres, matrix, train, scaler, self.params)


@attrs.frozen(eq=False)
class FittedClusters(ByEstimate):
    """Centres float64[c, d], and per cluster the accuracy and the mean cost of every model, float64[c, k]."""

    params: KmeansParams
    scaler: ZScore
    centres: Array
    accuracy: Array
    cost: Array

    @property
    def rule(self) -> Rule:
        """What the rule uses."""
        return RULES[self.params.rule]

    def own_scores(self, queries: Queries) -> Array:
        """Return what the rule gives each model, float64[n, k]."""
        weights, near = self._voters(queries)
        shares = weights / weights.sum(axis=1, keepdims=True)
        given = _added(weights, self.given(), near)
        return settled(
            given,
            lambda rows: _added(shares[rows], self.accuracy, near[rows]),
            lambda rows: -_added(shares[rows], self.cost, near[rows]),
        )

    def estimate(self, queries: Queries) -> Estimate:
        """Return accuracy and mean cost in the nearest cluster, or averaged over those that count."""
        weights, near = self._voters(queries)
        shares = weights / weights.sum(axis=1, keepdims=True)
        return Estimate(np.clip(_added(shares, self.accuracy, near), 0.0, 1.0), _added(shares, self.cost, near))

    def given(self) -> Array:
        """Return what each cluster gives each model, float64[c, k]: its score, or 1 / its place where clusters vote."""
        scores = self.accuracy if self.rule.balance == "accuracy" else self._balance()
        if not self.rule.votes:
            return scores
        order = np.lexsort((self.cost, -self.accuracy, -scores.round(12)), axis=1)
        shares = np.empty(scores.shape)
        np.put_along_axis(shares, order, 1.0 / np.arange(1, scores.shape[1] + 1)[None], axis=1)
        return shares

    def _balance(self) -> Array:
        """Return the balance of accuracy and cost of each model in each cluster, float64[c, k], from 0 to 1."""
        weight = ACCURACY_WEIGHT if self.params.accuracy_weight is None else self.params.accuracy_weight
        accuracy = _scaled(self.accuracy, self.accuracy.min(axis=1, keepdims=True), 1.0)
        least = (
            self.cost.min(axis=1, keepdims=True) if self.rule.balance == "min-max" else np.zeros((len(self.cost), 1))
        )
        return np.asarray(weight * accuracy + (1.0 - weight) * (1.0 - _scaled(self.cost, least, 0.0)))

    def _distances(self, queries: Queries) -> Array:
        """Return how far the centres are, float64[n, c]: 1 - product where clusters vote, else half the squared distance.

        The half of the query's own squared length is left out.
        """
        matrix = features_of(queries, "kmeans", self.centres.shape[1]).matrix
        distances = np.empty((len(matrix), len(self.centres)))
        offset = 1.0 if self.rule.votes else 0.5 * np.einsum("ij,ij->i", self.centres, self.centres)
        for part in blocks(*matrix.shape):
            rows = prepared(self.scaler.filled(matrix[part]), self.params).astype(np.float64)
            distances[part] = offset - rows @ self.centres.T
        return distances

    def _voters(self, queries: Queries) -> tuple[Array, Array]:
        """Return the weights and the numbers of the clusters that count, nearest first, [n, top]."""
        distances = self._distances(queries)
        near = np.argsort(distances, axis=1, kind="stable")[:, : self.params.top or self.rule.top]
        if not self.rule.votes:
            return np.ones(near.shape), near
        close = np.take_along_axis(distances, near, axis=1)
        beta = BETA if self.params.beta is None else self.params.beta
        weights = np.exp(-beta * (close - close[:, :1]))
        return weights / weights.sum(axis=1, keepdims=True), near

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        more = {"centres": self.centres, "accuracy": self.accuracy, "cost": self.cost}
        store(directory, "kmeans", self.params, self.scaler.arrays() | more)


def load(directory: Path) -> FittedClusters | FittedPrototypes:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "kmeans")
    params, a = found.parameters(KmeansParams), found.arrays
    if params.variant == "reference":
        return load_prototypes(found, params)
    return FittedClusters(params, ZScore.restored(a), a["centres"], a["accuracy"], a["cost"])


def _added(weights: Array, values: Array, near: Array) -> Array:
    """Return the weighted sums float64[n, k], over the clusters [n, top] that count, of values float64[c, k]."""
    return np.asarray(np.einsum("ij,ijm->im", weights, values[near]))


def _scaled(values: Array, least: Array, flat: float) -> Array:
    """Return the values [c, k] scaled to 0 at ``least`` and 1 at the maximum of their row; ``flat`` where these are equal."""
    spread = values.max(axis=1, keepdims=True) - least
    return np.asarray(np.divide(values - least, spread, out=np.full(values.shape, flat), where=spread > 0))


def prepared(matrix: Array, params: KmeansParams) -> Array:
    """Return the rows that are clustered, float32."""
    return unit(matrix) if params.normalize else matrix.astype(np.float32)


def find_centres(matrix: Array, params: KmeansParams, context: FitContext) -> Array:
    """Return the centres of k-means, float64[c, d]: those of the best of several starts.

    :raises DataError: when there are fewer rows than clusters
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rule = RULES[params.rule]
    clusters = params.clusters or rule.clusters
    if clusters > len(matrix):
        what = f"clusters is {clusters:,}, but there are only {len(matrix):,} train samples"
        raise DataError(what, where="kmeans", fix=f"set clusters to at most {len(matrix)}")
    rng = np.random.default_rng(context.seed if params.seed is None else params.seed)
    starts = starting_centres(matrix, clusters, params.n_init or rule.starts, rng)
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
    centres: Array, matrix: Array, train: Labelled, scaler: ZScore, params: KmeansParams
) -> FittedClusters:
    """Return the router that these centres make of the train rows; a centre nearest to no row is left out.

    :param matrix: the train rows as they are clustered
    """
    nearest = np.empty(len(matrix), dtype=np.int64)
    half: Any = 0.5 * np.einsum("ij,ij->i", centres, centres)
    for part in blocks(*matrix.shape):
        nearest[part] = (half - matrix[part].astype(np.float64) @ centres.T).argmin(axis=1)
    used, nearest = np.unique(nearest, return_inverse=True)
    members = np.bincount(nearest)[:, None]
    order = np.argsort(nearest, kind="stable")
    starts = np.searchsorted(nearest[order], np.arange(len(used)))
    hits, spent = (np.add.reduceat(v[order].astype(np.float64), starts, axis=0) for v in (train.quality, train.cost))
    return FittedClusters(params, scaler, centres[used], hits / members, spent / members)
