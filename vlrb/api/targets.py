"""What routers learn to predict.

A model that is right has the weight ``exp(-lambda * 100 * USD per sample)``: lambda 0 ignores costs, inf leaves the cheapest model
that is right, the *hard label*.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from vlrb.api.decide import COST_SCALE
from vlrb.api.frozen import Array
from vlrb.api.routing import Labelled
from vlrb.errors import ConfigError, DataError

TINY_COST = 1e-12
"""Added to scaled costs by the scheme ``power``, so that a free model has a weight."""


def kept_rows(quality: Array) -> Array:
    """Return the numbers of the rows on which some model is right, int64[m], of Y, bool[n, k]."""
    return np.flatnonzero(np.asarray(quality, dtype=np.bool_).any(axis=1))


def solved_rows(train: Labelled, router: str) -> Array:
    """Return the numbers of the train rows on which some model is right, int64[m].

    :raises DataError: when there is none
    """
    rows = kept_rows(train.quality)
    if not rows.size:
        fix = "check the scores of these datasets: `vlrb build` prints them, and its data report shows them"
        raise DataError(f"no model is right on any of {len(train):,} train samples", where=router, fix=fix)
    return rows


def hard_labels(quality: Array, cost: Array) -> Array:
    """Return the cheapest correct model of every sample, int64[n]; -1 where no model is right.

    Of equally cheap models the first (VL-RouterBench, hard label).

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    labels = np.where(quality, cost, np.inf).argmin(axis=1)
    return np.where(quality.any(axis=1), labels, -1)


def soft_targets(
    quality: Array,
    cost: Array,
    lambda_: float,
    *,
    cost_scale: float = COST_SCALE,
    scheme: Literal["exp", "power"] = "exp",
    fallback: Literal["cheapest", "cost_soft"] | None = None,
    ties: Literal["first", "shared"] = "first",
) -> Array:
    """Return a distribution over the correct models of every sample, float64[n, k] (VL-RouterBench, soft target).

    Weights are ``exp(-lambda * cost_scale * C)``, or ``(cost_scale * C + 1e-12) ** -lambda`` with ``power``; lambda inf gives the
    hard label.  They are computed in logarithms, so that no lambda underflows.

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    :param fallback: where no model is right: zeros (None), all on the cheapest model, or the same weights over all models
    :param ties: with lambda inf, of equally cheap correct models the first has the label, or all share it, as in the limit
    :raises ConfigError: when lambda is negative or NaN
    """
    lambda_ = _checked(lambda_)
    right, dollars = np.asarray(quality, dtype=np.bool_), np.asarray(cost, dtype=np.float64)
    allowed = right | (~right.any(axis=1, keepdims=True) if fallback == "cost_soft" else False)
    if np.isinf(lambda_) and ties == "shared":
        prices = np.where(allowed, dollars, np.inf)
        targets = _softmax(np.zeros(prices.shape), allowed & (prices == prices.min(axis=1, keepdims=True)))
    elif np.isinf(lambda_):
        targets = _one_hot(hard_labels(allowed, dollars), right.shape[1])
    else:
        scaled = cost_scale * dollars
        targets = _softmax(-lambda_ * (scaled if scheme == "exp" else np.log(scaled + TINY_COST)), allowed)
    if fallback == "cheapest":
        unsolved = ~right.any(axis=1)
        targets[unsolved] = _one_hot(dollars[unsolved].argmin(axis=1), right.shape[1])
    return targets


def relevance(
    quality: Array,
    cost: Array,
    lambda_: float,
    *,
    cost_scale: float = COST_SCALE,
    fallback: Literal["cheapest"] | None = None,
) -> Array:
    """Return how near each correct model comes to the cheapest correct one, float64[n, k] in [0, 1] (SCOPE-Router).

    ``exp(-lambda * cost_scale * (C - cheapest correct C))``, not normalised; with lambda inf, 1 for every correct model that
    costs no more than the cheapest.

    :param fallback: where no model is right: zeros (None), or 1 for the cheapest model
    :raises ConfigError: when lambda is negative or NaN
    """
    lambda_ = _checked(lambda_)
    right, dollars = np.asarray(quality, dtype=np.bool_), np.asarray(cost, dtype=np.float64)
    solved = right.any(axis=1)
    least = np.where(right, dollars, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    above = np.where(right, dollars - np.where(np.isfinite(least), least, 0.0), 0.0)
    if np.isinf(lambda_):
        values = (right & (above <= 0)).astype(np.float64)
    else:
        values = np.where(right, np.exp(-lambda_ * cost_scale * above), 0.0)
    if fallback == "cheapest":
        values[~solved] = _one_hot(dollars[~solved].argmin(axis=1), right.shape[1])
    return values


def _checked(lambda_: float) -> float:
    if not lambda_ >= 0:
        what = f"must be a number from 0 to inf, not {lambda_!r}"
        raise ConfigError(what, where="lambda", fix="set lambda = 0 or more")
    return float(lambda_)


def _one_hot(labels: Array, models: int) -> Array:
    """Return rows of zeros with a 1 at the label; a label of -1 has none."""
    return np.asarray(labels[:, None] == np.arange(models), dtype=np.float64)


def _softmax(logits: Array, allowed: Array) -> Array:
    """Return the softmax over the allowed entries of each row; zeros where none is."""
    masked = np.where(allowed, logits, -np.inf)
    top = masked.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(masked - np.where(np.isfinite(top), top, 0.0))
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))
