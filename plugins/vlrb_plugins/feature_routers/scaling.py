"""Scaling of features, as the feature-level routers of VL-RouterBench do it."""

from __future__ import annotations

import attrs
import numpy as np

from vlrb.types import Array


@attrs.frozen(eq=False)
class ZScore:
    """Mean and standard deviation (divided by n) of every column; a constant column is only centred."""

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, matrix: Array) -> ZScore:
        """Learn from the rows [n, d]; gaps (NaN, in columns that may be missing) are left out."""
        present = ~np.isnan(matrix)
        count = np.maximum(present.sum(axis=0), 1)
        filled = np.where(present, matrix, 0.0).astype(np.float64)
        mean = filled.sum(axis=0) / count
        variance = (np.where(present, filled - mean, 0.0) ** 2).sum(axis=0) / count
        scale = np.sqrt(variance)
        return cls(mean, np.where(scale > 0, scale, 1.0))

    def apply(self, matrix: Array) -> Array:
        """Return scaled rows as float32; a gap becomes 0, the mean."""
        scaled = (matrix - self.mean) / self.scale
        return np.nan_to_num(scaled, nan=0.0).astype(np.float32)
