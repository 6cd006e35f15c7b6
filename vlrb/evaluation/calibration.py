"""Calibration of estimated probabilities: a level per model, and one slope for how far a sample departs from it."""

from __future__ import annotations

import numpy as np

from vlrb.api.frozen import Array

STEPS = 25
PENALTY = 1e-3
"""Of the squared parameters, so that a model that is always right has a finite level."""


def calibrated(p_correct: Array, quality: Array) -> Array:
    """Return probabilities float64[m, k] that agree with what was observed, by maximum likelihood.

    ``p = sigmoid(level_j + slope * (logit p_ij - mean_i logit p_ij))``: where the estimates tell nothing about samples, the slope
    is near 0 and each model has its own mean.

    :param p_correct: float64[m, k], the estimates of samples that the router was not fitted on
    :param quality: bool[m, k], whether the models were right
    """
    logits = np.log(np.clip(p_correct, 1e-6, 1 - 1e-6))
    logits -= np.log1p(-np.clip(p_correct, 1e-6, 1 - 1e-6))
    departs = logits - logits.mean(axis=0)
    mean = np.clip(quality.mean(axis=0), 1e-3, 1 - 1e-3)
    level, slope = np.log(mean / (1 - mean)), 0.0
    for _ in range(STEPS):
        p = _sigmoid(level + slope * departs)
        error, weight = quality - p, p * (1 - p)
        # Newton's step on (levels, slope): the levels' part of the Hessian is diagonal, so the slope is solved for first
        of_level, of_slope = error.sum(axis=0) - PENALTY * level, (error * departs).sum() - PENALTY * slope
        diagonal, mixed = weight.sum(axis=0) + PENALTY, (weight * departs).sum(axis=0)
        rest = (weight * departs**2).sum() + PENALTY - (mixed**2 / diagonal).sum()
        step = (of_slope - (mixed * of_level / diagonal).sum()) / rest
        level, slope = level + (of_level - mixed * step) / diagonal, slope + step
        if abs(step) < 1e-10:
            break
    return np.asarray(_sigmoid(level + slope * departs))


def _sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
