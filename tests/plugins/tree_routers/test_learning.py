"""What the trees learn of each model, and how far it is drawn towards the mean."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from vlrb_plugins.tree_routers.calibration import log_loss
from vlrb_plugins.tree_routers.selection import best_shrinkage, shrunken


def test_learns_from_categories_gaps_and_numbers(trees: Any, name: str) -> None:
    """Structure in a categorical column, in whether a value is missing, and in a number that decides the cost."""
    test, chance = trees.drawn(1000, 2)
    estimate = trees.standard(name).estimate(test.queries)

    assert np.abs(estimate.p_correct - chance)[:, :2].mean() < 0.1
    wide = np.nan_to_num(test.queries.features.matrix[:, 2]) > 0
    assert estimate.cost[wide, 2].mean() > 5 * estimate.cost[~wide, 2].mean()
    assert np.allclose(estimate.cost.mean(axis=0), test.cost.mean(axis=0), rtol=0.15)


@pytest.mark.parametrize("calibration", ["none", "platt", "isotonic"])
def test_probabilities_are_calibrated(trees: Any, name: str, calibration: str) -> None:
    """Expected calibration error against the true chances, over all models and ten bins, whatever the calibration."""
    test, chance = trees.drawn(3000, 3)
    train, dev = trees.drawn(1200, 0)[0], trees.drawn(400, 1)[0]
    p = trees.fit(name, train, dev, calibration=calibration, cost="mean").estimate(test.queries).p_correct

    place = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(p[place == b].mean() - chance[place == b].mean()) * (place == b).mean() for b in np.unique(place)]
    assert sum(gaps) < 0.05


def test_a_category_never_seen_counts_as_a_gap(trees: Any, name: str) -> None:
    """An unknown category neither fails nor passes for a known one."""
    matrix = np.array([[0, 999, 0.5, 0], [0, np.nan, 0.5, 0], [0, -1, 0.5, 0], [0, 3, 0.5, 0]])
    p = trees.standard(name).estimate(trees.queries(matrix)).p_correct

    assert p[0].tolist() == p[1].tolist() == p[2].tolist()
    assert p[0].tolist() != p[3].tolist()


def test_a_model_that_is_always_or_never_right_gets_its_smoothed_mean(trees: Any, name: str) -> None:
    """Rule of succession, for every query; a model with few right answers is treated alike, and one trained has trees."""
    train, dev = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0]
    quality = np.array(train.quality)
    quality[:, 0], quality[:, 1] = True, np.arange(300) < 9
    fitted = trees.fit(name, attrs.evolve(train, quality=quality), dev, shrinkage=1.0)
    p = fitted.estimate(trees.drawn(50, 2)[0].queries).p_correct

    assert np.allclose(p[:, 0], 301 / 302)
    assert np.allclose(p[:, 1], 10 / 302)
    assert np.allclose(p[:, 3], 1 / 302)
    assert [fitted.chances[model].trees for model in (0, 1, 3)] == [None] * 3
    assert trees.standard(name).chances[0].trees is not None


def test_few_cases_and_a_tiny_train_split_are_no_error(trees: Any, name: str) -> None:
    """Twelve train samples, two of dev, columns that never change."""
    train, dev = trees.drawn(12, 0)[0], trees.drawn(2, 1)[0]
    flat = np.tile(np.array([[0, 3, np.nan, 0]], np.float32), (12, 1))
    fitted = trees.fit(name, attrs.evolve(train, queries=trees.queries(flat)), dev, min_cases=1)

    assert fitted.route(dev.queries).shape == (2,)
    assert np.isfinite(fitted.estimate(dev.queries).p_correct).all()


def test_costs_that_are_zero_or_never_change(trees: Any, name: str) -> None:
    """A free model costs 0; one of a fixed price costs that; zeros among other costs are no error."""
    train, dev = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0]
    cost = np.array(train.cost)
    cost[:, 0], cost[:, 1], cost[::3, 2] = 0.0, 0.25, 0.0
    estimate = trees.fit(name, attrs.evolve(train, cost=cost), dev).estimate(dev.queries)

    assert (estimate.cost[:, 0] == 0).all()
    assert (estimate.cost[:, 1] == 0.25).all()
    assert ((estimate.cost >= 0) & (estimate.cost <= cost.max())).all()


def test_mean_costs(trees: Any, name: str) -> None:
    """`cost = "mean"`: the mean on train, for every query."""
    train, dev = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0]
    fitted = trees.fit(name, train, dev, cost="mean")

    assert np.allclose(fitted.estimate(dev.queries).cost, train.cost.mean(axis=0))


def test_noise_is_shrunken_and_shrunken_is_better(trees: Any, name: str) -> None:
    """On a few noisy samples, with trees that overfit, dev chooses a shrinkage below 1, and test agrees."""
    greedy = {
        "rounds": 40,
        "patience": 40,
        "min_leaf": 2,
        "l2": 0.0,
        "leaves": 15,
        "learning_rate": 0.3,
        "columns": 1.0,
    }
    better = []
    for seed in range(3):
        train, dev, (test, chance) = (
            trees.drawn(150, seed, 0.6)[0],
            trees.drawn(100, seed + 10, 0.6)[0],
            trees.drawn(2000, 99, 0.6),
        )
        context = trees.context(dev)
        fitted = trees.fit(name, train, dev, context, calibration="none", cost="mean", **greedy)
        raw = attrs.evolve(fitted, shrinkage=1.0)
        losses = [log_loss(f.estimate(test.queries).p_correct, test.quality).mean() for f in (fitted, raw)]
        errors = [np.abs(f.estimate(test.queries).p_correct - chance).mean() for f in (fitted, raw)]

        assert fitted.shrinkage < 1
        better.append(losses[0] <= losses[1] and errors[0] <= errors[1])
        assert {"shrinkage": fitted.shrinkage}.items() <= context.logged[-2][1].items()
    assert all(better)


def test_signal_is_not_shrunken_away(trees: Any, name: str) -> None:
    """Where there is structure, auto keeps most of it."""
    assert trees.standard(name).shrinkage >= 0.7


def test_shrinkage_0_and_1_are_the_mean_and_the_trees(trees: Any, name: str) -> None:
    """The ends of the scale, as a parameter."""
    train, dev = trees.drawn(300, 0)[0], trees.drawn(100, 1)[0]
    means = (train.quality.sum(axis=0) + 1) / 302

    none = trees.fit(name, train, dev, shrinkage=0.0).estimate(dev.queries).p_correct
    full, half = (trees.fit(name, train, dev, shrinkage=s).estimate(dev.queries).p_correct for s in (1.0, 0.5))
    assert np.allclose(none, means)
    assert np.allclose(half, (full + means) / 2)


def test_equal_shrinkages_go_to_the_smaller() -> None:
    """Probabilities that are the mean already say nothing for more."""
    means = np.array([0.3, 0.6])
    right = np.array([[True, False], [False, True]])

    assert best_shrinkage(np.tile(means, (2, 1)), means, right)[0] == 0.0


def test_shrinking_keeps_the_mean() -> None:
    """In plain probabilities the mean over samples stays: the models' order on the whole is kept."""
    p = np.random.default_rng(0).random((200, 3))
    means = p.mean(axis=0)

    assert np.allclose(shrunken(p, means, 0.3).mean(axis=0), means)
