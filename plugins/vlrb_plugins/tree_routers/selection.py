"""What dev decides: how far probabilities are drawn towards each model's mean, and the price of money."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vlrb import COST_SCALE, Array, Estimate, MetricValue, Undefined, decide, lift_choices
from vlrb_plugins.tree_routers.calibration import log_loss

SHRINKAGES = tuple(i / 10 for i in range(11))
"""Shrinkages that are tried: 0 is the mean for every query, 1 the trees' own probability."""

LAMBDAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
"""Prices of money that are tried."""


def shrunken(p: Array, means: Array, shrinkage: float) -> Array:
    """Return ``mean + shrinkage * (p - mean)``, float64[n, k].

    In plain probabilities rather than log odds: the mean over samples stays what it was, so the order of the models on the
    whole is kept, and the result is a probability without clipping.
    """
    return np.asarray(means + shrinkage * (p - means))


def best_shrinkage(p: Array, means: Array, right: Array) -> tuple[float, dict[float, float]]:
    """Return the shrinkage of least mean log loss over all models, of equals the smallest, and the losses.

    One number for all models, because per model dev is too small.  By log loss, which all outcomes on dev have a say in and
    lambda has none, so that lambda can be changed later without fitting again.

    :param p: float64[n, k] on dev, of boosters and calibrations that these samples had no say in
    """
    # exact sums: the order of the candidates decides no tie
    losses = {s: math.fsum(log_loss(shrunken(p, means, s), right).ravel().tolist()) / p.size for s in SHRINKAGES}
    return min(SHRINKAGES, key=lambda s: (losses[s], s)), losses


def best_lambda(estimate: Estimate, dev_score: Callable[[Array], MetricValue]) -> tuple[float, MetricValue]:
    """Return the lambda with the best selection metric on dev, of equals the smallest; 0 where it is undefined for all."""
    best, found = LAMBDAS[0], dev_score(decide(estimate, lambda_=LAMBDAS[0]))
    for value in LAMBDAS[1:]:
        score = dev_score(decide(estimate, lambda_=value))
        if not isinstance(score, Undefined) and (isinstance(found, Undefined) or score > found):
            best, found = value, score
    return best, found


def utilities(estimate: Estimate, lambda_: float | None, budget: float | None) -> Array:
    """Return finite float64[n, k] whose argmax is what ``decide`` chooses.

    With lambda the logarithm of the expected utility (for inf, minus the cost); with a budget the probability of being right,
    and minus 1 minus the cost beyond the budget.
    """
    p, cost = estimate.p_correct, estimate.cost
    if budget is not None:
        worth = np.where(cost <= budget, p, -1.0 - cost)
    elif lambda_ is None or np.isinf(lambda_):
        worth = -cost
    else:
        with np.errstate(over="ignore", divide="ignore"):
            worth = np.log(p) - lambda_ * COST_SCALE * cost
    largest = np.finfo(np.float64).max
    worth = np.clip(worth, -largest, largest)
    return lift_choices(worth, decide(estimate, lambda_=lambda_, budget=budget))
