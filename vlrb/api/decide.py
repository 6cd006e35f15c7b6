"""From estimates to choices: the best expected utility at a given lambda, or the best within a budget."""

from __future__ import annotations

import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.routing import Estimate
from vlrb.errors import ConfigError

COST_SCALE = 100.0
"""The unit of lambda: weights are exp(-lambda * 100 * USD per sample), for every router (VL-RouterBench, soft targets)."""


def decide(estimate: Estimate, *, lambda_: float | None = None, budget: float | None = None) -> Array:
    """Return the chosen model of every query, int64[n].

    With ``lambda_``, the model of greatest expected utility ``P(correct) * exp(-lambda * 100 * USD)``: 0 looks at the probability
    alone, inf takes the cheapest model that may be right.  With ``budget`` in USD per sample, the likeliest model among those
    within it.  Where no model qualifies, the cheapest.  Ties go to the cheaper model, then to the likelier one, then to the first.

    :param estimate: P(correct) and expected cost in USD, float[n, k] each
    :raises ConfigError: unless exactly one of the two is given, and is not negative
    """
    p, cost = np.asarray(estimate.p_correct, dtype=np.float64), np.asarray(estimate.cost, dtype=np.float64)
    if lambda_ is not None and budget is None and lambda_ >= 0:
        worth = _utility(p, cost, lambda_)
    elif budget is not None and lambda_ is None and budget >= 0:
        worth = np.where(cost <= budget, p, -np.inf)
    else:
        what = f"needs either lambda or a budget, at least 0, not {lambda_!r} and {budget!r}"
        raise ConfigError(what, where="decide", fix="give one of the two as a number of at least 0")
    price = np.where(worth == worth.max(axis=1, keepdims=True), cost, np.inf)
    return np.asarray(np.where(price == price.min(axis=1, keepdims=True), p, -np.inf).argmax(axis=1))


def _utility(p: Array, cost: Array, lambda_: float) -> Array:
    """Return the logarithm of the expected utility; for inf, what orders by cost those that may be right."""
    if np.isinf(lambda_):
        return np.where(p > 0, -cost, -np.inf)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - lambda_ * COST_SCALE * cost)


def lift_choices(scores: Array, choices: Array) -> Array:
    """Return scores float64[n, k] whose argmax is ``choices``: another choice's score becomes the next number above the highest."""
    rows = np.flatnonzero(scores.argmax(axis=1) != choices)
    lifted = scores.copy()
    lifted[rows, choices[rows]] = np.nextafter(scores[rows].max(axis=1), np.inf)
    return lifted
