"""The bundled splitters, on samples of three datasets in two task groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from handmade import splitter
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb import DataError, Splits, SplitSamples

DATASETS = {"Charts": "charts-ocr", "Docs 1": "charts-ocr", "Maths": "stem"}
SLUGS = {"Charts": "charts", "Docs 1": "docs-one", "Maths": "maths"}


def samples_of(
    datasets: Sequence[str],
    groups: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str | None]] | None = None,
) -> SplitSamples:
    """Return samples as a splitter sees them, sorted by id."""
    n = len(datasets)

    def column(name: str) -> tuple[str | None, ...]:
        return tuple((columns or {})[name])

    return SplitSamples(
        ids=tuple(f"{i:04d}" for i in range(n)),
        datasets=np.array(datasets),
        task_groups=np.array([DATASETS[d] for d in datasets]),
        texts=tuple(f"question {i}" for i in range(n)),
        groups=np.arange(n) if groups is None else np.array(groups),
        given=(None,) * n,
        column=column,
        slugs=SLUGS,
    )


def split(samples: SplitSamples, use: str, **params: Any) -> Splits:
    made = splitter(use, **params).make("__call__")(samples)
    assert isinstance(made, Splits)
    return made


def refused(samples: SplitSamples, use: str, **params: Any) -> Any:
    """Return the only problem of a DataError."""
    with pytest.raises(DataError) as raised:
        split(samples, use, **params)
    (problem,) = raised.value.problems
    return problem


MIXED = samples_of(["Charts"] * 20 + ["Docs 1"] * 12 + ["Maths"] * 28)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(sorted(DATASETS))), min_size=40, max_size=90),
    st.integers(2, 5),
    st.integers(0, 5),
)
def test_grouped_folds_test_each_sample_once(samples: list[tuple[int, str]], folds: int, seed: int) -> None:
    """No group is in two parts of a fold, and every fold has each sample once; the same again for the same seed."""
    groups = [g for g, _ in samples]
    if len(set(groups)) < folds:
        return
    seen = samples_of([d for _, d in samples], groups)
    made = split(seen, "grouped", folds=folds, seed=seed)

    assert sorted(np.concatenate([one.test for one in made.each]).tolist()) == list(range(len(samples)))
    assert (made.pooled, made.keeps_groups) == (True, True)
    for one in made.each:
        owner: dict[int, str] = {}
        for part in ("train", "dev", "test"):
            for row in getattr(one, part).tolist():
                assert owner.setdefault(groups[row], part) == part
        assert sorted(np.concatenate([one.train, one.dev, one.test]).tolist()) == list(range(len(samples)))
    again = split(seen, "grouped", folds=folds, seed=seed)
    assert all(
        np.array_equal(getattr(a, part), getattr(b, part))
        for a, b in zip(made.each, again.each, strict=True)
        for part in ("train", "dev", "test")
    )


def test_folds_divide_the_rest_in_the_ratio_of_train_and_dev() -> None:
    """With five folds, 48 of 60 samples are left: 42 and 6 of them at 7 : 1, 24 and 24 at 1 : 1, from each dataset."""
    for shares, sizes in (({}, (42, 6)), ({"train": 0.5, "dev": 0.5}, (24, 24))):
        made = split(MIXED, "grouped", folds=5, **shares)
        assert [one.name for one in made.each] == [f"fold-{i}" for i in range(1, 6)]
        assert made.made == "5 folds, seed 42"
        for one in made.each:
            assert one.test.size == 12
            assert abs(one.train.size - sizes[0]) <= 1
            assert {*MIXED.datasets[one.train]} == {*MIXED.datasets[one.test]} == {*DATASETS}


def test_dev_sets_of_folds_do_not_lie_in_one_fold() -> None:
    """The rest is divided in another order than the folds were dealt, so that each dev set has samples of all other folds."""
    samples = samples_of(["Maths"] * 400)
    made = split(samples, "grouped", folds=5)
    fold = np.empty(400, dtype=int)
    for i, one in enumerate(made.each):
        fold[one.test] = i

    for i, one in enumerate(made.each):
        assert {*fold[one.dev].tolist()} == {0, 1, 2, 3, 4} - {i}


@pytest.mark.parametrize("use", ["grouped", "samples"])
def test_repeated_splits_are_the_splits_of_their_seeds(use: str) -> None:
    """`seeds = [3, 1]` makes what `seed = 3` and `seed = 1` make, and is not pooled."""
    made = split(MIXED, use, seeds=(3, 1))

    assert [one.name for one in made.each] == ["seed-3", "seed-1"]
    assert made.made.endswith("seeds 3, 1")
    assert not made.pooled
    for one, seed in zip(made.each, (3, 1), strict=True):
        (alone,) = split(MIXED, use, seed=seed).each
        assert alone.name == ""
        assert all(np.array_equal(getattr(one, part), getattr(alone, part)) for part in ("train", "dev", "test"))


def test_folds_sample_by_sample_cut_the_papers_shuffle() -> None:
    """Worked out from numpy's shuffle: 10 samples in three folds of 4, 3 and 3; of 6 others, int(7/8 of 6) = 5 are train."""
    order = np.arange(10)
    np.random.RandomState(42).shuffle(order)
    made = split(samples_of(["Maths"] * 10), "samples", folds=3)

    tests = [sorted(order[a:b].tolist()) for a, b in ((0, 4), (4, 7), (7, 10))]
    assert [one.test.tolist() for one in made.each] == tests
    assert made.each[1].train.tolist() == sorted([*order[7:].tolist(), *order[:3].tolist()])
    assert made.each[1].dev.tolist() == [order[3]]
    assert made.each[0].train.tolist() == sorted(order[4:9].tolist())
    assert (made.pooled, made.keeps_groups, made.made) == (True, False, "sample by sample, 3 folds, seed 42")
    problem = refused(samples_of(["Maths"] * 2), "samples", folds=3)
    assert (problem.message, problem.where) == ("3 folds need at least 3 samples, and there are 2", "[split] folds")


def test_folds_by_sample_part_what_shares_an_image() -> None:
    """`group_by = "sample"` claims no groups."""
    made = split(samples_of(["Maths"] * 10, [0] * 10), "grouped", group_by="sample", folds=2)

    assert [one.test.size for one in made.each] == [5, 5]
    assert not made.keeps_groups
    assert refused(samples_of(["Maths"] * 10, [0] * 10), "grouped", folds=2).where == "[split] folds"


@pytest.mark.parametrize("use", ["grouped", "samples"])
@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"folds": 5, "test": 0.2}, ("test", "folds")),
        ({"seeds": (1, 2), "seed": 42}, ("seed", "seeds")),
        ({"folds": 5, "seeds": (1, 2)}, ("folds", "seeds")),
    ],
)
def test_keys_that_contradict_each_other(use: str, params: dict[str, Any], named: tuple[str, str]) -> None:
    """The error names both."""
    with pytest.raises(ValueError, match=f"^{named[0]} and {named[1]} exclude each other"):
        splitter(use, **params)


def test_defaults_hold_where_they_apply() -> None:
    """The resolved parameters show what was used, and nothing that was not."""
    plain, folds, seeds = (splitter(**p).params for p in ({}, {"folds": 4}, {"seeds": (1,)}))

    assert (plain.test, plain.seed) == (0.2, 42)
    assert (folds.test, folds.seed) == (None, 42)
    assert (seeds.test, seeds.seed) == (0.2, None)
    given = [splitter("given", columns=c).params for c in ((), ("a",), ("a", "b"))]
    assert [p.seed for p in given] == [None, 42, None]


@pytest.mark.parametrize(
    ("use", "params", "message"),
    [
        ("grouped", {"folds": 1}, "must be >= 2"),
        ("grouped", {"seeds": (1, 1)}, "must be distinct"),
        ("grouped", {"seeds": (-1,)}, "must be at least 0"),
        ("samples", {"seed": 2**32}, "below 2"),
        ("grouped", {"train": 0.5}, "must add up to 1"),
        ("given", {"seed": 1}, "seed needs one column of fold numbers"),
        ("given", {"columns": ("a", "b"), "train": 0.5}, "train needs one column of fold numbers"),
        ("given", {"columns": ("a", "a")}, "must be distinct"),
        ("hold-out", {}, "exactly one of datasets and task_groups"),
        ("hold-out", {"datasets": ("a",), "task_groups": ("b",)}, "exactly one of datasets and task_groups"),
        ("hold-out", {"datasets": ("a", "a")}, "must be distinct"),
    ],
)
def test_parameters_that_are_refused(use: str, params: dict[str, Any], message: str) -> None:
    """Before anything is split."""
    with pytest.raises(ValueError, match=message):
        splitter(use, **params)


def test_held_out_datasets_are_test() -> None:
    """By name or slug; the others are divided 7 : 1 (20 as 18 : 2, 28 as 25 : 3); a group on both sides is told."""
    made = split(MIXED, "hold-out", datasets=("docs-one",))
    (one,) = made.each

    assert one.test.tolist() == list(range(20, 32))
    assert (one.train.size, one.dev.size, one.name) == (43, 5, "")
    assert (made.made, made.pooled, made.keeps_groups) == ("docs-one held out, seed 42", False, True)
    by_name = split(MIXED, "hold-out", datasets=("Docs 1",)).each[0]
    assert np.array_equal(by_name.train, one.train)
    straddling = samples_of(["Charts"] * 20 + ["Maths"] * 20, [*range(20), 0, *range(21, 40)])
    assert not split(straddling, "hold-out", datasets=("Maths",)).keeps_groups


def test_held_out_task_groups_are_test() -> None:
    """All their datasets."""
    (one,) = split(MIXED, "hold-out", task_groups=("charts-ocr",)).each

    assert one.test.tolist() == list(range(32))
    assert (one.train.size, one.dev.size) == (25, 3)


def test_what_cannot_be_held_out() -> None:
    """A name that no sample has, with those that are like it; and all samples."""
    problem = refused(MIXED, "hold-out", datasets=("Chart",))
    assert (problem.message, problem.where) == ("no sample is of 'Chart'", "[split] datasets")
    assert problem.fix == "did you mean 'Charts' or 'charts'?"
    assert refused(MIXED, "hold-out", datasets=("docs-on",)).fix == "did you mean 'docs-one'?"
    assert refused(MIXED, "hold-out", task_groups=("stm",)).fix == "did you mean 'stem'?"
    problem = refused(MIXED, "hold-out", task_groups=("stem", "charts-ocr"))
    assert problem.message == "all 60 samples are held out, so none is left to train on"
    assert "charts-ocr, stem" in problem.fix


@pytest.mark.parametrize(
    ("by", "names"), [("dataset", ["charts", "docs-one", "maths"]), ("task-group", ["charts-ocr", "stem"])]
)
def test_each_is_left_out_once(by: str, names: list[str]) -> None:
    """A fold each, named by slug, in which test has all of one and nothing else."""
    made = split(MIXED, "leave-one-out", by=by)

    assert [one.name for one in made.each] == names
    assert made.pooled
    assert made.made == f"each {by.replace('-', ' ')} held out once, seed 42"
    values = [SLUGS[d] for d in MIXED.datasets.tolist()] if by == "dataset" else MIXED.task_groups.tolist()
    for one in made.each:
        assert {values[i] for i in one.test.tolist()} == {one.name}
        assert one.name not in {values[i] for i in [*one.train.tolist(), *one.dev.tolist()]}
        assert one.dev.size


def test_one_alone_cannot_be_left_out() -> None:
    """There would be nothing to fit on."""
    problem = refused(samples_of(["Charts"] * 9), "leave-one-out")
    assert problem.message == "all 9 samples are of one dataset, 'charts', so none is left to train on"
    problem = refused(samples_of(["Charts"] * 9 + ["Docs 1"] * 9), "leave-one-out", by="task-group")
    assert (problem.where, "of one task group, 'charts-ocr'" in problem.message) == ("[split] by", True)


def in_columns(**columns: Sequence[str | None]) -> SplitSamples:
    """Return 30 samples with these columns, each repeated as often as needed."""
    return samples_of(["Maths"] * 30, columns={k: [*v] * (30 // len(v)) for k, v in columns.items()})


def test_columns_that_prescribe_a_split_each() -> None:
    """Several are repeated splits named after them; one alone is a single split."""
    samples = in_columns(first=["train", "dev", "test"], **{"by year/2": ["test", "train", "dev"]})
    made = split(samples, "given", columns=("first", "by year/2"))

    assert [one.name for one in made.each] == ["first", "by_year_2"]
    assert (made.made, made.pooled) == ("as the columns first, by year/2 of the samples", False)
    assert made.each[0].test.tolist() == made.each[1].dev.tolist() == list(range(2, 30, 3))
    (one,) = split(samples, "given", columns=("first",)).each
    assert (one.name, one.train.tolist()) == ("", list(range(0, 30, 3)))


def test_a_column_of_fold_numbers() -> None:
    """Each number is test once, in the order of numbers, not of texts; the rest is divided by whole groups."""
    made = split(in_columns(fold=["10", "9", "9"]), "given", columns=("fold",), train=0.8, dev=0.2, seed=3)

    assert [one.name for one in made.each] == ["fold-9", "fold-10"]
    assert [one.test.size for one in made.each] == [20, 10]
    assert [one.dev.size for one in made.each] == [2, 4]
    assert (made.pooled, made.keeps_groups, made.made) == (True, True, "2 folds of the column fold, seed 3")


@pytest.mark.parametrize(
    ("columns", "message", "fix"),
    [
        ({"a": ["1"]}, "the column 'a' puts all samples into fold 1", "at least two folds"),
        ({"a": ["1", "2", None]}, "'a' has fold numbers, and 10 of 30 samples have none: 0002, 0005", "number"),
        ({"a": ["1", "2", "x"]}, "0002 ('x'), 0005 ('x')", "number"),
        (
            {"a": ["train", "dev", "tset"]},
            "'a' puts 10 of 30 samples into none of train, dev, test: 0002 ('tset')",
            "correct",
        ),
        ({"a": ["train", "test"]}, "the column 'a' puts none of 30 samples into 'dev'", "dev"),
        ({"a": ["train", "dev", "test"], "b": ["1", "2"]}, "the column 'b' puts 30 of 30", "must be the only one"),
    ],
)
def test_columns_that_make_no_split(columns: dict[str, Any], message: str, fix: str) -> None:
    """The error names the column, the sample and its value."""
    problem = refused(in_columns(**columns), "given", columns=tuple(columns))

    assert message in problem.message
    assert fix in problem.fix
    assert problem.where == "[split] columns"


@pytest.mark.parametrize(("key", "value"), [("train", 0.8), ("dev", 0.2), ("seed", 7)])
def test_a_column_without_folds_takes_no_shares_and_no_seed(key: str, value: float) -> None:
    """They would change nothing: the column says all."""
    problem = refused(in_columns(a=["train", "dev", "test"]), "given", columns=("a",), **{key: value})

    assert problem.message == f"{key} needs a column of fold numbers, and 'a' has none"
    assert problem.where == f"[split] {key}"
    assert "remove" in problem.fix


@pytest.mark.parametrize(
    "use", [("grouped", {"folds": 4}), ("leave-one-out", {}), ("hold-out", {"datasets": ("Maths",)})]
)
def test_other_seeds_divide_otherwise(use: tuple[str, dict[str, Any]]) -> None:
    """The seed decides which samples are dev."""
    name, params = use
    one, other = (split(MIXED, name, **params, seed=seed).each[0].dev.tolist() for seed in (1, 2))

    assert one != other
