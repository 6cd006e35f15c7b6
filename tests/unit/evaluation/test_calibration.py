"""Calibrated estimates: they agree with what was observed, and stay probabilities whatever they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vlrb.api.frozen import Array
from vlrb.evaluation.calibration import calibrate_estimates


def population(seed: int, samples: int = 4000) -> tuple[Array, Array]:
    """Return true probabilities of three models, and whether they were right."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=samples)[:, None]
    p = 1 / (1 + np.exp(-(np.array([1.0, 0.0, -1.0]) + 1.5 * difficulty)))
    return p, rng.random(p.shape) < p


def test_true_probabilities_stay_as_they_are() -> None:
    """Estimates that are right already are changed by no more than chance."""
    p, quality = population(1)

    assert np.abs(calibrate_estimates(p, quality) - p).max() < 0.05


def test_estimates_that_tell_nothing_become_means() -> None:
    """On shuffled samples the slope is near 0: each model has its own mean, and no sample stands out."""
    p, quality = population(2)
    shuffled = np.random.default_rng(3).permutation(p)
    found = calibrate_estimates(shuffled, quality)

    assert np.abs(found - quality.mean(axis=0)).max() < 0.06
    assert found.mean(axis=0) == pytest.approx(quality.mean(axis=0), abs=1e-3)


@pytest.mark.parametrize("power", [0.25, 4.0])
def test_overconfidence_and_timidity_are_undone(power: float) -> None:
    """Estimates whose log odds are too large or too small by a factor come back to the truth, at any level."""
    p, quality = population(4)
    odds = (p / (1 - p)) ** power * np.array([0.2, 1.0, 5.0])

    assert np.abs(calibrate_estimates(odds / (1 + odds), quality) - p).max() < 0.05


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.floats(0, 1)),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["any", "right", "wrong", "equal", "opposite"]),
)
def test_any_estimates_become_probabilities(p: Array, seed: int, kind: str) -> None:
    """Finite and inside (0, 1), models that are always right or wrong, 0 and 1 included."""
    rng = np.random.default_rng(seed)
    quality = {
        "any": rng.random(p.shape) < 0.5,
        "right": np.ones(p.shape, dtype=bool),
        "wrong": np.zeros(p.shape, dtype=bool),
        "equal": p > 0.5,
        "opposite": p <= 0.5,
    }[kind]
    found = calibrate_estimates(p, quality)

    assert found.shape == p.shape
    assert ((found > 0) & (found < 1)).all()
