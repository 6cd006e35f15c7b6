"""Dealing out whole groups."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.grouping import grouped_folds, grouped_shares, rows_by_group
from vlrb.errors import DataError

# group and dataset of each sample; a group may have samples of two datasets
samples_of = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), min_size=30, max_size=120)


def columns(samples: list[tuple[int, int]], *, nested: bool = False) -> tuple[Any, Any, list[str]]:
    """Return groups, datasets and ids; with ``nested``, each group is of one dataset."""
    groups = np.array([3 * g + d if nested else g for g, d in samples])
    return groups, np.array([f"d{d}" for _, d in samples]), [f"D/{i:04d}" for i in range(len(samples))]


@settings(max_examples=80, deadline=None)
@given(samples_of, st.integers(2, 6), st.integers(0, 9))
def test_folds_never_share_a_group(samples: list[tuple[int, int]], folds: int, seed: int) -> None:
    """A group is in one fold, and no fold is empty; the same seed gives the same folds."""
    groups, datasets, ids = columns(samples)
    if len(set(groups.tolist())) < folds:
        return
    fold = grouped_folds(groups, datasets, ids, folds, seed)

    assert sorted(set(fold.tolist())) == list(range(folds))
    assert len({*zip(groups.tolist(), fold.tolist(), strict=True)}) == len(set(groups.tolist()))
    assert np.array_equal(fold, grouped_folds(groups, datasets, ids, folds, seed))


@settings(max_examples=80, deadline=None)
@given(samples_of, st.integers(2, 6), st.integers(0, 9))
def test_folds_are_alike_in_each_dataset(samples: list[tuple[int, int]], folds: int, seed: int) -> None:
    """A dataset's largest fold has at most one group (its largest) more than its smallest."""
    groups, datasets, ids = columns(samples, nested=True)
    if len(set(groups.tolist())) < folds:
        return
    fold = grouped_folds(groups, datasets, ids, folds, seed)

    for dataset in set(datasets.tolist()):
        here = datasets == dataset
        sizes = np.bincount(fold[here], minlength=folds)
        assert sizes.max() - sizes.min() <= max(Counter(groups[here].tolist()).values())


@settings(max_examples=60, deadline=None)
@given(samples_of, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(samples: list[tuple[int, int]], seed: int, random: Any) -> None:
    """Neither do the numbers of the groups: only ids, groups and datasets count."""
    groups, datasets, ids = columns(samples)
    order = list(range(len(samples)))
    random.shuffle(order)
    shuffled = (1000 - groups[order], datasets[order], [ids[i] for i in order])

    for deal in (lambda *c: grouped_shares(*c, (7, 1, 2), seed), lambda *c: grouped_folds(*c, 2, seed)):
        if len(set(groups.tolist())) > 1:
            assert np.array_equal(deal(*shuffled), deal(groups, datasets, ids)[order])


def test_the_numbers_of_folds_are_spread_over_datasets() -> None:
    """What datasets leave over does not all fall to the first fold: 14 datasets of 6 samples make five folds of 16 or 17."""
    datasets = np.repeat([f"d{i:02d}" for i in range(14)], 6)
    ids = [f"{d}/{i}" for i, d in enumerate(datasets.tolist())]
    sizes = np.bincount(grouped_folds(np.arange(84), datasets, ids, 5, 42))

    assert sorted(sizes.tolist()) == [16, 17, 17, 17, 17]


def test_other_seeds_make_other_folds() -> None:
    """A seed may be any text or number; repeated calls with one are the same."""
    columns_ = (np.arange(60), np.array(["d"] * 60), [f"D/{i:02d}" for i in range(60)])
    made = {str(seed): tuple(grouped_folds(*columns_, 3, seed).tolist()) for seed in (1, 2, "1:dev", 1)}

    assert len(set(made.values())) == len(made) == 3


def test_a_part_may_be_given_as_a_ratio() -> None:
    """7 : 1 is 0.875 : 0.125 is 0.7 : 0.1."""
    columns_ = (np.arange(80), np.array(["d"] * 80), [f"D/{i:02d}" for i in range(80)])
    parts = [grouped_shares(*columns_, shares, 5) for shares in ((7, 1), (0.875, 0.125), (0.7, 0.1))]

    assert np.bincount(parts[0]).tolist() == [70, 10]
    assert all(np.array_equal(parts[0], part) for part in parts)


@pytest.mark.parametrize(
    ("groups", "fix"), [([0, 0, 1, 1], "use at most 2 folds, or more samples"), ([0, 0, 0, 0], "use more samples")]
)
def test_too_few_groups_for_the_folds(groups: list[int], fix: str) -> None:
    """The error has the counts, the key and a fix that works."""
    with pytest.raises(DataError) as raised:
        grouped_folds(np.array(groups), np.array(["d"] * 4), ["a", "b", "c", "d"], 3, 0)

    (problem,) = raised.value.problems
    count = len(set(groups))
    assert problem.message == f"3 folds need at least 3 groups of samples, and there are {count} (4 samples)"
    assert (problem.where, problem.fix) == ("[split] folds", fix)


def test_groups_come_in_the_order_of_a_hash_of_their_first_id() -> None:
    """A group that is alone keeps its place whatever other groups there are."""
    groups, ids = np.arange(20) // 2, [f"D/{i:02d}" for i in range(20)]
    order = [[ids[i] for i in rows] for rows in rows_by_group(groups, ids, "s")]
    few = [[ids[i] for i in rows] for rows in rows_by_group(groups[:10], ids[:10], "s")]

    assert [rows for rows in order if rows in few] == few
    assert sorted(i for rows in order for i in rows) == ids
    assert order != sorted(order)
