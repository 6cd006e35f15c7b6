"""Calibration of estimated probabilities: a level per model, and one slope for how far a sample departs from it."""

from __future__ import annotations

import numpy as np

from vlrb.api.frozen import Array

STEPS = 100
LARGEST = 2.0
"""Change of a log odds in one step: Newton's method alone may overshoot where the estimates separate a few samples."""
SMALLEST = 1e-6
"""The smallest probability, and 1 less the largest."""
PENALTY = 1e-3
"""Of the squared parameters, so that a model that is always right has a finite level."""


def calibrate_estimates(p_correct: Array, quality: Array) -> Array:
    """Return probabilities float64[m, k] that agree with what was observed, by maximum likelihood.

    ``p = sigmoid(level_j + slope * (logit p_ij - mean_i logit p_ij))``: where the estimates tell nothing about samples, the slope
    is near 0 and each model has its own mean.  It is close to Platt scaling (Platt, Probabilistic Outputs for Support Vector
    Machines, 1999), which fits one level and one slope to a single classifier and softens the targets; here all models share the
    slope, and a small penalty takes the place of soft targets.

    :param p_correct: float64[m, k], the estimates of samples that the router was not fitted on
    :param quality: bool[m, k], whether the models were right
    """
    inside = np.clip(p_correct, SMALLEST, 1 - SMALLEST)
    logits = np.log(inside) - np.log1p(-inside)
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
        of_levels = (of_level - mixed * step) / diagonal
        size = np.abs(of_levels + step * departs).max()
        shorter = min(1.0, LARGEST / size) if size else 0.0
        level, slope = level + shorter * of_levels, slope + shorter * step
        if size < 1e-10:
            break
    return np.asarray(np.clip(_sigmoid(level + slope * departs), SMALLEST, 1 - SMALLEST))


def _sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
