"""What routers learn to predict."""

from __future__ import annotations

import numpy as np

from vlrb.types import Array


def hard_labels(quality: Array, cost: Array) -> Array:
    """Return the cheapest correct model of every sample, int64[n]; -1 where no model is right.

    Of equally cheap models the first (VL-RouterBench, hard label).

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    labels = np.where(quality, cost, np.inf).argmin(axis=1)
    return np.where(quality.any(axis=1), labels, -1)
