"""From an estimate to a choice: lambda, a budget, and the scores that go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vlrb.decide import decide
from vlrb.types import Estimate, Undefined
from vlrb_plugins.tree_routers.selection import LAMBDAS, best_lambda, utilities


@pytest.mark.parametrize("value", [0.0, 3.0, 300.0, float("inf")])
def test_lambda_at_route_time_equals_a_fit_with_it(trees: Any, name: str, value: float) -> None:
    """So a sweep over lambda needs one fit."""
    train, dev, test = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0], trees.drawn(200, 2)[0]
    once = trees.fit(name, train, dev)
    again = trees.fit(name, train, dev, lambda_=value)

    assert decide(once.estimate(test.queries), lambda_=value).tolist() == again.route(test.queries).tolist()


def test_a_budget_is_kept(trees: Any, name: str) -> None:
    """No choice is expected to cost more, unless every model does; the likeliest within it is chosen."""
    train, dev, test = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0], trees.drawn(200, 2)[0]
    fitted = trees.fit(name, train, dev, budget=2.5e-3)
    estimate, choices = fitted.estimate(test.queries), fitted.route(test.queries)

    rows = np.arange(len(choices))
    assert (estimate.cost[rows, choices] <= 2.5e-3).all()
    assert choices.tolist() == decide(estimate, budget=2.5e-3).tolist()
    assert 0 not in choices
    assert set(choices.tolist()) >= {1, 2}
    assert fitted.scores(test.queries).argmax(axis=1).tolist() == choices.tolist()


def test_scores_agree_with_the_choices(trees: Any, name: str) -> None:
    """The highest score is that of the chosen model, at the lambda that dev chose."""
    test = trees.drawn(300, 4)[0]
    fitted = trees.standard(name)

    assert fitted.lambda_ in LAMBDAS
    assert fitted.scores(test.queries).argmax(axis=1).tolist() == fitted.route(test.queries).tolist()


@pytest.mark.parametrize(
    ("lambda_", "budget"), [(0.0, None), (5.0, None), (1e300, None), (float("inf"), None), (None, 0.5), (None, 0.0)]
)
def test_utilities_are_finite_and_agree_with_decide_on_ties(lambda_: Any, budget: Any) -> None:
    """Equal probabilities and costs, extreme lambdas, budgets that nothing fits."""
    rng = np.random.default_rng(0)
    estimate = Estimate(rng.integers(1, 4, (200, 4)) / 4, rng.integers(1, 4, (200, 4)) / 4)

    scores = utilities(estimate, lambda_, budget)
    assert np.isfinite(scores).all()
    assert scores.argmax(axis=1).tolist() == decide(estimate, lambda_=lambda_, budget=budget).tolist()


def test_lambda_is_chosen_by_the_selection_metric() -> None:
    """The best score wins, of equals the smallest; where all are undefined it is 0."""
    estimate = Estimate(np.array([[0.9, 0.5]]), np.array([[1e-2, 1e-4]]))

    assert best_lambda(estimate, lambda choices: float(choices[0])) == (1.0, 1.0)
    assert best_lambda(estimate, lambda choices: 0.5) == (0.0, 0.5)
    assert best_lambda(estimate, lambda choices: Undefined("no bounds"))[0] == 0.0


def test_an_undefined_selection_metric_is_said(trees: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Lambda is 0 then, with a warning that gives the reason."""
    train, dev = trees.drawn(100, 0)[0], trees.drawn(40, 1)[0]
    fitted = trees.fit(name, train, dev, trees.context(dev, score=lambda _: Undefined("the bounds are equal")))

    assert fitted.lambda_ == 0.0
    assert "the bounds are equal" in caplog.text
