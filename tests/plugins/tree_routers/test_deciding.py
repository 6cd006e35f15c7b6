"""From an estimate to a choice: lambda, a budget, and the scores that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.decide import decide
from vlrb.api.routing import Estimate, Undefined
from vlrb_plugins.tree_routers.models import Learner
from vlrb_plugins.tree_routers.params import PARAMS
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


def _constant(trees: Any, how: str) -> tuple[Any, Any, dict[str, Any]]:
    """Return train, dev and parameters with which every model's chance is a constant."""
    train, dev = trees.drawn(400, 0)[0], trees.drawn(101, 1)[0]
    if how == "dev says no":
        return train, attrs.evolve(dev, quality=~dev.quality), {}
    if how == "no split":
        return train, dev, {"min_leaf": 400}
    return train, dev, {"min_cases": 400}


@pytest.mark.parametrize("shrinkage", ["auto", 1.0])
@pytest.mark.parametrize(
    ("how", "calibration"),
    [("dev says no", "platt"), ("dev says no", "isotonic"), ("no split", "none"), ("few", "platt")],
)
def test_lambda_is_tuned_on_the_constants_that_the_fitted_router_gives(
    trees: Any, name: str, how: str, calibration: str, shrinkage: Any
) -> None:
    """Models without trees have their means on dev too, so the choices tried there are those of the fitted router."""
    train, dev, more = _constant(trees, how)
    tried: list[list[int]] = []

    def score(choices: Any) -> float:
        tried.append(choices.tolist())
        return float(dev.quality[np.arange(len(dev)), choices].mean())

    context = trees.context(dev, score=score)
    fitted = trees.fit(name, train, dev, context, calibration=calibration, shrinkage=shrinkage, **more)
    estimate = fitted.estimate(dev.queries)

    assert all(c.trees is None for c in fitted.chances)
    assert (estimate.p_correct == [c.mean for c in fitted.chances]).all()
    assert tried == [decide(estimate, lambda_=v).tolist() for v in LAMBDAS]
    assert fitted.shrinkage == (0.0 if shrinkage == "auto" else shrinkage)  # constants: all shrinkages are equal


@pytest.mark.parametrize("calibration", ["none", "platt", "isotonic"])
def test_a_half_of_dev_that_gets_no_tree_has_the_mean(trees: Any, calibration: Any) -> None:
    """What the first half asks for decides about the second: without a tree its probability is the mean, not calibrated."""

    class Booster:
        content = b""

        def margins(self, prepared: Any, threads: int, trees: int | None = None) -> Any:
            return np.linspace(-2, 2, 40)

        def kept(self, trees: int) -> Any:
            return self

        def gain(self) -> Any:
            return np.ones(1)

    class Trainer:
        def train(self, target: Any, dev: Any, objective: Any) -> Any:
            return Booster(), np.array([[9.0, 0.0]])  # one tree: bad for the first half, good for the second

    right = np.arange(40) % 3 > 0
    params = PARAMS["lightgbm"](calibration=calibration)
    learner = Learner(params, Trainer(), None, None, 40, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vlrb_plugins.tree_routers.models.half_shares", lambda _: (0.01, 0.99))
        learnt = learner.chance(right, right)

    assert learnt.rounds == 1
    assert np.allclose(learnt.dev[1::2], learnt.chance.mean)
    assert not np.allclose(learnt.dev[0::2], learnt.chance.mean)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"lambda", "shrinkage"}),
        ({"lambda_": 3.0}, {"shrinkage"}),
        ({"budget": 1e-3, "shrinkage": 0.5}, set()),
        ({"shrinkage": 0.5}, {"lambda"}),
    ],
)
def test_what_the_fit_chose_is_told(trees: Any, name: str, given: Any, expected: set[str], tmp_path: Path) -> None:
    """`chosen` holds what the fit decided, not what the experiment file says, as JSON numbers; it survives a file."""
    train, dev = trees.drawn(200, 0)[0], trees.drawn(60, 1)[0]
    fitted = trees.fit(name, train, dev, rounds=10, **given)
    fitted.save(tmp_path)

    assert set(fitted.chosen) == expected
    assert dict(fitted.chosen).items() <= {"lambda": fitted.lambda_, "shrinkage": fitted.shrinkage}.items()
    assert all(type(value) is float for value in fitted.chosen.values())
    assert trees.specs[name].load(tmp_path).chosen == fitted.chosen


def test_shrinkage_is_judged_by_what_is_right_not_by_the_raw_score(trees: Any) -> None:
    """A dataset's raw scores may differ from Y: other scores on dev change neither the losses nor what is chosen."""
    train, dev = trees.drawn(300, 0)[0], trees.drawn(120, 1)[0]
    found = []
    for labelled in (dev, attrs.evolve(dev, score=1 - dev.score)):
        context = trees.context(labelled)
        fitted = trees.fit("lightgbm", train, labelled, context, shrinkage="auto")
        losses = [v["dev_log_loss"] for _, v in context.logged if "dev_log_loss" in v]
        found.append((losses, dict(fitted.chosen)))

    assert found[0] == found[1]
    assert found[0][0]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_no_queries_give_no_choices(trees: Any, name: str) -> None:
    """An empty batch has an empty estimate, with a column for each model."""
    fitted = trees.standard(name)
    none = trees.queries(np.empty((0, 4)))

    assert fitted.estimate(none).p_correct.shape == (0, 4)
    assert fitted.route(none).tolist() == []
