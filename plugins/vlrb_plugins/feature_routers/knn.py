"""K nearest neighbours (VL-RouterBench).

Train samples that some model answers rightly carry the hard label, the cheapest model that is right; the others are left
out.  Features are z-scored on the kept rows.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from vlrb.cache import new_file, read_json, write_json
from vlrb.config import unstructure
from vlrb.errors import DataError
from vlrb.targets import hard_labels
from vlrb.types import Array, FitContext, Labelled, Queries
from vlrb_plugins.feature_routers import KnnParams
from vlrb_plugins.feature_routers.scaling import ZScore

SCHEMA_VERSION = 1
BLOCK_FLOATS = 16 * 1024**2
"""Distances that are held at once."""

MARGIN = 16
"""Neighbours beyond k whose distances are computed again in double precision, so that rounding decides nothing."""

ROUNDING = 1e-12
"""Distances below this are those of equal vectors."""


class Knn:
    """The router ``knn``."""

    def __init__(self, params: KnnParams) -> None:
        self.params = params

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedKnn:  # noqa: ARG002
        """Keep the train samples.

        :raises DataError: when no model is right on any train sample
        """
        labels = hard_labels(train.quality, train.cost)
        kept = np.flatnonzero(labels >= 0)
        if not kept.size:
            raise DataError("no model is right on any train sample, so there is nothing to learn", where="knn")
        if kept.size < self.params.k:
            raise DataError(
                f"k is {self.params.k}, but only {kept.size} train samples have a model that is right",
                where="knn",
                fix=f"set k to at most {kept.size}",
            )
        matrix = _matrix(train.queries)[kept]
        scaler = ZScore.fit(matrix)
        return FittedKnn(self.params, scaler, scaler.apply(matrix), labels[kept], len(context.candidates))


@attrs.frozen(eq=False)
class FittedKnn:
    """Train rows float32[n, d], scaled, with their labels int[n]."""

    params: KnnParams
    scaler: ZScore
    rows: Array
    labels: Array
    models: int

    def route(self, queries: Queries) -> Array:
        """Return the model with most votes; of equals the first."""
        return np.asarray(self.scores(queries).argmax(axis=1))

    def scores(self, queries: Queries) -> Array:
        """Return the share of the votes that each model gets, float64[n, k]."""
        matrix = self.scaler.apply(_matrix(queries))
        distances, neighbours = nearest(matrix, self.rows, self.params.k, self.params.metric)
        votes = np.ones_like(distances) if self.params.weights == "uniform" else _inverse(distances)
        scores = np.zeros((len(matrix), self.models))
        np.add.at(scores, (np.arange(len(matrix))[:, None], self.labels[neighbours]), votes)
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        with new_file(directory / "arrays.npz") as aside, aside.open("wb") as file:
            np.savez(file, mean=self.scaler.mean, scale=self.scaler.scale, rows=self.rows, labels=self.labels)
        content = {"schema": SCHEMA_VERSION, "models": self.models, "parameters": unstructure(self.params)}
        write_json(directory / "router.json", content)


def load(directory: Path) -> FittedKnn:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    content = read_json(directory / "router.json")
    if content.get("schema") != SCHEMA_VERSION:
        raise DataError(f"has schema version {content.get('schema')!r}, not {SCHEMA_VERSION}", where=str(directory))
    with np.load(directory / "arrays.npz", allow_pickle=False) as arrays:
        scaler = ZScore(arrays["mean"], arrays["scale"])
        return FittedKnn(
            KnnParams(**content["parameters"]), scaler, arrays["rows"], arrays["labels"], content["models"]
        )


def nearest(queries: Array, rows: Array, k: int, metric: str) -> tuple[Array, Array]:
    """Return distances float64[n, k] and row numbers int[n, k] of the k nearest rows, nearest first; of equals the first.

    Candidates come from blocked products in single precision; their order is decided in double precision.

    :param metric: ``cosine`` (1 - cos) or ``euclidean``
    """
    if metric == "cosine":
        queries, rows = _unit(queries), _unit(rows)
    halves = 0.5 * np.einsum("ij,ij->i", rows, rows) if metric == "euclidean" else np.zeros(len(rows), np.float32)
    wanted = min(k + MARGIN, len(rows))
    distances = np.empty((len(queries), k))
    neighbours = np.empty((len(queries), k), dtype=np.int64)
    step = max(1, BLOCK_FLOATS // max(len(rows), wanted * rows.shape[1]))
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        closeness = block @ rows.T - halves
        near = np.argpartition(closeness, len(rows) - wanted, axis=1)[:, len(rows) - wanted :]
        near.sort(axis=1)
        exact = _exact(block, rows, near, metric)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances[start : start + step] = np.take_along_axis(exact, order, axis=1)
        neighbours[start : start + step] = np.take_along_axis(near, order, axis=1)
    return distances, neighbours


def _exact(block: Array, rows: Array, near: Array, metric: str) -> Array:
    """Return the distances in double precision between each query and its candidates."""
    left, right = block.astype(np.float64)[:, None, :], rows[near].astype(np.float64)
    if metric == "euclidean":
        return np.asarray(np.sqrt(((left - right) ** 2).sum(axis=2)))
    norms = np.linalg.norm(left, axis=2) * np.linalg.norm(right, axis=2)
    cosines = np.divide((left * right).sum(axis=2), norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(np.maximum(1.0 - cosines, 0.0))


def _unit(matrix: Array) -> Array:
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0))


def _inverse(distances: Array) -> Array:
    """Return 1/distance; where some distance is 0, only those vote, each with 1."""
    equal = distances < ROUNDING
    inverse = 1.0 / np.where(equal, 1.0, distances)
    return np.where(equal.any(axis=1, keepdims=True), equal.astype(np.float64), inverse)


def _matrix(queries: Queries) -> Array:
    if queries.features is None:
        raise DataError(
            "knn needs features", where="[[router]]", fix='set features = "NAME" of a [features.NAME] table'
        )
    return queries.features.matrix
