"""What routers learn to predict: hard labels, soft targets, relevance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vlrb.errors import ConfigError
from vlrb.targets import hard_labels, kept_rows, relevance, soft_targets

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
    """The cheapest correct model of 600 rows, and of the edge rows; rows without one are told apart."""
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
