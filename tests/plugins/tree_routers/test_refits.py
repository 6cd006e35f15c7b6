"""Refits on train and dev together: numbers of trees and calibrations are the first fit's, and dev decides nothing."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.experiment.strict import unstructure
from vlrb_plugins.tree_routers.calibration import Calibration, log_odds
from vlrb_plugins.tree_routers.params import PARAMS
from vlrb_plugins.tree_routers.refits import Decided

CALIBRATIONS = ("none", "platt", "isotonic")


def _refuse(choices: Any) -> float:
    raise AssertionError("dev is part of train in a refit, and may decide nothing")


def _joined(trees: Any, *parts: Any) -> Any:
    """Return the samples of all parts."""
    matrix = np.vstack([p.queries.features.matrix for p in parts])
    arrays = {name: np.vstack([getattr(p, name) for p in parts]) for name in ("quality", "score", "cost")}
    return attrs.evolve(parts[0], queries=trees.queries(matrix), **arrays)


def _refit(trees: Any, name: str, first: Any, train: Any, dev: Any, **params: Any) -> tuple[Any, Any]:
    """Return what the core makes of a first fit, and the context."""
    context = trees.context(dev, kept=first.kept, score=_refuse)
    chosen = {{"lambda": "lambda_"}.get(k, k): v for k, v in first.chosen.items()}
    return trees.fit(name, train, dev, context, **{**params, **chosen}), context


def _count(booster: Any) -> int:
    """Return the number of trees, 0 without a booster."""
    if booster is None:
        return 0
    inner = booster._booster
    return int(inner.num_trees() if hasattr(inner, "num_trees") else inner.num_boosted_rounds())


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_dev_decides_nothing_in_a_refit(trees: Any, name: str, calibration: str) -> None:
    """Other labels of dev, or none of its rows, change no bit; no dev score is asked for; what was kept is told again."""
    train, dev, asked = trees.drawn(600, 0)[0], trees.drawn(150, 1)[0], trees.drawn(50, 2)[0].queries
    first, whole = trees.fit(name, train, dev, calibration=calibration), _joined(trees, train, dev)
    other = attrs.evolve(dev, quality=~dev.quality, score=1 - dev.score, cost=dev.cost[::-1] * 3)
    none = attrs.evolve(dev, queries=dev.queries.take(np.arange(0)), quality=dev.quality[:0], cost=dev.cost[:0])
    refits = [_refit(trees, name, first, whole, part, calibration=calibration)[0] for part in (dev, other, none)]
    estimates = [r.estimate(asked) for r in refits]

    for estimate in estimates[1:]:
        assert np.array_equal(estimate.p_correct, estimates[0].p_correct)
        assert np.array_equal(estimate.cost, estimates[0].cost)
    assert not np.array_equal(estimates[0].p_correct, first.estimate(asked).p_correct)
    assert [r.kept for r in refits] == [first.kept] * 3
    assert [(r.shrinkage, r.lambda_, r.chosen) for r in refits] == [(first.shrinkage, first.lambda_, {})] * 3


def test_a_refit_grows_as_many_trees_as_were_kept(trees: Any, name: str) -> None:
    """For each model's chance and cost, whatever `rounds` and `patience` say; what is kept is what the first fit has."""
    train, dev = trees.drawn(600, 0)[0], trees.drawn(150, 1)[0]
    first, whole = trees.fit(name, train, dev), _joined(trees, train, dev)
    refit, context = _refit(trees, name, first, whole, dev, rounds=1, patience=1)
    names = [c.name for c in trees.candidates]

    for fitted in (first, refit):
        assert [_count(c.trees) for c in fitted.chances] == [first.kept[f"trees:{n}"] for n in names]
        assert [_count(c.trees) for c in fitted.costs] == [first.kept[f"cost-trees:{n}"] for n in names]
    found = [_count(c.trees) for c in (*refit.chances, *refit.costs)]
    assert len(set(found)) > 3
    assert found[3] == 0  # the model that is never right
    assert [values["trees"] for _, values in context.logged] == found[:4]
    assert context.done == [(i, 4) for i in (1, 2, 3, 4)]


def test_a_refit_equals_a_fit_of_the_same_length_on_all_rows(trees: Any, name: str) -> None:
    """A fit whose dev rows are train rows stops at `rounds`, since its losses fall to the end: the same trees, bit by bit."""
    train, dev, asked = trees.drawn(600, 0)[0], trees.drawn(150, 1)[0], trees.drawn(50, 2)[0].queries
    whole, given = _joined(trees, train, dev), {"calibration": "none", "shrinkage": 1.0, "lambda_": 3.0}
    plain = trees.fit(name, whole, dev, rounds=7, rows=1.0, **given)
    lengths = [v for k, v in plain.kept.items() if k.split(":")[0] in ("trees", "cost-trees")]
    refit, _ = _refit(trees, name, plain, whole, dev, rows=1.0, **given)

    assert sorted(lengths) == [0, 7, 7, 7, 7, 7, 7, 7]
    assert np.array_equal(refit.estimate(asked).p_correct, plain.estimate(asked).p_correct)
    assert np.array_equal(refit.estimate(asked).cost, plain.estimate(asked).cost)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_calibrations_are_taken_over(trees: Any, name: str, calibration: Any) -> None:
    """Slope and shift around the mean of all rows, or the points, are those of the first fit, after a way through JSON too."""
    train, dev, asked = trees.drawn(600, 0)[0], trees.drawn(150, 1)[0], trees.drawn(50, 2)[0]
    first, whole = trees.fit(name, train, dev, calibration=calibration), _joined(trees, train, dev)
    refit, _ = _refit(
        trees, name, attrs.evolve(first, kept=unstructure(first.kept)), whole, dev, calibration=calibration
    )

    rows = refit.table.matrix(asked.queries, name)
    for m in (0, 1):
        then, now = first.chances[m].calibration, refit.chances[m].calibration
        centre = log_odds((whole.quality[:, m].sum() + 1) / (750 + 2))
        margins = refit.chances[m].trees.margins(refit.library.prepare(rows, refit.table, 1), 1)
        assert math.isclose(now.centre, centre)
        assert (now.slope, now.shift) == (then.slope, then.shift)
        assert (now.slope != 1.0, now.shift != 0.0) == ((True,) * 2 if calibration == "platt" else (False,) * 2)
        expected = Calibration(centre, then.slope, then.shift, then.points).apply(margins)
        assert (now.points is None) == (calibration != "isotonic")
        assert np.array_equal(
            refit.chances[m].probabilities(refit.library.prepare(rows, refit.table, 1), 50, 1), expected
        )


def test_models_without_trees_get_the_means_of_all_rows(trees: Any, name: str) -> None:
    """A model that the first fit gave its mean, though train and dev together have cases enough to learn from."""
    train, dev = trees.drawn(600, 0)[0], trees.drawn(150, 1)[0]
    kept = {k: 0 for k in trees.fit(name, train, dev).kept if "trees" in k}
    whole = _joined(trees, train, dev)
    context = trees.context(dev, kept=kept, score=_refuse)
    refit = trees.fit(name, whole, dev, context, shrinkage=1.0, lambda_=0.0)
    estimate = refit.estimate(trees.drawn(5, 2)[0].queries)

    assert np.allclose(estimate.p_correct, (whole.quality.sum(axis=0) + 1) / 752)
    assert np.allclose(estimate.cost, whole.cost.mean(axis=0))
    assert refit.kept == kept


def test_names_of_what_is_kept_are_distinct_for_any_models() -> None:
    """Models named like what is kept, with colons, or like each other's beginning: each gets its own back."""
    models = ["a", "a:1", ":a", "trees:a", "slope:trees:a", "log-odds-0:a", "chance-1", "1:a", ""]
    points = np.array([[-1.0, 0.5, 2.0], [0.1, 0.2, 0.9]])
    some = {
        m: Decided(i, i + 10, Calibration(0.0, points=points + i) if i % 2 else Calibration(0.0, i + 0.5, -i))
        for i, m in enumerate(models)
    }
    parts = [decided.scalars(m) for m, decided in some.items()]
    kept = {k: v for part in parts for k, v in part.items()}

    assert len(kept) == sum(map(len, parts))
    for i, m in enumerate(models):
        again = Decided.restored(kept, m)
        assert (again.trees, again.cost_trees) == (i, i + 10)
        if i % 2:
            assert np.array_equal(again.calibration.points, points + i)
        elif i:
            assert (again.calibration.slope, again.calibration.shift) == (i + 0.5, -i)


@pytest.mark.parametrize("lambda_", [0.0, 30.0, math.inf])
def test_what_was_chosen_becomes_parameters(trees: Any, name: str, lambda_: float) -> None:
    """Shrinkage, first "auto", and lambda, first not given, can be set to what a fit chose; the decision follows them."""
    params = attrs.evolve(PARAMS[name](), shrinkage=0.3, lambda_=lambda_)
    train, dev = trees.drawn(300, 0)[0], trees.drawn(80, 1)[0]
    first = trees.fit(name, train, dev, rounds=10)
    context = trees.context(dev, kept=first.kept, score=_refuse)
    refit = trees.specs[name].factory(params).fit(_joined(trees, train, dev), dev, context)

    assert (refit.shrinkage, refit.lambda_, refit.chosen) == (0.3, lambda_, {})
    assert refit.scores(dev.queries).argmax(axis=1).tolist() == refit.route(dev.queries).tolist()
