"""Clusters of train rows, for losses that compare samples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from vlrb import Array

DIMENSIONS = 5
"""Dimensions of the t-SNE map in which questions are clustered, as in RouterDC's src/cluster_generate.ipynb."""

FEWEST = 100
"""Fewest rows for a map, since t-SNE uses the 90 nearest neighbours of each."""

MOST = 1000
"""Most rows in a map, since t-SNE in more than three dimensions takes time quadratic in their number."""


def k_means(points: Any, count: int, seed: int) -> Array:
    """Return a cluster for every point, int64[n]."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # it warns if points coincide and there are fewer clusters than asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(count, random_state=seed, n_init=10).fit(points)
    return np.asarray(model.labels_, dtype=np.int64)


def of_questions(parts: Sequence[Array], count: int, seed: int) -> Array:
    """Return a cluster for every question, int64[n] (RouterDC).

    Rows are mapped to five dimensions by t-SNE, and k-means clusters the map.  Of more than ``MOST`` distinct rows a random part is
    mapped, and each other row joins the cluster of its nearest mapped row; fewer than ``FEWEST`` are clustered without a map.

    :param parts: embeddings of the questions by encoders, each float[n, d]; all parts have equal weight
    :param count: clusters, at most as many as there are distinct rows
    """
    distinct, which = np.unique(_balanced(parts), axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(distinct))
    some = distinct[order[:MOST]]
    found = k_means(_mapped(some, seed), min(count, len(some)), seed)
    return np.asarray(found[_nearest(distinct, some)][which.reshape(-1)])


def _balanced(parts: Sequence[Array]) -> Array:
    """Return the parts side by side, each centred and scaled to a mean squared length of 1."""
    scaled = []
    for part in parts:
        centred = part - part.mean(axis=0)
        length = np.sqrt(np.square(centred).sum(axis=1).mean())
        scaled.append(centred / max(float(length), np.finfo(np.float32).tiny))
    return np.concatenate(scaled, axis=1).astype(np.float32)


def _mapped(points: Array, seed: int) -> Array:
    from sklearn.manifold import TSNE

    if len(points) < FEWEST or points.shape[1] <= DIMENSIONS:
        return points
    rate = len(points) / 48  # as "auto" for 2,400 points or more; its minimum of 50 scatters a map of a few hundred
    made = TSNE(DIMENSIONS, method="exact", learning_rate=rate, random_state=seed).fit_transform(points)
    return np.asarray(made)


def _nearest(points: Array, among: Array) -> Array:
    """Return the row in ``among`` that is nearest to each point, int64[n]."""
    from sklearn.metrics import pairwise_distances_argmin

    return np.asarray(pairwise_distances_argmin(points, among), dtype=np.int64)
