"""The rank score of VL-RouterBench: its formula, and why it may have no value."""

from __future__ import annotations

import math

import numpy as np

from vlrb import Array, CostBounds, MetricValue, Undefined


def rank_score(right: float, cost: float, low: float, high: float, beta: float) -> MetricValue:
    """Return VL-RouterBench's rank score, a weighted harmonic mean of accuracy and normalised cost.

    ``(1 + beta) A K / (beta A + K)`` with ``K = (log2 high - log2 cost) / (log2 high - log2 low)``; a cost outside the bounds,
    0 included, is moved to the nearer bound, as the paper does.

    :param right: accuracy A in [0, 1]
    :param cost: mean cost in USD per sample
    :param low: smallest mean cost of a single model, ``high`` the largest
    """
    problem = _unfit(right, cost, low, high, beta)
    return Undefined(problem) if problem else float(_weigh(right, normalised_cost(cost, low, high), beta))


def rank_scores(right: Array, cost: Array, bounds: CostBounds, beta: float) -> Array:
    """Return :func:`rank_score` of arrays of one shape, NaN where it is undefined.

    Accuracies are taken as they are: means of 0 and 1 leave [0, 1] by rounding only.
    """
    if _unfit(0.0, 0.0, bounds.low, bounds.high, beta):
        return np.full(np.shape(right), np.nan)
    fit = np.isfinite(cost) & (cost >= 0)
    log_cost = np.log2(np.where(fit, np.maximum(cost, bounds.low), 1.0))
    return np.where(fit, _weigh(right, _normalise(log_cost, bounds.low, bounds.high), beta), np.nan)


def normalised_cost(cost: float, low: float, high: float) -> float:
    """Return K of one cost, 1 at the lower bound and 0 at the upper one.

    It takes the logarithm of the C library: that of numpy may differ in the last digit from processor to processor.
    """
    return float(_normalise(math.log2(max(cost, low)), low, high))


def _normalise(log_cost: Array | float, low: float, high: float) -> Array:
    bottom, top = math.log2(low), math.log2(high)
    return np.asarray((top - np.clip(log_cost, bottom, top)) / (top - bottom))


def _weigh(right: Array | float, normalised: Array | float, beta: float) -> Array:
    """Return the harmonic mean; 0 where both are 0."""
    denominator = beta * right + normalised
    return np.asarray((1 + beta) * right * normalised / np.where(denominator > 0, denominator, 1.0))


def _unfit(right: float, cost: float, low: float, high: float, beta: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high) and 0 < low < high and math.log2(low) < math.log2(high)):
        return _unfit_bounds(low, high)
    if not (math.isfinite(cost) and cost >= 0):
        return f"the mean cost is {cost:g}, which is not a finite number of at least 0"
    if not 0 <= right <= 1:
        return f"the accuracy is {right:g}, which is not between 0 and 1"
    return "" if 0 < beta < math.inf else f"beta is {beta:g}, which is not a finite number above 0"


def _unfit_bounds(low: float, high: float) -> str:
    if low == 0 and math.isfinite(high):
        return "the cost bounds must be positive, and a candidate model costs nothing"
    if math.isfinite(low) and (low == high or 0 < low < high < math.inf):
        return f"the cost bounds are equal: every candidate model costs {low:g} USD per sample on average"
    return f"the cost bounds {low:g} and {high:g} are not an interval of positive costs"
