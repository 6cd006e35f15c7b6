"""The nearest train rows of queries, in blocks, found once for all routers of a process that ask for them.

A product in single precision finds candidates; their distances are computed again in double precision, so that rounding
decides nothing.  What was found is kept as long as the ``Features`` objects it was found for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal
from weakref import WeakKeyDictionary

import attrs
import numpy as np

from vlrb import Array, Features
from vlrb_plugins.feature_routers.scaling import ZScore, blocks, unit

BLOCK_FLOATS = 16 * 1024**2
"""Products that are held at once."""

EXACT_FLOATS = 128 * 1024
"""Numbers of candidates that are held in double precision at once: about what a cache holds."""

GROUP = 16
"""Products of which only the largest is looked at first."""

MARGIN = 2
"""Candidates beyond the neighbours that are wanted."""

POOL = 10
"""Neighbours that are always found, so that routers with different k share one pass."""

CROWD = 512
"""Where more rows than the margin are as near as single precision can tell: how many of these, the first, are candidates."""

TOLERANCE = 4e-6
"""How far products in single precision may be off, relative to the lengths of the vectors."""

Metric = Literal["cosine", "euclidean"]


@attrs.frozen(eq=False)
class Found:
    """Distances float64[n, k] and row numbers int64[n, k], nearest first, of equals the first; and what finding them took."""

    distances: Array
    rows: Array
    seconds: float


@attrs.define(eq=False)
class Index:
    """Scaled train rows float32[n, d], at length 1 for ``cosine``, with their lengths float64[n].

    ``kept`` are their numbers in the train features they come from, ``seconds`` what preparing them took.
    """

    metric: Metric
    scaler: ZScore
    rows: Array
    kept: Array
    seconds: float = 0.0
    lengths: Array = attrs.field(init=False)
    halves: Array = attrs.field(init=False)
    _found: WeakKeyDictionary[Features, Found] = attrs.field(init=False, factory=WeakKeyDictionary)

    def __attrs_post_init__(self) -> None:
        self.lengths = _lengths(self.rows)
        self.halves = (0.5 * self.lengths**2).astype(np.float32)

    @classmethod
    def restored(cls, metric: Metric, arrays: Mapping[str, Array]) -> Index:
        """Bring back an index from what ``arrays`` gave."""
        return cls(metric, ZScore.restored(arrays), arrays["rows"], arrays["kept"])

    def arrays(self) -> dict[str, Array]:
        """Return the index as plain arrays."""
        return {**self.scaler.arrays(), "rows": self.rows, "kept": self.kept}

    def find(self, features: Features, k: int) -> tuple[Found, float]:
        """Return the k nearest rows of every query, and the seconds of that work that were spent earlier, by others."""
        known = self._found.get(features)
        borrowed = known.seconds if known is not None and known.rows.shape[1] >= k else 0.0
        if known is None or known.rows.shape[1] < k:
            began = time.perf_counter()
            distances, rows = self._nearest(self._scaled(features.matrix), min(max(k, POOL), len(self.rows)))
            known = Found(distances, rows, time.perf_counter() - began)
            self._found[features] = known
        return Found(known.distances[:, :k], known.rows[:, :k], known.seconds), borrowed

    def _scaled(self, matrix: Array) -> Array:
        scaled = self.scaler.apply(matrix)
        return unit(scaled) if self.metric == "cosine" else scaled

    def _nearest(self, asked: Array, k: int) -> tuple[Array, Array]:
        distances, found = np.empty((len(asked), k)), np.empty((len(asked), k), dtype=np.int64)
        wanted = min(k + MARGIN, len(self.rows))
        width = -(-len(self.rows) // GROUP) * GROUP
        buffer: Array = np.empty((0, width), dtype=np.float32)
        for part in blocks(len(asked), width, BLOCK_FLOATS):
            block = asked[part]
            if len(buffer) < len(block):
                buffer = np.full((len(block), width), -np.inf, dtype=np.float32)
            closeness = buffer[: len(block)]
            np.matmul(block, self.rows.T, out=closeness[:, : len(self.rows)])
            if self.metric == "euclidean":
                closeness[:, : len(self.rows)] -= self.halves
            near = _largest(closeness, wanted)
            exact = self._exact(block, near)
            order = np.argsort(exact, axis=1, kind="stable")[:, :k]
            distances[part], found[part] = np.take_along_axis(exact, order, 1), np.take_along_axis(near, order, 1)
            for row in self._crowded(block, closeness, near, found[part]):
                here = part.start + row
                distances[here], found[here] = self._in_crowd(block[row], closeness[row], near[row], found[here])
        return distances, found

    def _exact(self, asked: Array, near: Array) -> Array:
        """Return the distances in double precision between each query and its candidates, [n, w]."""
        exact = np.empty(near.shape)
        for part in blocks(len(asked), near.shape[1] * asked.shape[1], EXACT_FLOATS):
            left, right = asked[part].astype(np.float64), self.rows[near[part]].astype(np.float64)
            if self.metric == "euclidean":
                right -= left[:, None, :]
                exact[part] = np.sqrt(np.einsum("ijd,ijd->ij", right, right))
            else:
                lengths = np.sqrt(np.einsum("id,id->i", left, left))[:, None] * self.lengths[near[part]]
                dots = np.einsum("ijd,id->ij", right, left)
                cosines = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
                exact[part] = np.maximum(1.0 - cosines, 0.0)
        return exact

    def _tolerance(self, asked: Array) -> Array:
        """Return how far the products of queries [n, d] may be off, float64[n]."""
        return TOLERANCE * np.maximum(_lengths(asked), 1e-30) * max(float(self.lengths.max()), 1e-30)

    def _crowded(self, asked: Array, closeness: Array, near: Array, found: Array) -> list[int]:
        """Return the queries for which rows outside the candidates may be as near as the last neighbour."""
        if near.shape[1] == len(self.rows):
            return []
        outside = np.take_along_axis(closeness, near, 1).min(axis=1)
        last = np.take_along_axis(closeness, found[:, -1:], 1)[:, 0]
        return list(np.flatnonzero(last - outside <= self._tolerance(asked)).tolist())

    def _in_crowd(self, asked: Array, closeness: Array, near: Array, found: Array) -> tuple[Array, Array]:
        """Find the neighbours of one query again, among all rows that may be as near, or the first of very many."""
        least = closeness[found[-1]] - 2 * self._tolerance(asked[None])[0]
        crowd = np.flatnonzero(closeness[: len(self.rows)] >= least)[:CROWD]
        candidates = np.union1d(near, crowd)
        exact = self._exact(asked[None], candidates[None])[0]
        order = np.argsort(exact, kind="stable")[: len(found)]
        return exact[order], candidates[order]


def _lengths(rows: Array) -> Array:
    """Return the lengths of rows in double precision, float64[n]."""
    lengths = np.empty(len(rows))
    for part in blocks(*rows.shape):
        block = rows[part].astype(np.float64)
        lengths[part] = np.sqrt(np.einsum("ij,ij->i", block, block))
    return lengths


def _largest(values: Array, wanted: int) -> Array:
    """Return the places of the ``wanted`` largest values of every row, in the order of the places.

    The width is a multiple of ``GROUP``.  Those groups whose largest value is among the ``wanted`` largest hold them all.
    """
    n, width = values.shape
    groups = width // GROUP
    if groups <= wanted:
        return np.sort(np.argpartition(values, width - wanted, axis=1)[:, width - wanted :], axis=1)
    grouped = values.reshape(n, GROUP, groups)
    top = np.argpartition(grouped.max(axis=1), groups - wanted, axis=1)[:, groups - wanted :]
    inside = np.take_along_axis(grouped, top[:, None, :], axis=2).reshape(n, GROUP * wanted)
    best = np.argpartition(inside, GROUP * wanted - wanted, axis=1)[:, GROUP * wanted - wanted :]
    places = best // wanted * groups + np.take_along_axis(top, best % wanted, axis=1)
    return np.sort(places, axis=1)


_INDEXES: WeakKeyDictionary[Features, dict[str, Index]] = WeakKeyDictionary()


def index_of(features: Features, kept: Array, metric: Metric) -> tuple[Index, float]:
    """Return the index of some rows of train features, and the seconds that others spent on it.

    Routers that are fitted on one ``Features`` object share it.
    """
    known = _INDEXES.setdefault(features, {}).get(metric)
    if known is not None and np.array_equal(known.kept, kept):
        return known, known.seconds
    began = time.perf_counter()
    scaler = ZScore.fit(features.matrix, kept)
    scaled = scaler.apply(features.matrix, kept)
    index = Index(metric, scaler, unit(scaled) if metric == "cosine" else scaled, kept)
    index.seconds = time.perf_counter() - began
    _INDEXES[features][metric] = index
    return index, 0.0


def votes(found: Found, weights: str, inverse: Callable[[Array], Array]) -> Array:
    """Return what every neighbour's vote weighs: 1 with ``uniform``, else ``inverse`` of its distance."""
    return np.ones_like(found.distances) if weights == "uniform" else inverse(found.distances)
