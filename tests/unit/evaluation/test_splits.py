"""Splits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from handmade import splitter
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.splits import joined_groups
from vlrb.errors import DataError
from vlrb.evaluation.splits import grouped_by, groups_of, make_split, split_digest, write_split
from vlrb_plugins.shared.sample_split import sample_split
from vlrb_plugins.splits.near_texts import near_pairs
from vlrb_plugins.splits.params import GroupedParams
from vlrb_plugins.splits.splitters import stratified_split


class Samples:
    """Stands in for a benchmark: ids, datasets, image hashes and texts."""

    def __init__(
        self,
        images: list[tuple[str, ...]],
        datasets: list[str] | None = None,
        texts: list[str] | None = None,
        groups: list[list[str] | None] | None = None,
        split: list[str | None] | None = None,
    ) -> None:
        import pyarrow as pa

        n = len(images)
        self.ids = tuple(f"D/{i:04d}" for i in range(n))
        self.image_hashes = images
        self.datasets = np.array(datasets or ["D"] * n)
        questions = texts or [f"q{i}" for i in range(n)]
        self.samples = pa.table(
            {
                "question": questions,
                "groups": pa.array(groups or [None] * n, pa.list_(pa.string())),
                "split": pa.array(split or [None] * n, pa.string()),
            }
        )

    def __len__(self) -> int:
        return len(self.ids)


def of(images: Any, *more: Any) -> Any:
    return Samples(images, *more)


def dealt(*arguments: Any) -> dict[str, Any]:
    """Return name -> rows of a stratified split."""
    return dict(zip(("train", "dev", "test"), stratified_split(*arguments), strict=True))


def cut(n: int, seed: int = 42) -> dict[str, Any]:
    """Return name -> rows of the paper's split."""
    return dict(zip(("train", "dev", "test"), sample_split(n, 0.7, 0.1, seed), strict=True))


def test_samples_that_share_an_image_are_one_group_transitively() -> None:
    """a-b and b-c share images, so a, b and c stay together; samples without images go by their text."""
    groups = groups_of(
        of([("x",), ("x", "y"), ("y",), ("z",), (), ()], None, ["1", "2", "3", "4", "Same  text", "same text"])
    )

    assert groups.tolist() == [0, 0, 0, 3, 4, 4]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), min_size=40, max_size=120), st.integers(0, 9))
def test_no_image_straddles_two_splits_and_every_sample_is_in_one(samples: list[tuple[int, int]], seed: int) -> None:
    """Whatever shares an image stays together, all rows are dealt out once, and the same again for the same seed."""
    benchmark = of([(f"{d}-{i}",) for i, d in samples], [f"d{d}" for _, d in samples])
    units = groups_of(benchmark)
    parts = dealt(benchmark.ids, benchmark.datasets, units, GroupedParams(seed=seed))

    rows = np.concatenate(list(parts.values()))
    assert sorted(rows.tolist()) == list(range(len(samples)))
    owner = {}
    for name, part in parts.items():
        for i in part.tolist():
            assert owner.setdefault(units[i], name) == name
    again = dealt(benchmark.ids, benchmark.datasets, units, GroupedParams(seed=seed))
    assert all(np.array_equal(parts[n], again[n]) for n in parts)


def test_single_samples_are_stratified_by_dataset() -> None:
    """Each dataset has its share in each split, to within one sample."""
    datasets = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    benchmark = of([(str(i),) for i in range(160)], datasets)
    split = make_split(benchmark, splitter())

    for name, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
        for dataset, size in (("a", 100), ("b", 50), ("c", 10)):
            assert abs((benchmark.datasets[split.rows(name)] == dataset).sum() - share * size) <= 1
    assert split.info.group_also_in_train == {"dev": 0, "test": 0}


def test_large_and_small_groups_are_spread_alike() -> None:
    """Images with many questions do not all end up in train."""
    images = [(f"big{i // 5}",) for i in range(500)] + [(f"small{i}",) for i in range(500)]
    split = make_split(of(images), splitter())

    for name, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
        large = (split.rows(name) < 500).mean()
        assert abs(split.rows(name).size - share * 1000) <= 5
        assert 0.35 < large < 0.65


def test_the_papers_split_is_numpys_seeded_shuffle() -> None:
    """int(.7 n), int(.1 n) and the rest, of RandomState(42)'s shuffle, and its leaks are counted."""
    order = np.arange(30540)
    np.random.RandomState(42).shuffle(order)
    parts = cut(30540)

    assert [parts[n].size for n in ("train", "dev", "test")] == [21378, 3054, 6108]
    assert parts["train"].tolist() == sorted(order[:21378].tolist())
    split = make_split(of([("same",)] * 100), splitter("samples"))
    assert split.info.group_also_in_train == {"dev": 10, "test": 20}
    assert split.info.made == "sample by sample, seed 42"


def test_one_image_for_all_cannot_be_split() -> None:
    """An empty split is an error that says why."""
    with pytest.raises(Exception, match="1 groups that are kept together"):
        make_split(of([("same",)] * 100), splitter())


def test_what_the_logs_call_a_group_stays_together() -> None:
    """Versions of one problem with pictures of their own are relatives all the same."""
    groups = groups_of(of([("a",), ("b",), ("c",)], None, None, [["p1"], ["p1", "p2"], ["p2"]]))

    assert groups.tolist() == [0, 0, 0]


def test_near_duplicates_are_relatives_on_request_only() -> None:
    """A question that differs by a word or by its punctuation is the same question to a router."""
    long = "How many of the red boats in the harbour have a white sail and a black flag at the mast today"
    texts = [
        long,
        long.replace("today", "now"),
        "Which animal eats the grasshopper in this food web",
        long.upper() + "?",
    ]
    benchmark = of([(str(i),) for i in range(4)], None, texts)

    assert groups_of(benchmark).tolist() == [0, 1, 2, 3]
    for least, expected in ((0.8, [0, 0, 2, 0]), (1.0, [0, 1, 2, 0])):
        pairs = list(near_pairs(benchmark.samples.column("question").to_pylist(), least))
        assert joined_groups(groups_of(benchmark), pairs).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=2, max_size=30))
def test_any_texts_can_be_compared(texts: list[str]) -> None:
    """Texts without words are near nothing; equal texts with words are always found."""
    pairs = {frozenset(p) for p in near_pairs(texts, 1.0)}

    assert all(i != j for i, j in map(sorted, pairs))
    first: dict[str, int] = {}
    alone = groups_of(of([(str(i),) for i in range(len(texts))], None, texts))
    groups = joined_groups(alone, list(near_pairs(texts, 1.0)))
    for i, text in enumerate(texts):
        if any(c.isalnum() for c in text):
            assert groups[i] == groups[first.setdefault(text, i)]


def test_a_split_that_the_logs_prescribe() -> None:
    """Its rows are as the logs say; a sample without one of the three names is an error that counts such samples."""
    given_names = ["train", "dev", "test", "train"]
    split = make_split(of([(str(i),) for i in range(4)], None, None, None, given_names), splitter("given"))
    assert [split.rows(n).tolist() for n in ("train", "dev", "test")] == [[0, 3], [1], [2]]

    with pytest.raises(DataError, match="put 1 of 4 samples into none of train, dev, test: D/0001"):
        make_split(
            of([(str(i),) for i in range(4)], None, None, None, ["train", None, "test", "dev"]),
            splitter("given"),
        )


def test_what_grouped_the_samples_is_counted() -> None:
    """The logs' groups first, then images; a sample is said to go by its text only where it has neither."""
    benchmark = of([("x",), ("y",), (), (), ()], None, None, [["g"], None, ["g"], None, None])

    assert grouped_by(benchmark) == {"group": 2, "image": 1, "text": 2}


def test_a_split_is_identified_by_which_samples_stand_where() -> None:
    """With and without the logs' groups other samples are tested, and the digest says so; the same split has the same one."""
    groups = [[f"g{i % 7}"] for i in range(60)]
    images = [(str(i),) for i in range(60)]
    section = splitter(train=0.5, dev=0.2, test=0.3)
    plain, grouped = make_split(of(images), section), make_split(of(images, None, None, groups), section)

    assert plain.info.digest != grouped.info.digest
    assert plain.info.digest == make_split(of(images), section).info.digest
    assert (plain.info.groups, grouped.info.groups) == (60, 7)
    assert grouped.info.grouped_by == {"group": 60}
    assert grouped.groups.tolist() == groups_of(of(images, None, None, groups)).tolist()
    moved = {"train": np.array([0, 1]), "dev": np.array([2]), "test": np.array([3])}
    ids = ["a", "b", "c", "d"]
    assert split_digest(ids, moved) != split_digest(ids, {**moved, "dev": np.array([1]), "train": np.array([0, 2])})


def test_a_split_sample_by_sample_claims_no_groups() -> None:
    """`group_by = "sample"` and the paper's split deal out samples, whatever they share."""
    for section in (splitter(group_by="sample"), splitter("samples")):
        assert make_split(of([(str(i),) for i in range(40)]), section).info.grouped_by == {}


def test_another_split_than_the_expected_one_is_refused() -> None:
    """A published experiment pins its test samples; the first characters of the digest suffice."""
    benchmark = of([(str(i),) for i in range(40)])
    digest = make_split(benchmark, splitter()).info.digest

    assert make_split(benchmark, splitter(), digest[:12]).info.digest == digest
    with pytest.raises(DataError, match="expect") as raised:
        make_split(benchmark, splitter(seed=7), digest)
    assert raised.value.problems[0].where == "[split] expect"


@pytest.mark.parametrize("seed", [42, 7])
@pytest.mark.parametrize("n", [10, 17, 19, 29, 90, 95, 101, 1234])
def test_the_papers_split_cuts_as_the_paper_does_at_any_size(n: int, seed: int) -> None:
    """``int`` of the float product, never rounded: 0.7 of 17 are 11, and of 90, by the float's last bit, 62.

    Source: VL-RouterBench, tools/build_benchmark_from_vlmevalkit.py.
    """
    numbers = list(range(n))
    np.random.RandomState(seed).shuffle(numbers)
    train, dev = int(0.7 * n), int(0.1 * n)
    parts = cut(n, seed)

    assert parts["train"].tolist() == sorted(numbers[:train])
    assert parts["dev"].tolist() == sorted(numbers[train : train + dev])
    assert parts["test"].tolist() == sorted(numbers[train + dev :])


@pytest.mark.parametrize(
    ("n", "sizes"), [(10, (7, 1, 2)), (17, (11, 1, 5)), (19, (13, 1, 5)), (90, (62, 9, 19)), (101, (70, 10, 21))]
)
def test_sizes_of_the_papers_split(n: int, sizes: tuple[int, int, int]) -> None:
    """Worked out by hand: the share of train and that of dev are rounded down, and test gets the rest."""
    parts = cut(n)
    assert tuple(parts[name].size for name in ("train", "dev", "test")) == sizes


def dealt_by_hand(
    ids: list[str], datasets: list[str], units: list[int], shares: dict[str, float], seed: int
) -> dict[str, str]:
    """Return sample id -> split: whole units, large ones first, equals in the order of a hash, to the split that lacks most."""
    members: dict[int, list[int]] = {}
    for row, unit in enumerate(units):
        members.setdefault(unit, []).append(row)
    hashed = {u: hashlib.sha256(f"{seed}:{ids[rows[0]]}".encode()).hexdigest() for u, rows in members.items()}
    wanted = {d: {name: share * datasets.count(d) for name, share in shares.items()} for d in datasets}
    found: dict[str, str] = {}
    for unit in sorted(members, key=lambda u: (-len(members[u]), hashed[u])):
        dataset = datasets[members[unit][0]]
        have = {
            name: sum(found.get(i) == name for i, d in zip(ids, datasets, strict=True) if d == dataset)
            for name in shares
        }
        lacks = {name: wanted[dataset][name] - have[name] for name in shares}
        fitting = [name for name in shares if lacks[name] > len(members[unit]) - 1e-6]
        if fitting:
            best = max(fitting, key=lambda name: lacks[name] / wanted[dataset][name])
        else:
            best = max(lacks, key=lambda name: lacks[name])
        found |= {ids[row]: best for row in members[unit]}
    return found


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.2), (0.5, 0.25, 0.25)])
@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("sizes", [(1, 2), (1, 4), (3, 12)])
def test_units_are_dealt_as_described(shares: tuple[float, float, float], seed: int, sizes: tuple[int, int]) -> None:
    """Against a plain loop over units, with units of all sizes, some of which have samples of two datasets."""
    rng = np.random.default_rng([seed, *sizes])
    units = np.repeat(np.arange(40), rng.integers(sizes[0], sizes[1] + 1, 40))
    rng.shuffle(units)
    datasets = np.where(units % 5 == 0, "a", np.where(rng.random(units.size) < 0.02, "a", "b"))
    ids = [f"D/{i:03d}" for i in range(units.size)]
    params = GroupedParams(train=shares[0], dev=shares[1], test=shares[2], seed=seed)
    parts = dealt(ids, datasets, units, params)

    expected = dealt_by_hand(
        ids, datasets.tolist(), units.tolist(), dict(zip(("train", "dev", "test"), shares, strict=True)), seed
    )
    assert {ids[row]: name for name, rows in parts.items() for row in rows.tolist()} == expected
    assert all(np.array_equal(rows, np.sort(rows)) for rows in parts.values())


def test_a_unit_larger_than_every_share_goes_where_most_is_lacking() -> None:
    """Eight samples on one image are train, and the two others are dev and test."""
    parts = dealt([f"D/{i}" for i in range(10)], np.array(["D"] * 10), np.array([0] * 8 + [8, 9]), GroupedParams())

    assert parts["train"].tolist() == list(range(8))
    assert sorted(parts["dev"].tolist() + parts["test"].tolist()) == [8, 9]
    assert parts["dev"].size == 1


def test_what_a_split_says_of_itself() -> None:
    """Counts of samples, groups and relatives in train are what they are called; nothing grouped a split that the logs give."""
    images = [("x",), ("x",), (), *((str(i),) for i in range(17))]
    names = ["train", "test", *["train"] * 10, *["dev"] * 3, *["test"] * 5]
    split = make_split(of(images, None, None, None, names), splitter("given"))

    assert split.info.samples == {"train": 11, "dev": 3, "test": 6}
    assert split.info.groups == 19
    assert split.info.grouped_by == {}
    assert split.info.group_also_in_train == {"dev": 0, "test": 1}


def test_a_splits_digest_tells_which_samples_are_where() -> None:
    """The same parts have the same digest; a sample moved, or two parts exchanged, have another."""

    def digest(names: list[str]) -> str:
        return make_split(
            of([(str(i),) for i in range(5)], None, None, None, list(names)), splitter("given")
        ).info.digest

    one = ["train", "train", "dev", "test", "test"]
    others = [
        ["train", "dev", "dev", "test", "test"],
        ["test", "test", "dev", "train", "train"],
        ["train", "test", "dev", "train", "test"],
    ]
    assert digest(one) == digest(list(one))
    assert len({digest(one), *map(digest, others)}) == 4


def test_a_split_is_stored_by_sample_id(tmp_path: Path) -> None:
    """A row per sample in the benchmark's order, with the name of its split."""
    benchmark = of([(str(i),) for i in range(4)], None, None, None, ["train", "dev", "test", "train"])
    write_split(make_split(benchmark, splitter("given")), benchmark, tmp_path / "split.parquet")

    assert pq.read_table(tmp_path / "split.parquet").to_pydict() == {
        "id": ["D/0000", "D/0001", "D/0002", "D/0003"],
        "split": ["train", "dev", "test", "train"],
    }


def test_grouping_by_sample_parts_what_shares_an_image() -> None:
    """It is allowed, and counted."""
    images = [(str(i // 2),) for i in range(100)]
    split = make_split(of(images), splitter(group_by="sample"))

    assert [split.rows(n).size for n in ("train", "dev", "test")] == [70, 10, 20]
    assert split.info.group_also_in_train["test"] > 0
    assert make_split(of(images), splitter()).info.group_also_in_train == {"dev": 0, "test": 0}


def test_a_part_that_the_logs_leave_empty_is_named() -> None:
    """The advice is about the logs: more samples would not help."""
    names: list[str | None] = ["train", "test", "train"]
    with pytest.raises(DataError, match="'dev'") as raised:
        make_split(of([("a",), ("b",), ("c",)], None, None, None, names), splitter("given"))

    assert "logs" in raised.value.problems[0].message
    assert raised.value.problems[0].where == "[split] use"
