"""Scaling of features, as the feature-level routers of VL-RouterBench do it.  Rows are worked on in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from vlrb import Array

BLOCK_FLOATS = 128 * 1024
"""Numbers that are held in double precision at once: about what a cache holds."""


def blocks(rows: int, width: int, floats: int = BLOCK_FLOATS) -> Iterator[slice]:
    """Cut ``rows`` rows of ``width`` numbers into slices of at most ``floats`` numbers, and of at least one row."""
    step = max(1, floats // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


@attrs.frozen(eq=False)
class ZScore:
    """Mean and standard deviation of every column, float64[d]; a constant column is only centred."""

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, matrix: Array, rows: Array, ddof: int = 0) -> ZScore:
        """Learn from some rows of a matrix [n, d]; gaps (NaN, in columns that may be missing) are left out.

        :param ddof: what is taken off the number of rows that squares are divided by
        """
        total, count = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
        for block, present in _present(matrix, rows):
            total += block.sum(axis=0)
            count += present
        mean = total / np.maximum(count, 1)
        squares = np.zeros(matrix.shape[1])
        for block, _ in _present(matrix, rows, mean):
            squares += np.einsum("ij,ij->j", block, block)
        scale = np.sqrt(squares / np.maximum(count - ddof, 1))
        tiny = 10 * np.finfo(np.float64).eps * np.abs(mean)
        return cls(mean, np.where(scale > tiny, scale, 1.0))

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> ZScore:
        """Bring back what ``arrays`` gave."""
        return cls(arrays["mean"], arrays["scale"])

    def arrays(self) -> dict[str, Array]:
        """Return mean and scale by name, as they are saved."""
        return {"mean": self.mean, "scale": self.scale}

    def apply(self, matrix: Array, rows: Array | None = None) -> Array:
        """Return scaled rows (all, or some) as float32; a gap becomes 0, the mean."""
        n = len(matrix) if rows is None else len(rows)
        scaled = np.empty((n, matrix.shape[1]), dtype=np.float32)
        for part in blocks(n, matrix.shape[1]):
            block = matrix[part if rows is None else rows[part]].astype(np.float64)
            block -= self.mean
            block /= self.scale
            np.copyto(block, 0.0, where=np.isnan(block))
            scaled[part] = block
        return scaled

    def filled(self, matrix: Array) -> Array:
        """Return the rows as they are, as float32; a gap becomes the mean."""
        return np.where(np.isnan(matrix), self.mean.astype(np.float32), matrix)


def _present(matrix: Array, rows: Array, mean: Array | None = None) -> Iterator[tuple[Array, Array]]:
    """Return blocks of rows in double precision, less ``mean``, gaps set to 0, with the number of rows that have no gap."""
    for part in blocks(len(rows), matrix.shape[1]):
        block = matrix[rows[part]].astype(np.float64)
        if mean is not None:
            block -= mean
        gaps = np.isnan(block)
        yield np.where(gaps, 0.0, block), len(block) - gaps.sum(axis=0)


def unit(matrix: Array) -> Array:
    """Return the rows at length 1, as float32; a zero row stays zero."""
    scaled = np.empty(matrix.shape, dtype=np.float32)
    for part in blocks(*matrix.shape):
        block = matrix[part].astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        scaled[part] = np.divide(block, norms, out=np.zeros_like(block), where=norms > 0)
    return scaled


def linear(scaler: ZScore, matrix: Array, weights: Array, intercepts: Array) -> Array:
    """Return ``scaled matrix @ weights + intercepts`` in double precision, float64[n, k].

    :param weights: float64[d, k]
    """
    margins = np.empty((len(matrix), weights.shape[1]))
    for part in blocks(*matrix.shape):
        margins[part] = scaler.apply(matrix[part]).astype(np.float64) @ weights + intercepts
    return margins
