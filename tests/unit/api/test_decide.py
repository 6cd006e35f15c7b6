"""From estimates to choices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vlrb.api.decide import decide
from vlrb.api.routing import Estimate
from vlrb.errors import ConfigError

SHAPE = (7, 4)
P = hnp.arrays(np.float64, SHAPE, elements=st.floats(0, 1))
COST = hnp.arrays(np.float64, SHAPE, elements=st.floats(0, 0.1))


def test_lambda_trades_probability_for_money() -> None:
    """At 0 the likeliest, between them the best expected utility, at inf the cheapest that may be right."""
    estimate = Estimate(np.array([[0.9, 0.8, 0.0]]), np.array([[1e-2, 1e-3, 1e-4]]))
    assert [decide(estimate, lambda_=x).tolist() for x in (0, 0.1, 1, 1e6, float("inf"))] == [[0], [0], [1], [1], [1]]


def test_a_budget_is_kept_where_it_can_be() -> None:
    """The likeliest within it; where even the cheapest is dearer, the cheapest."""
    estimate = Estimate(np.array([[0.9, 0.8, 0.1]]), np.array([[1e-2, 1e-3, 1e-4]]))
    assert [decide(estimate, budget=b).tolist() for b in (1, 1e-2, 5e-3, 1e-4, 0)] == [[0], [0], [1], [2], [2]]


@pytest.mark.parametrize(
    ("p", "cost", "asked", "expected"),
    [
        ([0.5, 0.5, 0.4], [2e-3, 1e-3, 0.0], {"lambda_": 0.0}, 1),  # equally likely: the cheaper
        ([0.5, 0.9, 0.7], [1e-3, 1e-3, 1e-3], {"lambda_": float("inf")}, 1),  # equally cheap: the likelier
        ([0.0, 0.9, 0.9], [1e-3, 2e-3, 2e-3], {"lambda_": float("inf")}, 1),  # all equal: the first
        ([0.5, 0.9, 0.9], [2e-3, 2e-3, 1e-3], {"budget": 5e-3}, 2),
        ([0.5, 0.9, 0.7], [2e-3, 2e-3, 2e-3], {"budget": 1e-3}, 1),  # none fits, equally cheap: the likelier
        ([0.0, 0.0, 0.0], [2e-3, 1e-3, 1e-3], {"lambda_": 3.0}, 1),  # none may be right: the cheapest, then the first
    ],
)
def test_ties(p: list[float], cost: list[float], asked: dict[str, float], expected: int) -> None:
    """Ties go to the cheaper model, then to the likelier one, and only then to the first in the experiment file."""
    assert decide(Estimate(np.array([p]), np.array([cost])), **asked).tolist() == [expected]


@given(P, COST, st.floats(0, 1e4))
def test_no_other_model_is_worth_more(p: Any, cost: Any, lambda_: float) -> None:
    """The chosen model has the greatest expected utility, and of equals the smallest cost."""
    choice = decide(Estimate(p, cost), lambda_=lambda_)
    with np.errstate(divide="ignore"):
        worth = np.log(p) - lambda_ * 100 * cost
    rows = np.arange(len(p))
    for i in rows[~np.isneginf(worth).all(axis=1)]:
        assert worth[i, choice[i]] == worth[i].max()
        assert cost[i, choice[i]] == cost[i][worth[i] == worth[i].max()].min()


@given(P, COST, st.floats(0, 0.1))
def test_a_larger_budget_is_never_worse(p: Any, cost: Any, budget: float) -> None:
    """The probability at the choice does not fall when more may be spent, once something fits."""
    rows = np.arange(len(p))
    small, large = (decide(Estimate(p, cost), budget=b) for b in (budget, 2 * budget + 1e-6))
    fits = (cost <= budget).any(axis=1)
    assert (p[rows, large] >= p[rows, small])[fits].all()
    assert (cost[rows, small] <= budget)[fits].all()
    assert (cost[rows, small] == cost.min(axis=1))[~fits].all()


@given(P, COST)
def test_more_lambda_never_costs_more(p: Any, cost: Any) -> None:
    """Along a growing lambda the chosen cost falls: one fit gives a whole curve."""
    rows = np.arange(len(p))
    costs = [cost[rows, decide(Estimate(p, cost), lambda_=x)] for x in (0.0, 0.5, 5.0, 50.0, 5e3)]
    hopeless = (p == 0).all(axis=1)
    for dear, cheap in itertools.pairwise(costs):
        assert (cheap <= dear + 1e-12)[~hopeless].all()


@pytest.mark.parametrize(
    "asked", [{}, {"lambda_": 1.0, "budget": 1.0}, {"lambda_": -1.0}, {"budget": -1.0}, {"budget": float("nan")}]
)
def test_exactly_one_of_the_two_is_asked_for(asked: dict[str, float]) -> None:
    """Anything else is an error, not a guess."""
    with pytest.raises(ConfigError, match="either lambda or a budget"):
        decide(Estimate(np.ones((1, 2)), np.ones((1, 2))), **asked)


def test_what_is_hopeless_in_one_row_is_so_in_that_row_only() -> None:
    """A row in which no model may be right, or none fits the budget, gets its cheapest; the others are decided as alone."""
    p = np.array([[0.9, 0.8, 0.1], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    cost = np.array([[3e-2, 2e-2, 1e-2], [3e-2, 1e-2, 2e-2], [9e-2, 8e-2, 7e-2]])

    assert decide(Estimate(p, cost), lambda_=0.0).tolist() == [0, 1, 0]
    assert decide(Estimate(p, cost), lambda_=float("inf")).tolist() == [2, 1, 0]
    assert decide(Estimate(p, cost), budget=0.03).tolist() == [0, 1, 2]


@pytest.mark.parametrize("how", [{"lambda_": 0.0}, {"budget": 1.0}])
def test_of_equals_the_cheaper_is_taken_then_the_first(how: dict[str, float]) -> None:
    """Ties in probability go by cost, ties in both by place."""
    p = np.array([[0.5, 0.5, 0.4], [0.5, 0.5, 0.5]])
    cost = np.array([[2e-2, 1e-2, 0.0], [1e-2, 1e-2, 1e-2]])

    assert decide(Estimate(p, cost), **how).tolist() == [1, 0]
