"""Refits on train and dev together: what dev decided in the first fit stands, and dev decides nothing more."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import WithKept
from vlrb_plugins.feature_routers import ROUTERS

SPECS = {spec.name: spec for spec in ROUTERS}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "knn": ("knn", {}),
    "prknn": ("prknn", {}),
    "ovr": ("ovr", {}),
    "kmeans": ("kmeans", {"clusters": 5}),
    "kmeans-reference": ("kmeans", {"variant": "reference"}),
    "linear": ("linear", {}),
    "linear-reference": ("linear", {"variant": "reference", "lambda_": 0.0}),
    "mlp": ("mlp", {"hidden": (8, 4), "batch_size": 32, "learning_rate": 0.03}),
}
STOPPED = ["linear-reference", "mlp"]
"""Cases that dev stops early."""


def joined(make: Any, *parts: Any) -> Any:
    """Return the samples of all parts."""
    matrix, quality, cost = (
        np.vstack(found) for found in zip(*((p.queries.features.matrix, p.quality, p.cost) for p in parts), strict=True)
    )
    return make.labelled(matrix, quality, cost)


def fit(make: Any, case: str, train: Any, dev: Any, kept: Any = None, **more: Any) -> tuple[Any, Any]:
    """Return a fitted router and what its context was told; a refit that asks for the dev score fails."""
    name, given = CASES[case]
    if name == "mlp":
        pytest.importorskip("torch")
    context, logged = make.context(dev)
    if kept is not None:
        context = attrs.evolve(context, kept=kept, dev_score=_refuse)
    return SPECS[name].factory(SPECS[name].params(**{**given, **more})).fit(train, dev, context), logged


def _refuse(choices: Any) -> float:
    raise AssertionError("dev is part of train in a refit, and may decide nothing")


@pytest.mark.parametrize("case", CASES)
def test_dev_decides_nothing_in_a_refit(case: str, make: Any) -> None:
    """Every router: no dev score is asked for, other labels of dev change nothing, and what was kept is told again."""
    train, dev, asked = make.random(), make.random(60, seed=1), make.random(40, seed=2).queries
    first, _ = fit(make, case, train, dev)
    kept = first.kept if isinstance(first, WithKept) else {}
    other = attrs.evolve(dev, quality=~dev.quality, score=1 - dev.score, cost=dev.cost[:, ::-1])
    whole = joined(make, train, dev)
    refits = [fit(make, case, whole, given, kept)[0] for given in (dev, other)]

    assert np.array_equal(*(r.scores(asked) for r in refits))
    assert not np.array_equal(refits[0].scores(asked), first.scores(asked))
    assert [getattr(r, "kept", {}) for r in refits] == [kept, kept]
    assert set(kept) == ({"epochs"} if case in STOPPED else set())


@pytest.mark.parametrize("case", STOPPED)
def test_the_best_epoch_of_the_first_fit_is_kept(case: str, make: Any) -> None:
    """Not the last epoch that was trained, and not the dev score."""
    scores = [0.1, 0.2, 0.5, *[0.3] * 60]
    train, dev = make.random(), make.random(60, seed=1)
    context, logged = make.context(dev)
    given = iter(scores)
    params = SPECS[CASES[case][0]].params(**{**CASES[case][1], "patience": 2})
    pytest.importorskip("torch")
    fitted = (
        SPECS[CASES[case][0]].factory(params).fit(train, dev, attrs.evolve(context, dev_score=lambda _: next(given)))
    )

    assert fitted.kept == {"epochs": 3}
    assert len(logged.curves) == 5


@pytest.mark.parametrize("case", STOPPED)
@pytest.mark.parametrize("epochs", [1, 7])
def test_a_refit_trains_as_many_epochs_as_were_kept(case: str, epochs: int, make: Any) -> None:
    """As many as a fit of that length without early stopping, to the last bit, though the loss no longer falls."""
    train, dev, asked = make.random(), make.random(60, seed=1), make.random(40, seed=2).queries
    whole = joined(make, train, dev)
    more = {"loss_patience": 1, "learning_rate": 1e-9} if case == "mlp" else {}
    refit, logged = fit(make, case, whole, dev, {"epochs": epochs}, **more, patience=1)
    if case == "mlp":
        more["loss_patience"] = 50
    plain, _ = fit(make, case, whole, dev, **more, max_iter=epochs, early_stopping=False)

    assert [(step, sorted(values)) for step, values in logged.curves] == [(e, ["loss"]) for e in range(1, epochs + 1)]
    assert logged.progress[-1] == (epochs, epochs)
    assert np.array_equal(refit.scores(asked), plain.scores(asked))


@pytest.mark.parametrize("case", STOPPED)
def test_without_early_stopping_a_refit_trains_as_the_first_fit_did(case: str, make: Any) -> None:
    """Nothing was decided on dev, so nothing is kept: up to max_iter, or until the loss no longer falls."""
    whole, dev = joined(make, make.random(), make.random(60, seed=1)), make.random(60, seed=1)
    more = {"early_stopping": False, "max_iter": 9} | (
        {"loss_patience": 2, "learning_rate": 1e-9} if case == "mlp" else {}
    )
    first, told = fit(make, case, whole, dev, **more)
    refit, told_again = fit(make, case, whole, dev, first.kept, **more)

    assert first.kept == refit.kept == {}
    assert told_again.curves == told.curves
    assert len(told.curves) == (3 if case == "mlp" else 9)
