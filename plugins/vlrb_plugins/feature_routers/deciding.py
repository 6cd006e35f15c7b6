"""What routers with an estimate make of it: their own rule, or that of ``decide`` at a lambda or within a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vlrb import COST_SCALE, Array, Estimate, Queries, decide, lift_choices

TIE = 1e-12
"""Scores that differ by less, relative to the highest, are equal: their sums were rounded in another order."""


class Deciding(Protocol):
    """Parameters that say how to decide; with neither, a router follows its own rule."""

    @property
    def lambda_(self) -> float | None:
        """The price of cost."""

    @property
    def budget(self) -> float | None:
        """USD per sample."""


def decides(params: Deciding) -> bool:
    """Tell whether an estimate is to be decided on."""
    return params.lambda_ is not None or params.budget is not None


class HighestScore:
    """A fitted router that chooses the model of highest score, of equals the first."""

    def scores(self, queries: Queries) -> Array:
        """Return a score for each model, float64[n, k]."""
        raise NotImplementedError

    def route(self, queries: Queries) -> Array:
        """Return the model of highest score."""
        return np.asarray(self.scores(queries).argmax(axis=1))


class ByEstimate(HighestScore):
    """A fitted router that follows its own rule, or what ``decide`` makes of its estimate at a lambda or within a budget."""

    params: Deciding

    def estimate(self, queries: Queries) -> Estimate:
        """Return the probability of being right and the expected cost, float64[n, k] each."""
        raise NotImplementedError

    def own_scores(self, queries: Queries) -> Array:
        """Return what the router's own rule gives each model, float64[n, k]."""
        raise NotImplementedError

    def scores(self, queries: Queries) -> Array:
        """Return what the rule gives each model, float64[n, k]; with lambda or a budget, what each model is worth."""
        if decides(self.params):
            return worth(self.estimate(queries), self.params)
        return self.own_scores(queries)


def worth(estimate: Estimate, params: Deciding) -> Array:
    """Return what every model is worth, float64[n, k], at least 0; the chosen one has the highest of its row.

    With lambda the expected utility, relative to the cheapest model's price; with a budget the probability of being right
    where it is within the budget, else 0.
    """
    p, cost = estimate.p_correct, estimate.cost
    if params.lambda_ is None:
        scores = np.where(cost <= params.budget, p, 0.0)
    else:
        above = cost - cost.min(axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            prices = np.where(above > 0, params.lambda_, 0.0) * COST_SCALE * above
        scores = p * np.exp(-prices)
    return lift_choices(scores, decide(estimate, lambda_=params.lambda_, budget=params.budget))


def settled(scores: Array, *then: Callable[[Array], Array]) -> Array:
    """Return the scores float64[n, k], changed where several are highest, so that the model to be chosen alone is.

    Among equals the highest value of the first of ``then`` decides, among those still equal the next, and at last the first.
    The model to be chosen is lifted by the least step where it is not the first of the highest.

    :param then: functions of row numbers int[r] that return values float[r, k]
    """
    left = _highest(scores)
    rows = np.flatnonzero(left.sum(axis=1) > 1)
    left = left[rows]
    for key in then:
        if rows.size:
            left &= _highest(np.where(left, key(rows), -np.inf))
    choices = scores.argmax(axis=1)
    choices[rows] = left.argmax(axis=1)
    return lift_choices(scores, choices)


def _highest(values: Array) -> Array:
    """Return which values are the highest of their row, bool[n, k]."""
    top = values.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(values >= top - TIE * np.abs(top))


def each_row(values: Array) -> Callable[[Array], Array]:
    """Return a function, for ``settled``, that gives the same values float[k] for every row."""
    return lambda rows: np.broadcast_to(values, (len(rows), len(values)))
