"""What routers learn to predict: hard labels, soft targets, relevance."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vlrb.api.routing import Labelled
from vlrb.api.targets import hard_labels, kept_rows, relevance, soft_targets, solved_rows
from vlrb.errors import ConfigError, DataError

INF = float("inf")
QUALITY = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]], dtype=bool)
COST = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 3.0], [3.0, 1.0, 2.0], [0.0, 0.0, 9.0]]) / 1000


@pytest.fixture
def vectors(shared: Callable[[str], Path]) -> dict[str, Any]:
    with np.load(shared("vectors/soft_targets.npz")) as file:
        return {k: file[k] for k in file.files}


@pytest.mark.parametrize("fallback", ["cheapest", "cost_soft"])
@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize("scheme", ["exp", "power"])
def test_soft_targets_equal_the_reference(vectors: dict[str, Any], scheme: Any, scale: int, fallback: Any) -> None:
    """All finite lambdas, both schemes, both scales, both fallbacks, hand-made edge rows included."""
    expected = vectors[f"T_{scheme}_cs{scale}_{fallback}"]
    finite = [i for i, v in enumerate(vectors["lambdas"]) if np.isfinite(v)]
    for i in finite:
        lam = float(vectors["lambdas"][i])
        found = soft_targets(vectors["Y"], vectors["C"], lam, cost_scale=scale, scheme=scheme, fallback=fallback)
        assert np.allclose(found, expected[i], atol=1e-6), lam
    assert len(finite) >= 5


@pytest.mark.parametrize("fallback", ["zeros", "cheapest"])
@pytest.mark.parametrize("scale", [3, 100])
def test_relevance_equals_the_reference(vectors: dict[str, Any], scale: int, fallback: Any) -> None:
    """All lambdas, inf included."""
    expected = vectors[f"R_cs{scale}_{fallback}"]
    for i, lam in enumerate(vectors["R_lambdas"]):
        how = None if fallback == "zeros" else fallback
        found = relevance(vectors["Y"], vectors["C"], float(lam), cost_scale=scale, fallback=how)
        assert np.allclose(found, expected[i], atol=1e-6), lam


def test_hard_labels_equal_the_reference(vectors: dict[str, Any], shared: Callable[[str], Path]) -> None:
    """The cheapest correct model of 600 rows, and of the edge rows; rows without one are marked."""
    with np.load(shared("vectors/hard_targets.npz")) as file:
        quality, cost, labels, solved = (file[k] for k in ("Y", "C", "labels_fallback", "has_correct"))
    found = hard_labels(quality.astype(bool), cost)

    assert np.array_equal(kept_rows(quality), np.flatnonzero(solved))
    assert np.array_equal(found[solved], labels[solved])
    assert (found[~solved] == -1).all()
    with_fallback = soft_targets(vectors["Y"], vectors["C"], INF, fallback="cheapest").argmax(axis=1)
    assert np.array_equal(with_fallback, vectors["hard"])


def test_lambda_inf_is_the_hard_label_not_the_cheapest_model() -> None:
    """The reference's builder, given inf, puts all mass on the cheapest model, right or wrong."""
    expected = [[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]
    for scheme in ("exp", "power"):
        assert soft_targets(QUALITY, COST, INF, scheme=scheme).tolist() == expected  # type: ignore[arg-type]
    for fallback in ("cheapest", "cost_soft"):
        expected[2] = [0, 1, 0]
        assert soft_targets(QUALITY, COST, INF, fallback=fallback).tolist() == expected  # type: ignore[arg-type]


def test_lambda_0_knows_no_costs() -> None:
    """Uniform over the correct models; nothing where there is none, unless a fallback is named."""
    expected = [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 0], [0, 0, 1]]
    assert np.allclose(soft_targets(QUALITY, COST, 0.0), expected)
    assert np.allclose(soft_targets(QUALITY, COST, 0.0, fallback="cost_soft")[2], 1 / 3)
    assert relevance(QUALITY, COST, 0.0).tolist() == QUALITY.astype(float).tolist()


def test_one_lambda_is_one_price() -> None:
    """exp(-lambda * 100 * USD): at lambda 10, a tenth of a cent more weighs exp(-1)."""
    row = soft_targets(QUALITY, COST, 10.0)[0]
    assert np.isclose(row[0] / row[1], np.exp(-1))
    assert np.isclose(relevance(QUALITY, COST, 10.0)[0, 0], np.exp(-1))


def test_equal_costs_share_relevance_at_inf_and_the_first_has_the_label() -> None:
    """A tie is 1 for both in relevance, while a label is one model."""
    assert relevance(QUALITY, COST, INF)[1].tolist() == [0, 1, 1]
    assert hard_labels(QUALITY, COST).tolist() == [1, 1, -1, 2]


def test_equally_cheap_models_share_the_label_on_request() -> None:
    """As soft targets do when lambda grows: half each for two, nothing for the dearer and for the wrong ones."""
    quality = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=bool)
    cost = np.array([[1.0, 1.0, 3.0, 0.5], [1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 1.0, 5.0]])
    shared = soft_targets(quality, cost, INF, ties="shared")

    assert shared.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert np.allclose(shared, soft_targets(quality, cost, 1e6), atol=1e-12)
    assert soft_targets(quality, cost, INF)[0].tolist() == [1, 0, 0, 0]
    everywhere = soft_targets(quality, cost, INF, fallback="cost_soft", ties="shared")
    assert everywhere[1].tolist() == [0.5, 0, 0, 0.5]


@pytest.mark.parametrize("lam", [-1.0, float("nan")])
@pytest.mark.parametrize("make", [soft_targets, relevance])
def test_a_lambda_that_is_none_is_refused(make: Any, lam: float) -> None:
    """The message names the value and the range."""
    with pytest.raises(ConfigError, match=f"lambda: must be a number from 0 to inf, not {lam!r}"):
        make(QUALITY, COST, lam)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return quality and cost of up to 6 samples and 5 models."""
    shape = draw(st.tuples(st.integers(0, 6), st.integers(1, 5)))
    quality = draw(arrays.arrays(bool, shape))
    return quality, draw(arrays.arrays(float, shape, elements=st.floats(0, 10, allow_subnormal=False)))


@given(cases(), st.floats(0, 1e6), st.sampled_from(["exp", "power"]))
def test_a_soft_target_is_a_distribution_over_correct_models(case: Any, lam: float, scheme: Any) -> None:
    """At no lambda does it underflow: rows add to 1 where some model is right, and hold nothing else."""
    quality, cost = case
    found = soft_targets(quality, cost, lam, scheme=scheme)

    assert np.allclose(found.sum(axis=1), quality.any(axis=1))
    assert (found[~quality] == 0).all()
    assert (found >= 0).all()
    cheapest = np.take_along_axis(found, np.maximum(hard_labels(quality, cost), 0)[:, None], 1)[:, 0]
    assert np.allclose(cheapest, found.max(axis=1))


@given(cases(), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_price_moves_weight_to_the_cheapest(case: Any, one: float, other: float) -> None:
    """The hard label's share never falls as lambda grows."""
    quality, cost = case
    kept = kept_rows(quality)
    labels = hard_labels(quality, cost)[kept]
    low, high = (soft_targets(quality, cost, v)[kept, labels] for v in sorted((one, other)))
    assert (high >= low - 1e-9).all()


def random_case(seed: int) -> tuple[Any, Any]:
    """Return Y and C of 60 samples and 5 models, some of them unsolved, free, or equally cheap."""
    rng = np.random.default_rng(seed)
    quality = rng.random((60, 5)) < np.linspace(0.05, 0.6, 60)[:, None]
    return quality, np.round(rng.random((60, 5)) * 4) / 1000


def soft_by_hand(
    right: list[bool], cost: list[float], lam: float, scale: float, scheme: str, fallback: Any
) -> list[float]:
    """Return a row of soft targets as the paper's formula says, one model at a time."""
    least = min(cost)
    if not any(right) and fallback != "cost_soft":
        cheapest = cost.index(least)
        return [float(fallback == "cheapest" and j == cheapest) for j in range(len(cost))]
    may = [r or not any(right) for r in right]
    weights = [
        m * (math.exp(-lam * scale * c) if scheme == "exp" else (scale * c + 1e-12) ** -lam)
        for m, c in zip(may, cost, strict=True)
    ]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("fallback", [None, "cheapest", "cost_soft"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("scheme", ["exp", "power"])
def test_soft_targets_are_the_formula_model_by_model(scheme: Any, scale: float, fallback: Any) -> None:
    """Both schemes, both scales and all fallbacks, against sums over single models."""
    quality, cost = random_case(1)
    for lam in (0.0, 0.5, 2.0, 10.0):
        found = soft_targets(quality, cost, lam, cost_scale=scale, scheme=scheme, fallback=fallback)
        for row, right, dollars in zip(found, quality.tolist(), cost.tolist(), strict=True):
            expected = soft_by_hand(right, dollars, lam, scale, scheme, fallback)
            assert row.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("fallback", [None, "cheapest"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_relevance_is_the_formula_model_by_model(scale: float, fallback: Any) -> None:
    """How much dearer than the cheapest right model, at finite lambdas and at inf."""
    quality, cost = random_case(2)
    for lam in (0.0, 0.5, 10.0, INF):
        found = relevance(quality, cost, lam, cost_scale=scale, fallback=fallback)
        for row, right, dollars in zip(found.tolist(), quality.tolist(), cost.tolist(), strict=True):
            least = min((c for r, c in zip(right, dollars, strict=True) if r), default=None)
            if least is None:
                cheapest = dollars.index(min(dollars))
                assert row == [float(fallback == "cheapest" and j == cheapest) for j in range(5)]
                continue
            for value, r, c in zip(row, right, dollars, strict=True):
                expected = float(c == least) if lam == INF else math.exp(-lam * scale * (c - least))
                assert value == pytest.approx(r * expected, rel=1e-9)


def test_hard_labels_and_rows_model_by_model() -> None:
    """The cheapest right model, ties go to the first; rows without one have the label -1 and are left out."""
    quality, cost = random_case(3)
    expected = []
    for right, dollars in zip(quality.tolist(), cost.tolist(), strict=True):
        ranked = sorted((c, j) for j, (r, c) in enumerate(zip(right, dollars, strict=True)) if r)
        expected.append(ranked[0][1] if ranked else -1)

    assert -1 in expected
    assert hard_labels(quality, cost).tolist() == expected
    assert kept_rows(quality).tolist() == [i for i, label in enumerate(expected) if label >= 0]


def test_nothing_to_learn_is_an_error_that_names_the_router() -> None:
    """Rows on which some model is right are what is learnt from; without any there is no router."""
    quality = np.array([[0, 0], [0, 1], [1, 1]], dtype=bool)
    queries: Any = range(3)

    assert solved_rows(Labelled(queries, quality, quality * 1.0, quality * 1.0), "mlp").tolist() == [1, 2]
    with pytest.raises(DataError) as caught:
        solved_rows(Labelled(queries, quality & False, quality * 1.0, quality * 1.0), "mlp")
    assert caught.value.problems[0].where == "mlp"


def test_huge_and_tiny_lambdas_do_not_overflow() -> None:
    """However small the weights, they are those of a distribution, and the cheapest right model has the most."""
    for scheme in ("exp", "power"):
        for lam in (1e-9, 1e3, 1e6, 1e12):
            row = soft_targets(QUALITY, COST, lam, scheme=scheme)[0]  # type: ignore[arg-type]
            assert row.sum() == pytest.approx(1)
            assert row.argmax() == 1
            assert row[2] == 0
