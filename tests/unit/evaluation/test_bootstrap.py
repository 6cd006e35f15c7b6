"""Draws of image groups within datasets, and sums of columns over the rows of every draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vlrb.api.frozen import Array
from vlrb.evaluation import bootstrap
from vlrb.evaluation.bootstrap import OVERALL, Draws, Sample, scope_sums, strata_of

STRATA = np.array(["b"] * 5 + ["a"] * 3 + ["b"] * 2 + ["c"])


def make_sample(groups: list[int], matrix: Array, **scopes: Array) -> Sample:
    everything = {OVERALL: np.ones(len(groups), dtype=bool), **scopes}
    return Sample(np.array(groups), everything, matrix)


def test_a_draw_has_as_many_groups_of_each_dataset_as_the_sample() -> None:
    """Groups are drawn within datasets, with replacement; draw 0 is the sample itself."""
    counts = Draws(STRATA, 500, seed=3).counts()

    assert (counts[:, 0] == 1).all()
    for name, size in (("a", 3), ("b", 7), ("c", 1)):
        assert (counts[STRATA == name].sum(axis=0) == size).all()
    assert counts.max() > 2
    assert counts.min() == 0


def test_counts_are_those_of_a_multinomial() -> None:
    """Each group's count has mean 1 and variance 1 - 1/7, and two counts of a dataset of 7 have covariance -1/7."""
    counts = Draws(STRATA, 40_000, seed=0).counts()[STRATA == "b", 1:].astype(float)
    spread = np.cov(counts)

    assert counts.mean(axis=1) == pytest.approx(1, abs=0.02)
    assert np.diag(spread) == pytest.approx(6 / 7, abs=0.03)
    assert spread[~np.eye(7, dtype=bool)] == pytest.approx(-1 / 7, abs=0.03)


def test_seeds_repeat_draws_and_datasets_differ() -> None:
    """The same seed gives the same draws; two datasets of the same size do not share theirs."""
    strata = np.array(["a"] * 6 + ["b"] * 6)
    counts = Draws(strata, 50, seed=1).counts()

    assert np.array_equal(counts, Draws(strata, 50, seed=1).counts())
    assert not np.array_equal(counts, Draws(strata, 50, seed=2).counts())
    assert not np.array_equal(counts[:6], counts[6:])


def test_how_much_is_drawn_at_once_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are the same however many numbers are drawn together; the first draws do not depend on how many follow."""
    counts = Draws(STRATA, 300, seed=5).counts()
    for several in (1, 7, 100):
        monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", several)
        assert np.array_equal(Draws(STRATA, 300, seed=5).counts(), counts)
    assert np.array_equal(Draws(STRATA, 200, seed=5).counts(), counts[:, :201])


def test_a_group_belongs_to_the_dataset_of_its_first_row() -> None:
    """A group with rows in several datasets, or in several test sets, is drawn once, with the first of its datasets."""
    groups = [np.array([7, 2, 7, 9]), np.array([4, 2])]
    datasets = [np.array(["long", "b", "a", "a"]), np.array(["c", "long"])]
    numbers, strata = strata_of(groups, datasets)

    assert numbers.tolist() == [2, 4, 7, 9]
    assert strata.tolist() == ["b", "c", "long", "a"]


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_sums_are_those_of_resampled_rows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overall, per dataset, of datasets together and of any part: as if each row were repeated by its group's count."""
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    groups = rng.integers(8, size=30)
    datasets = np.where(groups < 3, "a", np.where(groups < 6, "b", "c"))
    datasets[rng.random(30) < 0.2] = "c"  # groups with rows in two datasets
    matrix = np.column_stack([np.ones(30), rng.random(30), rng.random(30) * 1e-4])
    scopes = {
        "a": datasets == "a",
        "bc": datasets != "a",
        "part": np.arange(30) % 3 == 0,
        "none": np.zeros(30, dtype=bool),
    }
    draws = Draws(strata_of([groups], [datasets])[1], 20, seed=0)
    own, counts = np.searchsorted(np.unique(groups), groups), draws.counts()
    found = dict(scope_sums([make_sample(own.tolist(), matrix, **scopes)], draws))

    assert set(found) == {OVERALL, "a", "bc", "part"}
    for name, (sums,) in found.items():
        member = scopes.get(name, np.ones(30, dtype=bool))
        for draw in range(21):
            rows = np.repeat(np.arange(30), counts[own, draw] * member)
            assert sums is not None
            assert sums[:, draw] == pytest.approx(matrix[rows].sum(axis=0), rel=1e-12)


def test_a_scope_may_be_whole_in_one_test_set_and_a_part_of_another() -> None:
    """A scope is the same rows whichever way its sums are made; a test set without it has none."""
    ones = np.ones((3, 1))
    first = make_sample([0, 1, 2], ones, s=np.array([True, True, False]))
    second = make_sample([0, 1, 2], ones, s=np.array([True, False, False]))
    third = make_sample([0, 1, 2], ones)
    draws = Draws(np.array(["a", "a", "b"]), 5, seed=0)

    sums = dict(scope_sums([first, second, third], draws))["s"]

    drawn = draws.counts().astype(float)
    assert [s if s is None else s.tolist() for s in sums] == [
        [(drawn[0] + drawn[1]).tolist()],
        [drawn[0].tolist()],
        None,
    ]


@pytest.mark.parametrize(("several", "most"), [(1, 10**6), (13, 10**6), (1000, 30), (1000, 7)])
def test_blocks_of_draws_change_no_draw(several: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many draws or counts are held together; nor do they change if they are drawn again."""
    draws = Draws(STRATA, 100, seed=5)
    counts = draws.counts()
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", several)
    monkeypatch.setattr(bootstrap, "COUNTS_AT_ONCE", most)

    assert np.array_equal(draws.counts(), counts)
    (stratum, *_) = draws.of_strata()
    again = [np.concatenate([block for _, block in stratum.blocks()], axis=1) for _ in range(2)]
    assert np.array_equal(again[0], counts[STRATA == "a"])
    assert np.array_equal(again[1], again[0])


def test_few_sums_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of many values makes many scopes, of which few are done together, to the same sums."""
    rng = np.random.default_rng(1)
    matrix, own = rng.random((40, 3)), rng.integers(11, size=40)
    scopes = {f"by/{i}": rng.random(40) < 0.5 for i in range(20)}
    sample, draws, held = make_sample(own.tolist(), matrix, **scopes), Draws(STRATA, 30, seed=2), []
    expected = dict(scope_sums([sample], draws))
    inner = bootstrap._sums_of_scopes

    def noted(samples: list[Sample], *more: Any) -> Any:
        held.append(len(samples[0].scopes))
        return inner(samples, *more)

    monkeypatch.setattr(bootstrap, "_sums_of_scopes", noted)
    monkeypatch.setattr(bootstrap, "SUMS_AT_ONCE", 3 * 31 * 4)
    found = dict(scope_sums([sample], draws))

    assert max(held) == 4
    assert found.keys() == expected.keys() == {OVERALL, *scopes}
    for name in found:
        assert np.array_equal(found[name][0], expected[name][0])  # type: ignore[arg-type]


def test_few_counts_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory follows the block: a dataset of many groups is drawn in blocks of few draws."""
    monkeypatch.setattr(bootstrap, "COUNTS_AT_ONCE", 70)
    blocks = [counts.shape for stratum in Draws(STRATA, 100, seed=0).of_strata() for _, counts in stratum.blocks()]

    assert max(groups * draws for groups, draws in blocks) <= 70
    assert (7, 10) in blocks
