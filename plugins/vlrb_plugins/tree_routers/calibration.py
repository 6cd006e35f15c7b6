"""Calibration on dev: what a booster's log odds are worth as a probability, model by model."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np

from vlrb import Array

Kind = Literal["none", "platt", "isotonic"]

SLOPE_SPREAD = 0.5
"""Standard deviation of a Platt slope around 1 that is taken for granted before dev is seen."""

SHIFT_SPREAD = 0.2
"""The same of a Platt shift around 0, in log odds: trees are right about the mean of what they were fitted on."""

NEWTON_STEPS = 50
"""Steps of Newton's method at most; a handful suffices, since the prior makes the problem strictly convex."""

SETTLED = 1e-10
"""Change of slope and shift below which they are taken to be found."""


@attrs.frozen(eq=False)
class Calibration:
    """Log odds to probability.

    First a line around the model's mean, ``centre + shift + slope * (margin - centre)``; then, where ``points`` are given,
    linear interpolation between them.  Points are log odds (rising) and probabilities (not falling), float64[2, p].
    """

    centre: float
    slope: float = 1.0
    shift: float = 0.0
    points: Array | None = None

    def apply(self, margins: Array) -> Array:
        """Return probabilities float64[n]."""
        if self.points is not None:
            return np.asarray(np.interp(margins, self.points[0], self.points[1]))
        return sigmoid(self.centre + self.shift + self.slope * (margins - self.centre))


def calibrate(kind: Kind, centre: float, margins: Array, right: Array) -> Calibration:
    """Fit a calibration (Platt scaling with a prior on its two numbers, or isotonic regression).

    :param centre: log odds of the model's mean
    :param margins: float64[n], log odds on samples that the booster was not fitted on
    :param right: bool[n]
    """
    if kind == "platt":
        return _platt(centre, margins, right)
    if kind == "isotonic" and len(margins):
        return _isotonic(centre, margins, right)
    return Calibration(centre)


def _platt(centre: float, margins: Array, right: Array) -> Calibration:
    """Return slope and shift of greatest posterior probability; a prior holds them near 1 and 0 where there are few samples."""
    z = margins - centre
    design = np.column_stack([z, np.ones_like(z)])
    prior, precision = np.array([1.0, 0.0]), np.array([SLOPE_SPREAD**-2, SHIFT_SPREAD**-2])
    weights = prior.copy()
    for _ in range(NEWTON_STEPS):
        p = sigmoid(centre + design @ weights)
        gradient = design.T @ (p - right) + precision * (weights - prior)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < SETTLED:
            break
    # a slope below 0 would say that the trees have it backwards, which dev can only say by chance
    return Calibration(centre, slope=max(float(weights[0]), 0.0), shift=float(weights[1]))


def _isotonic(centre: float, margins: Array, right: Array) -> Calibration:
    """Return the rising steps of least squared error, no nearer to 0 and 1 than n samples can tell."""
    from sklearn.isotonic import IsotonicRegression

    least = 0.5 / (len(margins) + 1)
    fitted = IsotonicRegression(y_min=least, y_max=1.0 - least).fit(margins, right.astype(np.float64))
    return Calibration(centre, points=np.vstack([fitted.X_thresholds_, fitted.y_thresholds_]).astype(np.float64))


def sigmoid(x: Array) -> Array:
    """Return the logistic function, without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def log_odds(p: float) -> float:
    """Return the logarithm of p / (1 - p)."""
    return float(np.log(p) - np.log1p(-p))


def log_loss(p: Array, right: Array) -> Array:
    """Return the loss of every probability, of the shape of the two; probabilities count as at least 1e-12 from 0 and 1."""
    p = np.clip(p, 1e-12, 1.0 - 1e-12)
    return np.asarray(-np.where(right, np.log(p), np.log1p(-p)))
