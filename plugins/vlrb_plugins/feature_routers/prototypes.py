"""A prototype per model: what VL-RouterBench's implementation calls K-means."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from vlrb import Array, Queries
from vlrb_plugins.feature_routers.deciding import HighestScore
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.params import KmeansParams
from vlrb_plugins.feature_routers.scaling import ZScore, blocks, unit
from vlrb_plugins.feature_routers.storage import Stored, store


@attrs.frozen(eq=False)
class FittedPrototypes(HighestScore):
    """The mean float64[k, d] of the scaled train rows on which each model is right.

    A query goes to the model whose prototype has the largest product with it (the cosine, with ``normalize``).  There is no
    estimate: a cosine is no probability.
    """

    params: KmeansParams
    scaler: ZScore
    prototypes: Array

    def scores(self, queries: Queries) -> Array:
        """Return the products with the prototypes, float64[n, k]."""
        matrix = features_of(queries, "kmeans", self.prototypes.shape[1]).matrix
        scores = np.empty((len(matrix), len(self.prototypes)))
        for part in blocks(*matrix.shape):
            scores[part] = _prepared(self.scaler.apply(matrix[part]), self.params) @ self.prototypes.T
        return scores

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        store(directory, "kmeans", self.params, self.scaler.arrays() | {"prototypes": self.prototypes})


def fit_prototypes(matrix: Array, quality: Array, kept: Array, params: KmeansParams) -> FittedPrototypes:
    """Return the prototypes of the kept rows; a model that is never right has the mean of all of them."""
    scaler = ZScore.fit(matrix, kept)
    sums, everything = np.zeros((quality.shape[1], matrix.shape[1])), np.zeros(matrix.shape[1])
    for part in blocks(len(kept), matrix.shape[1]):
        rows = _prepared(scaler.apply(matrix, kept[part]), params)
        sums += quality[kept[part]].astype(np.float64).T @ rows
        everything += rows.sum(axis=0)
    hits = quality[kept].sum(axis=0)[:, None]
    means = np.where(hits > 0, sums / np.maximum(hits, 1), everything / len(kept))
    if params.normalize:
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        means = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 0)
    return FittedPrototypes(params, scaler, means)


def load_prototypes(found: Stored, params: KmeansParams) -> FittedPrototypes:
    """Bring back what ``save`` wrote."""
    return FittedPrototypes(params, ZScore.restored(found.arrays), found.arrays["prototypes"])


def _prepared(scaled: Array, params: KmeansParams) -> Array:
    return (unit(scaled) if params.normalize else scaled).astype(np.float64)
