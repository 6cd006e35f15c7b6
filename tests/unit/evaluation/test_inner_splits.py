"""Splits derived from a split: no test row in any, no group on two sides, and train and dev together for a refit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import handmade
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError
from vlrb.evaluation.inner_splits import inner_splits, refit_split
from vlrb.evaluation.splits import Split, make_splits
from vlrb.experiment.resolve import make_plan
from vlrb.experiment.sections import SplitSection
from vlrb.running.run import prepare
from vlrb.storage import Places

TINY = Path(__file__).parents[2] / "support" / "tiny.py"


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Return the tiny benchmark: 120 samples in 30 groups, each with samples of both datasets."""
    folder = tmp_path_factory.mktemp("tiny")
    file = folder / "experiment.toml"
    file.write_text(f'name = "t"\nplugins = ["{TINY}"]\nrequires = []\n[logs]\nuse = "tiny"\n', encoding="utf-8")
    plan = make_plan(file, ("no:mlflow",))
    return prepare(plan, Places(folder / "runs", folder / "cache"), jobs=1).benchmark


def outer_splits(benchmark: Benchmark, **params: Any) -> tuple[Split, ...]:
    return make_splits(benchmark, handmade.splitter("grouped", **params), SplitSection()).each


def parts_of(split: Split) -> dict[str, set[int]]:
    return {name: set(split.rows(name).tolist()) for name in ("train", "dev", "test")}


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), outer=st.integers(2, 6), folds=st.integers(2, 8))
def test_no_group_is_on_two_sides_of_any_split(benchmark: Benchmark, seed: int, outer: int, folds: int) -> None:
    """Neither of the folds nor of the folds inside them, whatever the seed and the numbers of folds."""
    tested: list[int] = []
    for fold in outer_splits(benchmark, folds=outer, seed=seed):
        tested += fold.test.tolist()
        known: list[int] = []
        for inner in inner_splits(benchmark, fold, folds):
            for split in (fold, inner):
                groups = [set(split.groups[split.rows(n)].tolist()) for n in ("train", "dev", "test")]
                assert sum(map(len, groups)) == len(set.union(*groups))
            assert not set(fold.test.tolist()) & set.union(*parts_of(inner).values())
            known += inner.test.tolist()
        assert sorted(known) == sorted([*fold.train.tolist(), *fold.dev.tolist()])
    assert sorted(tested) == list(range(len(benchmark)))


def test_an_inner_fold_is_named_counted_and_has_its_own_digest(benchmark: Benchmark) -> None:
    """Cells are kept by the digest; the rest of a fold is divided as train and dev were."""
    (fold, *_) = outer_splits(benchmark, folds=4)
    inner = inner_splits(benchmark, fold, 3)

    assert [s.name for s in inner] == ["fold-1,inner-1", "fold-1,inner-2", "fold-1,inner-3"]
    assert len({fold.info.digest, *(s.info.digest for s in inner)}) == 4
    for split in inner:
        assert split.info.samples == {n: len(rows) for n, rows in parts_of(split).items()}
        assert split.info.group_also_in_train == {"dev": 0, "test": 0}
        ratio = fold.train.size / fold.dev.size
        assert split.train.size / split.dev.size == pytest.approx(ratio, rel=0.5)


def test_a_refit_trains_on_train_and_dev_and_nothing_of_test(benchmark: Benchmark) -> None:
    """Dev stays, for what only looks at it; the digest is another one."""
    for outer in outer_splits(benchmark, folds=3):
        again = refit_split(benchmark, outer)
        assert again.train.tolist() == sorted([*outer.train.tolist(), *outer.dev.tolist()])
        assert not set(again.train.tolist()) & set(outer.test.tolist())
        assert (again.dev.tolist(), again.test.tolist()) == (outer.dev.tolist(), outer.test.tolist())
        assert again.name == f"{outer.name},refit"
        assert again.info.digest != outer.info.digest


def test_too_few_groups_for_the_folds_are_an_error(tmp_path: Path) -> None:
    """It names the key, and how many folds there can be."""
    made = handmade.make(tmp_path)
    with pytest.raises(DataError) as caught:
        inner_splits(made, handmade.split_of(made), 13)
    (problem,) = caught.value.problems

    assert problem.where == "[selection] folds"
    assert "13 folds need at least 13 groups" in problem.message
    assert "at most 12 folds" in problem.fix


def test_an_inner_fold_without_dev_is_an_error(tmp_path: Path) -> None:
    """As one of the experiment's own splits would be: nothing can be fitted, or stopped, on no samples."""
    made = handmade.make(tmp_path)
    split = handmade.split_of(made)
    few = attrs.evolve(split, name="fold-1", train=np.array([0, 3]), dev=np.array([9]))
    with pytest.raises(DataError, match="inner fold 2 of 'fold-1' is empty: 3 samples") as caught:
        inner_splits(made, few, 3)

    assert caught.value.problems[0].where == "[selection] folds"
