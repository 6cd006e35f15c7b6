"""What log odds are worth as probabilities, when the trees are enough, and the small parts beneath."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from vlrb.api.routing import Column, Estimate
from vlrb_plugins.tree_routers.boosters import Stopping, best_rounds, threads_for
from vlrb_plugins.tree_routers.calibration import Calibration, calibrate, log_loss, log_odds, sigmoid
from vlrb_plugins.tree_routers.models import Cost
from vlrb_plugins.tree_routers.selection import utilities
from vlrb_plugins.tree_routers.table import Table, safe_names


def test_platt_finds_the_slope_where_dev_is_large_and_keeps_still_where_it_is_small() -> None:
    """Overconfident log odds are halved by 20,000 samples; ten samples change little."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, 20_000)
    right = rng.random(20_000) < sigmoid(truth)

    large, small = (calibrate("platt", 0.0, 2 * truth[:n], right[:n]) for n in (20_000, 10))
    assert abs(large.slope - 0.5) < 0.03
    assert abs(large.shift) < 0.05
    assert small.slope > 0.55
    assert abs(small.shift) < 0.15


def test_platt_never_turns_the_order_round() -> None:
    """Trees that have it backwards on dev are flattened, not inverted."""
    margins = np.linspace(-4, 4, 400)

    assert calibrate("platt", 0.0, margins, margins < 0).slope == 0.0


def test_isotonic_is_never_certain() -> None:
    """Perfect separation on n samples is no certainty; the order is kept."""
    margins = np.linspace(-1, 1, 50)
    p = calibrate("isotonic", 0.0, margins, margins > 0).apply(np.linspace(-9, 9, 99))

    assert 0 < p.min() <= 0.02
    assert 0.98 <= p.max() < 1
    assert (np.diff(p) >= 0).all()


def test_no_calibration_is_the_identity() -> None:
    """Log odds to probabilities and nothing else; extreme ones neither overflow nor warn."""
    assert np.allclose(Calibration(log_odds(0.2)).apply(np.array([log_odds(0.7)])), 0.7)
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


def test_rounds_stop_where_the_mean_of_the_halves_is_best() -> None:
    """Each half has a best round of its own; no tree at all is best where trees only do harm."""
    losses = np.array([[0.6, 0.7], [0.5, 0.6], [0.4, 0.8]])

    found = best_rounds(losses, np.array([0.9, 0.9]), (0.5, 0.5))
    assert (found.all, found.halves) == (2, (3, 2))
    assert best_rounds(losses, np.array([0.1, 0.1]), (0.5, 0.5)).all == 0
    assert not Stopping(2, (0.5, 0.5)).over(losses)
    assert Stopping(1, (0.5, 0.5)).over(losses)


def test_trees_that_only_do_harm_are_left_out(trees: Any, name: str) -> None:
    """Dev whose labels are turned round stops at no tree: the mean is left."""
    train, dev = trees.drawn(600, 0)[0], trees.drawn(200, 1)[0]
    fitted = trees.fit(name, train, attrs.evolve(dev, quality=~dev.quality), shrinkage=1.0)

    assert fitted.chances[0].trees is None
    assert np.allclose(fitted.estimate(dev.queries).p_correct[:, 0], fitted.chances[0].mean)


def test_names_are_safe_and_unique() -> None:
    """Signs that a library refuses are replaced, and names that become equal are made distinct."""
    assert safe_names(["a/0", "a 0", "a_0", 'x"[]{}<>:,é', ""]) == ["a_0", "a_0_1", "a_0_2", "x_", "column"]
    names = safe_names(["a", "a", "a_1", "a"])
    assert len(set(names)) == 4


def test_categories_of_a_column_without_any_are_gaps(trees: Any) -> None:
    """A categorical column that is empty on train stays unknown."""
    columns = (Column("c", "categorical", may_be_missing=True),)
    table = Table.of(trees.queries([[np.nan]], columns), "r")

    assert np.isnan(table.matrix(trees.queries([[1.0]], columns), "r")).all()


def test_threads_are_worth_it_only_on_large_data() -> None:
    """Small matrices take one thread; never more than there are."""
    assert [threads_for(c, 4) for c in (10, 2**23, 2**30)] == [1, 2, 4]


def test_a_cost_without_trees_is_the_mean() -> None:
    """For every query, however many."""
    assert Cost(0.5).predict(None, 3, 1).tolist() == [0.5] * 3


def test_the_log_loss_of_certainty_is_bounded() -> None:
    """Being certain and wrong costs as much as being wrong by 1e-12; being certain and right costs next to nothing."""
    losses = log_loss(np.array([0.0, 1.0, 0.0, 1.0, 0.25]), np.array([True, False, False, True, True]))
    assert np.allclose(losses, [-np.log(1e-12), -np.log(1e-12), 0.0, 0.0, -np.log(0.25)], rtol=1e-4, atol=1e-11)


def test_utilities_are_the_figures_that_they_are_said_to_be() -> None:
    """The logarithm of the expected utility, minus the cost, or the probability within a budget and -1 - cost beyond it."""
    p, cost = np.array([[0.5, 0.25, 0.75]]), np.array([[1e-3, 5e-4, 0.5]])
    estimate = Estimate(p, cost)
    assert np.allclose(utilities(estimate, 2.0, None), np.log(p) - 200 * cost)
    assert np.allclose(utilities(estimate, np.inf, None), -cost)
    assert np.allclose(utilities(estimate, None, 0.1), [[0.5, 0.25, -1.5]])
