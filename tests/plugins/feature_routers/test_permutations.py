"""The order of the candidates: choices stay the same, or within noise where weights are drawn."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import Candidate
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection

SPECS = {
    r.record.name: r.record
    for r in load(Selection()).all("router")
    if r.plugin.name in ("feature-routers", "baselines")
}
EXACT: dict[str, tuple[str, dict[str, Any]]] = {
    "knn": ("knn", {}),
    "knn-uniform": ("knn", {"weights": "uniform", "k": 4}),
    "knn-soft": ("knn", {"weights": "uniform", "k": 4, "lambda_": 0.0}),
    "prknn": ("prknn", {}),
    "prknn-uniform": ("prknn", {"weights": "uniform", "k": 4}),
    "prknn-majority": ("prknn", {"rule": "majority"}),
    "prknn-majority-uniform": ("prknn", {"rule": "majority", "weights": "uniform", "k": 4}),
    "prknn-correctness": ("prknn", {"rule": "correctness", "k": 4}),
    "ovr": ("ovr", {}),
    "ovr-reference": ("ovr", {"variant": "reference"}),
    "ovr-lambda": ("ovr", {"lambda_": 30.0}),
    "kmeans": ("kmeans", {"clusters": 40}),
    "kmeans-lambda": ("kmeans", {"clusters": 40, "lambda_": 30.0}),
    "kmeans-avengers": ("kmeans", {"rule": "avengers"}),
    "kmeans-avengers-code": ("kmeans", {"rule": "avengers-code", "top": 3, "n_init": 1}),
    "kmeans-avengers-pro": ("kmeans", {"rule": "avengers-pro", "n_init": 1}),
    "kmeans-avengers-pro-code": ("kmeans", {"rule": "avengers-pro-code", "n_init": 1}),
    "kmeans-budget": ("kmeans", {"rule": "budget", "clusters": 40, "budget": 1.1e-3}),
    "kmeans-reference": ("kmeans", {"variant": "reference"}),
    "linear": ("linear", {"max_iter": 1000, "tolerance": 1e-7}),
    "linear-soft": ("linear", {"lambda_": 10.0, "max_iter": 1000, "tolerance": 1e-7}),
    "strongest": ("strongest", {}),
    "cheapest": ("cheapest", {}),
}
"""Routers in which nothing is drawn per model, and no ties are left to the order of the candidates."""

NOISY: dict[str, tuple[str, dict[str, Any]]] = {
    "linear-reference": ("linear", {"variant": "reference", "early_stopping": False}),
    "mlp": (
        "mlp",
        {"hidden": (16,), "max_iter": 40, "batch_size": 128, "early_stopping": False, "learning_rate": 0.02},
    ),
    "mlp-reference": (
        "mlp",
        {
            "variant": "reference",
            "hidden": (16,),
            "max_iter": 40,
            "batch_size": 128,
            "early_stopping": False,
            "learning_rate": 0.02,
        },
    ),
    "random": ("random", {}),
}
"""Routers that draw initial weights, or a model, by the candidates' places; reference variants where costs never tie."""

OLD_ORDER = {"knn-reference": ("knn", {"variant": "reference"}), "prknn-reference": ("prknn", {"variant": "reference"})}
"""Variants that take the first of equals, as VL-RouterBench does: equal where costs never tie."""


def samples(make: Any, n: int, seed: int, *, ties: bool = True) -> Any:
    """Return samples on which, with ties, two or more models often cost exactly the same."""
    data = make.random(n, d=5, models=5, seed=seed)
    cost = np.array(data.cost)
    if ties:
        rng = np.random.default_rng(seed)
        cost = np.where(rng.random(cost.shape) < 0.6, 1e-3, cost * [1.0, 1.1, 0.9, 1.05, 0.95])
    return make.labelled(data.queries.features.matrix, data.quality, cost)


def permuted(data: Any, order: Any) -> Any:
    """Return the samples with their candidates in another order."""
    candidates = tuple(Candidate(f"m{i}") for i in order)
    arrays = {key: np.ascontiguousarray(getattr(data, key)[:, order]) for key in ("quality", "score", "cost")}
    return attrs.evolve(data, queries=attrs.evolve(data.queries, candidates=candidates), **arrays)


def choices_of(case: tuple[str, dict[str, Any]], make: Any, train: Any, test: Any, order: Any) -> Any:
    """Return choices in the candidates' own numbers, after fit and route with the candidates in this order."""
    name, given = case
    if name == "mlp":
        pytest.importorskip("torch")
    train, test = permuted(train, order), permuted(test, order)
    context = attrs.evolve(make.context(test)[0], candidates=train.queries.candidates)
    fitted = SPECS[name].factory(SPECS[name].params(**given)).fit(train, test, context)
    return np.asarray(order)[fitted.route(test.queries)]


def test_all_routers_are_here() -> None:
    """No feature-level router and no baseline goes without."""
    assert {name for name, _ in (*EXACT.values(), *NOISY.values())} == set(SPECS)


@pytest.mark.parametrize("case", [*EXACT, *OLD_ORDER])
def test_choices_do_not_depend_on_the_order_of_candidates(case: str, make: Any) -> None:
    """Exactly, also where hard labels and votes tie."""
    chosen = (EXACT | OLD_ORDER)[case]
    train, test = (samples(make, n, seed, ties=case in EXACT) for n, seed in ((300, 1), (200, 2)))
    plain = choices_of(chosen, make, train, test, [0, 1, 2, 3, 4])
    for order in ([4, 3, 2, 1, 0], [2, 4, 0, 3, 1]):
        assert choices_of(chosen, make, train, test, order).tolist() == plain.tolist()


@pytest.mark.parametrize("case", NOISY)
def test_accuracy_does_not_depend_on_the_order_of_candidates(case: str, make: Any) -> None:
    """Where weights or models are drawn by place: over four orders, within what other draws change too."""
    ties = NOISY[case][1].get("variant") != "reference"
    train, test = samples(make, 300, 1, ties=ties), samples(make, 500, 2, ties=ties)
    rows, orders = np.arange(500), ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1], [1, 0, 4, 2, 3])
    accuracy = [test.quality[rows, choices_of(NOISY[case], make, train, test, o)].mean() for o in orders]

    assert np.ptp(accuracy) < 0.08


def test_in_the_reference_variant_the_order_decides_ties(make: Any) -> None:
    """The data above does have ties: there the reference's choices change with the order, as VL-RouterBench's do."""
    train, test = samples(make, 300, 1), samples(make, 200, 2)
    for name in ("knn", "prknn"):
        case = (name, {"variant": "reference", "weights": "uniform", "k": 4})
        plain, other = (choices_of(case, make, train, test, o) for o in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]))
        assert (plain != other).any()
