"""Intervals hold a known truth as often as they say, and tests reject a true null hypothesis no more often: a short simulation.

``benchmarks/interval_coverage.py`` simulates more.  The bounds are four standard errors wide.
"""

from __future__ import annotations

import attrs
import pytest
from populations import CLUSTERED, INDEPENDENT, Population, simulate

SIMULATIONS, DRAWS, GROUPS = 200, 200, 150


@pytest.mark.parametrize("population", [INDEPENDENT, CLUSTERED], ids=["independent", "clustered"])
def test_intervals_and_tests_keep_their_level(population: Population) -> None:
    """95 % intervals and tests at 5 %, of values and of paired differences, where the samples of a group are alike too."""
    held, rejected = simulate(attrs.evolve(population, groups=GROUPS), SIMULATIONS, DRAWS, seed=0).shares()

    assert {name for name, share in held.items() if not 0.90 <= share <= 0.99} == set()
    assert {name for name, share in rejected.items() if not share <= 0.10} == set()
    assert {name for name, share in rejected.items() if name.startswith("bootstrap") and not share} == set(), (
        "never rejects"
    )


def test_ignoring_groups_is_noticed() -> None:
    """A bootstrap of samples instead of groups is far too sure of itself on the same tables, so the test above can fail."""
    held, rejected = simulate(
        attrs.evolve(CLUSTERED, groups=GROUPS), SIMULATIONS, DRAWS, seed=0, ignore_groups=True
    ).shares()

    assert max(held.values()) < 0.89
    assert min(rejected.values()) > 0.11
