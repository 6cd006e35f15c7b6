"""Where metrics say that they mislead."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from evaluations import evaluation

from vlrb.api.routing import CostBounds, Evaluation, WithCautions
from vlrb_plugins.metrics import values
from vlrb_plugins.metrics.rank import rank_score

RANK = values.RankScore(0.1)


def best_single(accuracies: list[float], costs: list[float], **more: Any) -> Evaluation:
    """Return the evaluation of the first model on 1,000 samples; models are right at their accuracies."""
    rng = np.random.default_rng(7)
    quality, cost = rng.random((1000, len(costs))) < np.array(accuracies), np.array([costs] * 1000)
    given: dict[str, Any] = {
        "choices": np.zeros(1000, dtype=int),
        "score": quality.astype(float),
        "bounds": CostBounds(min(costs), max(costs)),
        "input_tokens": np.ones_like(cost, dtype=int),
        "output_tokens": np.ones_like(cost, dtype=int),
    }
    return evaluation(0, **{"quality": quality, "cost": cost, **given, **more})


def only(metric: Any, found: Evaluation) -> str:
    """Return the one caution of a metric."""
    assert isinstance(metric, WithCautions)
    (sentence,) = metric.cautions(found)
    return sentence


def test_a_best_model_that_is_nearly_the_most_expensive_is_said() -> None:
    """K = log2(1.02) / log2(8.16) = 0.009 leaves it nearly nothing; chosen at random, the models get more."""
    found = best_single([0.9, 0.6, 0.5], [0.008, 0.00816, 0.001])
    own, random = (
        rank_score(a, c, 0.001, 0.00816, 0.1)
        for a, c in ((found.best_single, 0.008), (found.quality.mean(), found.cost.mean()))
    )
    sentence = only(RANK, found)

    assert "model-0, costs 0.008 USD/sample" in sentence
    assert "(normalised cost 0.009 of 1)" in sentence
    assert f"its rank score is {own:.3f}" in sentence
    assert f"below the {random:.3f} of a model chosen at random" in sentence


def test_a_best_model_that_costs_less_is_not_warned_of() -> None:
    """Nor one that is still ranked above a random choice, which the most expensive is where the others are never right."""
    assert RANK.cautions(best_single([0.9, 0.6, 0.5], [0.004, 0.008, 0.001])) == []
    assert RANK.cautions(best_single([0.9, 0.0, 0.0], [0.0079, 0.0078, 0.008])) == []


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        (
            [0.002, 0.001, 0.1],
            "model-2 costs 0.1 USD/sample, 50 times as expensive as the second most expensive model, model-0 (0.002), and alone "
            "sets the upper cost bound, so every other model has a normalised cost of at least 0.85",
        ),
        (
            [0.001, 0.00001, 0.002],
            "model-1 costs 1e-05 USD/sample, 100 times cheaper than the second cheapest model, model-0 (0.001), and alone sets the "
            "lower cost bound, so every other model has a normalised cost of at most 0.13",
        ),
    ],
)
def test_a_bound_that_one_model_sets_is_said(costs: list[float], expected: str) -> None:
    """The one model, how far it is from the next, and what that leaves to all others of the scale."""
    assert only(RANK, best_single([0.9, 0.5, 0.5], costs)).startswith(expected)


def test_two_models_are_their_bounds() -> None:
    """However far apart; three models whose costs are less than ten times apart have no odd one either."""
    assert RANK.cautions(best_single([0.5, 0.9], [0.001, 0.1])) == []
    assert RANK.cautions(best_single([0.9, 0.5, 0.5], [0.01, 0.099, 0.00102])) == []


def test_a_free_model_is_said() -> None:
    """By name and with the rows that the bounds come from; bounds without an interval are the reason of an undefined value only."""
    free = CostBounds(0.0, 0.1, "all", ("model-1", "model-2"))
    sentence = only(RANK, best_single([0.9, 0.5, 0.5], [0.1, 0.0, 0.0], bounds=free))

    assert sentence.startswith("model-1, model-2 cost nothing on all rows, so the lower cost bound is 0 USD/sample")
    assert "model-1 costs nothing on train rows" in only(
        RANK, best_single([0.9, 0.5], [0.1, 0], bounds=CostBounds(0, 0.1, free=("model-1",)))
    )
    assert RANK.cautions(best_single([0.9, 0.5, 0.5], [0.1, 0.1, 0.1])) == []


def test_an_oracle_of_chance_is_said() -> None:
    """Four models that toss coins: the Oracle is as far above the best of them as coins put it."""
    rates = [0.6, 0.5, 0.5, 0.4]
    found = best_single(rates, [0.1, 0.2, 0.3, 0.4])
    worse = attrs.evolve(found, oracle_choices=np.where(np.arange(1000) < 900, found.oracle_choices, 3))
    coins = 100 * (1 - np.prod(1 - found.quality.mean(axis=0)))
    (sentence,) = values.oracle_gap_closed.cautions(worse)

    assert f"the best single model, model-0 ({100 * found.best_single:.1f} %)" in sentence
    assert "could be chance" in sentence
    models = "4 models that are right at random, each with its own accuracy"
    assert f"{models}, would give one of {coins:.1f} %" in sentence


def test_an_oracle_of_specialists_is_not_chance() -> None:
    """Two models of which exactly one is right everywhere beat coins (100 against 75 %); a small gap tempts nobody."""
    first = np.arange(1000) % 2 == 0
    assert (
        values.oracle_gap_closed.cautions(
            best_single([0.5, 0.5], [0.1, 0.2], quality=np.stack([first, ~first], axis=1))
        )
        == []
    )
    same = np.stack([first, first, first], axis=1)
    same[1, 1] = True
    assert values.oracle_gap_closed.cautions(best_single([0.5] * 3, [0.1, 0.2, 0.3], quality=same)) == []
