"""From estimates to choices: what is worth most at a given price of money, or within a budget."""

from __future__ import annotations

import numpy as np

from vlrb.errors import ConfigError
from vlrb.types import Array, Estimate

COST_SCALE = 100.0
"""The unit of lambda: weights are exp(-lambda * 100 * USD per sample), for every router (VL-RouterBench, soft targets)."""


def decide(estimate: Estimate, *, lambda_: float | None = None, budget: float | None = None) -> Array:
    """Return the chosen model of every query, int64[n].

    With ``lambda_``, the model of greatest expected utility ``P(correct) * exp(-lambda * 100 * USD)``: 0 looks at the probability
    alone, inf takes the cheapest model that may be right.  With ``budget``, the model likeliest to be right among those
    expected to cost at most so many USD per sample, and the cheapest where none does.  Of equals the cheaper, then the first.

    :param estimate: P(correct) and expected cost in USD, float[n, k] each
    :raises ConfigError: unless exactly one of the two is given, and is not negative
    """
    if (lambda_ is None) == (budget is None) or not (lambda_ if budget is None else budget) >= 0:  # type: ignore[operator]
        raise ConfigError(
            f"needs either lambda or a budget, at least 0, not {lambda_!r} and {budget!r}", where="decide"
        )
    p, cost = np.asarray(estimate.p_correct, dtype=np.float64), np.asarray(estimate.cost, dtype=np.float64)
    if budget is not None:
        within = cost <= budget
        worth = np.where(within | ~within.any(axis=1, keepdims=True), p, -np.inf)
        worth = np.where(within.any(axis=1, keepdims=True), worth, -cost)
    elif np.isinf(lambda_):
        worth = np.where(p > 0, -cost, -np.inf)
        worth = np.where((p > 0).any(axis=1, keepdims=True), worth, -cost)
    else:
        with np.errstate(divide="ignore"):
            worth = np.log(p) - lambda_ * COST_SCALE * cost
        worth = np.where(np.isneginf(worth).all(axis=1, keepdims=True), -cost, worth)
    return _best(worth, cost)


def _best(worth: Array, cost: Array) -> Array:
    """Return the column of greatest worth in every row; of equals the cheaper, then the first."""
    equal = worth == worth.max(axis=1, keepdims=True)
    return np.where(equal, cost, np.inf).argmin(axis=1)
