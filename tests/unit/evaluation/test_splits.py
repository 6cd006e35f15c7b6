"""Splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest
from handmade import splitter
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.grouping import grouped_shares, joined_groups
from vlrb.api.records import Dataset
from vlrb.api.results import SplitsInfo
from vlrb.api.schemas import TEXTS
from vlrb.api.splits import SplitRows, Splits
from vlrb.benchmark.matrices import sample_column
from vlrb.errors import DataError, PluginError
from vlrb.evaluation.splits import (
    Split,
    grouped_by,
    groups_of,
    limited_benchmark,
    make_splits,
    split_digest,
    split_samples,
    write_split,
)
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.sections import SplitSection
from vlrb_plugins.shared.sample_split import sample_split
from vlrb_plugins.splits.near_texts import near_pairs


class Samples:
    """Stands in for a benchmark: ids, datasets, image hashes and texts."""

    def __init__(
        self,
        images: list[tuple[str, ...]],
        datasets: list[str] | None = None,
        texts: list[str] | None = None,
        groups: list[list[str] | None] | None = None,
        split: list[str | None] | None = None,
        fields: list[dict[str, str]] | None = None,
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
                "fields": pa.array([list(f.items()) for f in fields or [{}] * n], TEXTS),
            }
        )
        names = sorted(set(self.datasets.tolist()))
        self.manifest = SimpleNamespace(datasets=[Dataset(name=name, group="general") for name in names])

    def __len__(self) -> int:
        return len(self.ids)


def of(images: Any, *more: Any) -> Any:
    return Samples(images, *more)


def make_split(benchmark: Any, section: ConfiguredComponent, expect: str = "") -> Split:
    """Return the only split."""
    (split,) = make_splits(benchmark, section, SplitSection(expect=expect)).splits
    return split


def info_of(benchmark: Any, section: ConfiguredComponent) -> SplitsInfo:
    return make_splits(benchmark, section, SplitSection()).info


def dealt(
    ids: Sequence[str], datasets: Any, units: Any, seed: int = 42, shares: tuple[float, ...] = (0.7, 0.1, 0.2)
) -> dict[str, Any]:
    """Return name -> rows of a split in which whole units are dealt out."""
    part = grouped_shares(np.asarray(units), datasets, ids, shares, seed)
    return {name: np.flatnonzero(part == i) for i, name in enumerate(("train", "dev", "test"))}


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
    parts = dealt(benchmark.ids, benchmark.datasets, units, seed)

    rows = np.concatenate(list(parts.values()))
    assert sorted(rows.tolist()) == list(range(len(samples)))
    owner = {}
    for name, part in parts.items():
        for i in part.tolist():
            assert owner.setdefault(units[i], name) == name
    again = dealt(benchmark.ids, benchmark.datasets, units, seed)
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
    info = info_of(of([("same",)] * 100), splitter("samples"))
    assert info.each[0].group_also_in_train == {"dev": 10, "test": 20}
    assert info.made == "sample by sample, seed 42"


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

    with pytest.raises(DataError, match="puts 1 of 4 samples into none of train, dev, test: D/0001"):
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
    plain, grouped = (make_splits(b, section, SplitSection()) for b in (of(images), of(images, None, None, groups)))

    assert plain.info.digest != grouped.info.digest
    assert plain.info.digest == plain.info.each[0].digest == make_split(of(images), section).info.digest
    assert (plain.info.groups, grouped.info.groups) == (60, 7)
    assert grouped.info.grouped_by == {"group": 60}
    assert grouped.groups.tolist() == groups_of(of(images, None, None, groups)).tolist()
    moved = {"train": np.array([0, 1]), "dev": np.array([2]), "test": np.array([3])}
    ids = ["a", "b", "c", "d"]
    assert split_digest(ids, moved) != split_digest(ids, {**moved, "dev": np.array([1]), "train": np.array([0, 2])})


def test_a_split_sample_by_sample_claims_no_groups() -> None:
    """`group_by = "sample"` and the paper's split deal out samples, whatever they share."""
    for section in (splitter(group_by="sample"), splitter("samples")):
        assert info_of(of([(str(i),) for i in range(40)]), section).grouped_by == {}


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
    parts = dealt(ids, datasets, units, seed, shares)

    expected = dealt_by_hand(
        ids, datasets.tolist(), units.tolist(), dict(zip(("train", "dev", "test"), shares, strict=True)), seed
    )
    assert {ids[row]: name for name, rows in parts.items() for row in rows.tolist()} == expected
    assert all(np.array_equal(rows, np.sort(rows)) for rows in parts.values())


def test_a_unit_larger_than_every_share_goes_where_most_is_lacking() -> None:
    """Eight samples on one image are train, and the two others are dev and test."""
    parts = dealt([f"D/{i}" for i in range(10)], np.array(["D"] * 10), np.array([0] * 8 + [8, 9]))

    assert parts["train"].tolist() == list(range(8))
    assert sorted(parts["dev"].tolist() + parts["test"].tolist()) == [8, 9]
    assert parts["dev"].size == 1


def test_what_a_split_says_of_itself() -> None:
    """Counts of samples, groups and relatives in train are what they are called; nothing grouped a split that the logs give."""
    images = [("x",), ("x",), (), *((str(i),) for i in range(17))]
    names = ["train", "test", *["train"] * 10, *["dev"] * 3, *["test"] * 5]
    info = info_of(of(images, None, None, None, names), splitter("given"))

    assert info.each[0].samples == {"train": 11, "dev": 3, "test": 6}
    assert info.groups == 19
    assert info.grouped_by == {}
    assert info.each[0].group_also_in_train == {"dev": 0, "test": 1}


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
    write_split(make_splits(benchmark, splitter("given"), SplitSection()), benchmark, tmp_path / "split.parquet")

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


@pytest.mark.parametrize(
    ("use", "params", "digest"),
    [
        ("grouped", {}, "16a26c97805641ea219a601afbae72d8df036bb7ef31bc06373189805da482fa"),
        (
            "grouped",
            {"seed": 7, "train": 0.5, "dev": 0.25, "test": 0.25},
            "49dcfd40c909071b769b3c16940fe0d5b1c7b7288c8dcf355ac560e02ed1d670",
        ),
        ("grouped", {"group_by": "sample"}, "dda6f312ba5f1f4c1d481f169aaff1f3d91693bd52384350d409494dd7f0f14d"),
        ("samples", {}, "f6859269e311542f8de5cc92a935f0b4e59765bd6f1f3f621df0fcb899957799"),
    ],
)
def test_published_digests_hold(use: str, params: dict[str, Any], digest: str) -> None:
    """An experiment that pins its split must find it again in later versions."""
    benchmark = of([(f"{i // 2}",) if i % 3 else (str(i),) for i in range(120)], ["a"] * 50 + ["b"] * 70)

    assert make_split(benchmark, splitter(use, **params)).info.digest == digest


def test_folds_are_splits_of_one_experiment() -> None:
    """Each has a name, rows, counts and a digest of its own; the digest of all is what `expect` pins."""
    benchmark = of([(f"{i // 2}",) for i in range(100)], ["a"] * 40 + ["b"] * 60)
    made = make_splits(benchmark, splitter(folds=5), SplitSection())

    assert (
        [split.name for split in made.splits]
        == [one.name for one in made.info.each]
        == [f"fold-{i}" for i in range(1, 6)]
    )
    assert sorted(np.concatenate([split.test for split in made.splits]).tolist()) == list(range(100))
    assert (made.pooled, made.info.pooled, made.info.made, made.info.groups) == (True, True, "5 folds, seed 42", 50)
    assert made.info.grouped_by == {"image": 100}
    assert made.info.parameters["test"] is None
    digests = [split.info.digest for split in made.splits]
    assert len(set(digests)) == 5
    assert made.info.digest == hashlib.sha256("\n".join(digests).encode()).hexdigest()
    assert all(split.info.group_also_in_train == {"dev": 0, "test": 0} for split in made.splits)
    assert all(split.groups is made.groups for split in made.splits)
    again = make_splits(benchmark, splitter(folds=5), SplitSection(expect=made.info.digest[:8]))
    assert again.info.digest == made.info.digest
    with pytest.raises(DataError, match="other samples would be tested"):
        make_splits(benchmark, splitter(folds=5), SplitSection(expect=digests[0]))


def test_an_empty_part_of_a_fold_is_named() -> None:
    """Two folds of one group each leave nothing for dev."""
    with pytest.raises(DataError, match="the split 'dev' of 'fold-1' is empty: 6 samples in 2 groups"):
        make_splits(of([(f"{i % 2}",) for i in range(6)]), splitter(folds=2), SplitSection())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=60, max_size=120),
    st.lists(st.sampled_from([0.2, 0.3, 0.5, 0.75, 0.9]), unique=True, min_size=1),
)
def test_smaller_parts_of_train_are_nested(samples: list[tuple[int, int]], fractions: list[float]) -> None:
    """Whole groups are kept, dev and test stay, and what a smaller part has, a larger one has too, in its share per dataset."""
    benchmark = of([(f"{g}-{d}",) for g, d in samples], [f"d{d}" for _, d in samples])
    try:
        made = make_splits(benchmark, splitter(), SplitSection(train_fraction=(1.0, *fractions)))
    except DataError:
        return
    (whole,) = made.splits

    assert [split.name for split in made.smaller] == [f"train={f}" for f in sorted(fractions)]
    assert [one.train_fraction for one in made.info.each] == [1.0, *sorted(fractions)]
    larger = {*whole.train.tolist()}
    for split in reversed(made.smaller):
        kept = {*split.train.tolist()}
        assert kept <= larger
        larger = kept
        left_out = {*whole.train.tolist()} - kept
        assert not {made.groups[i] for i in kept} & {made.groups[i] for i in left_out}
        assert np.array_equal(split.dev, whole.dev)
        assert np.array_equal(split.test, whole.test)
        for dataset in set(benchmark.datasets.tolist()):
            sizes = np.unique(made.groups[whole.train[benchmark.datasets[whole.train] == dataset]], return_counts=True)[
                1
            ]
            here = (benchmark.datasets[split.train] == dataset).sum()
            assert abs(here - split.info.train_fraction * sizes.sum()) <= (sizes.max() if sizes.size else 0) / 2 + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.booleans()), min_size=2, max_size=120),
    st.lists(st.integers(1, 130), min_size=2, max_size=4),
)
def test_a_first_try_has_whole_groups_of_every_dataset(samples: list[tuple[int, int, bool]], limits: list[int]) -> None:
    """Smaller limits are subsets of larger ones; each dataset, with groups of its own or not, has samples, about its share."""
    images = [(f"{g}" if shared else f"{g}-{d}",) for g, d, shared in samples]
    benchmark: Any = of(images, [f"d{d}" for _, d, _ in samples])
    benchmark.take = lambda rows: set(rows.tolist())
    groups = groups_of(benchmark)
    larger = set(range(len(samples)))
    for most in sorted(limits, reverse=True):
        taken: Any = limited_benchmark(benchmark, most)
        if most >= len(samples):
            assert taken is benchmark
            continue
        assert taken <= larger
        larger = taken
        assert not {groups[i] for i in taken} & {groups[i] for i in range(len(samples)) if i not in taken}
        assert {samples[i][1] for i in taken} == {d for _, d, _ in samples}
        # half a group more or less per dataset, and its first group
        assert abs(len(taken) - most) <= 2 * 3 * np.bincount(groups).max()


def test_a_thinned_train_is_counted_and_has_its_own_digest() -> None:
    """The digest of the experiment's split is that of the whole train, so that learning curves leave `expect` alone."""
    benchmark = of([(str(i),) for i in range(200)], ["a"] * 150 + ["b"] * 50)
    plain = make_split(benchmark, splitter())
    made = make_splits(benchmark, splitter(), SplitSection(train_fraction=(0.1, 1.0, 0.5)))

    assert made.info.digest == made.info.each[0].digest == plain.info.digest
    assert [one.samples["train"] for one in made.info.each] == [140, 11 + 4, 53 + 18]  # halves are rounded up
    assert len({one.digest for one in made.info.each}) == 3
    other = make_splits(benchmark, splitter(folds=4, seed=5), SplitSection(train_fraction=(0.1, 1.0)))
    assert [split.name for split in other.smaller] == [f"fold-{i},train=0.1" for i in range(1, 5)]
    with pytest.raises(DataError, match="the split 'train' of 'train=0.001' is empty") as raised:
        make_splits(benchmark, splitter(), SplitSection(train_fraction=(0.001, 1.0)))
    assert "larger train_fraction" in raised.value.problems[0].fix


def test_a_group_of_two_datasets_is_kept_or_left_out_whole() -> None:
    """It counts to the dataset of its first sample, of which all is kept at 0.99999 too."""
    benchmark = of([("x",)] * 6 + [(str(i),) for i in range(60)], ["a"] * 2 + ["b"] * 34 + ["a"] * 30)
    made = make_splits(benchmark, splitter(), SplitSection(train_fraction=(1.0, 0.99999)))

    assert np.array_equal(made.smaller[0].train, made.splits[0].train)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((0.5,), "must contain 1, since the leaderboard is of the whole train"),
        ((), "must contain 1"),
        ((0.5, 0.5, 1.0), "differ in their first six digits"),
        ((0.0, 1.0), "above 0, at most 1"),
        ((1.5, 1.0), "above 0, at most 1"),
    ],
)
def test_fractions_of_train_that_are_refused(value: tuple[float, ...], message: str) -> None:
    """The whole train is always among them."""
    with pytest.raises(ValueError, match=message):
        SplitSection(train_fraction=value)


def test_several_splits_are_stored_with_their_names(tmp_path: Path) -> None:
    """A row per sample and split; samples that a thinned train leaves out have none there."""
    benchmark = of([(str(i),) for i in range(60)])
    made = make_splits(benchmark, splitter(folds=2), SplitSection(train_fraction=(0.5, 1.0)))
    write_split(made, benchmark, tmp_path / "split.parquet")
    rows = pq.read_table(tmp_path / "split.parquet").to_pylist()

    assert len(rows) == 2 * 60 + sum(sum(one.info.samples.values()) for one in made.smaller)
    for one in (*made.splits, *made.smaller):
        found = {row["id"]: row["split"] for row in rows if row["split_name"] == one.name}
        assert found == {benchmark.ids[i]: part for part in ("train", "dev", "test") for i in one.rows(part).tolist()}


def test_columns_of_the_samples() -> None:
    """Those of the benchmark, then those of the logs; an unknown one is refused with those that are like it."""
    images: list[tuple[str, ...]] = [("a",), ("b",), ("c",)]
    samples = of(images, None, ["x", "y", "z"], None, None, [{"difficulty": "easy"}, {}, {"question": "no"}]).samples

    assert sample_column(samples, "difficulty", "[split]") == ("easy", None, None)
    assert sample_column(samples, "question", "[split]") == ("x", "y", "z")
    with pytest.raises(DataError, match="no sample has a column 'dificulty'") as raised:
        sample_column(samples, "dificulty", "[statistics] by")
    assert raised.value.problems[0].fix == "did you mean 'difficulty'?"
    assert raised.value.problems[0].where == "[statistics] by"
    with pytest.raises(DataError, match="no sample has a column 'groups'"):
        sample_column(samples, "groups", "[split]")


def test_a_splitter_sees_the_columns_and_slugs() -> None:
    """What a plugin is given of a benchmark."""
    fields = [{"fold": str(i % 3)} for i in range(30)]
    benchmark = of([(str(i),) for i in range(30)], ["My Docs"] * 15 + ["b"] * 15, None, None, None, fields)
    made = make_splits(benchmark, splitter("given", columns=("fold",)), SplitSection())

    assert [split.test.tolist()[:2] for split in made.splits] == [[0, 3], [1, 4], [2, 5]]
    seen = split_samples(benchmark)
    assert seen.slugs == {"My Docs": "my-docs", "b": "b"}
    assert seen.task_groups.tolist() == ["general"] * 30
    out = make_splits(benchmark, splitter("leave-one-out"), SplitSection())
    assert [split.name for split in out.splits] == ["b", "my-docs"]


def returning(value: Any) -> ConfiguredComponent:
    """Return a splitter that returns a value whatever it is given."""
    made = splitter()
    record = attrs.evolve(made.registered.record, factory=lambda _: lambda _: value)
    return attrs.evolve(made, registered=attrs.evolve(made.registered, record=record))


def rows_of(*parts: list[int], name: str = "") -> SplitRows:
    train, dev, test = map(np.array, parts)
    return SplitRows(train, dev, test, name)


GOOD = rows_of([0, 1], [2], [3], name="a")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (GOOD, "returned SplitRows instead of Splits"),
        (Splits((), "x"), "at least one"),
        (Splits([GOOD], "x"), "must be a tuple of SplitRows"),
        (Splits((GOOD,), None), "made must be a text"),
        (Splits((GOOD,), "x", pooled=1), "pooled must be True or False, not 1"),
        (Splits((GOOD,), "x", groups=np.zeros(3, dtype=int)), "each of 4 samples into a group, not 3"),
        (Splits((GOOD,), "x", groups=np.zeros(4)), "its groups must be integers, not float64"),
        (Splits((rows_of([0], [2], [3]),), "x"), ": each of 4 samples must be in exactly one of train, dev, test"),
        (Splits((GOOD, rows_of([0, 1], [2], [2], name="b")), "x"), "split 'b': each of 4 samples"),
        (Splits((rows_of([0, 1], [2], [4]),), "x"), "each of 4 samples must be in exactly one"),
        (Splits((GOOD, GOOD), "x"), "gave several splits the same name: a"),
        (Splits((GOOD, rows_of([0, 1], [2], [3])), "x"), "not ''"),
        (Splits((rows_of([0, 1], [2], [3], name="../a"),), "x"), "a split's name must be"),
        (Splits((rows_of([0, 1], [2], [3], name="a,train=0.1"),), "x"), "a split's name must be"),
        (Splits((rows_of([0, 1], [2], [3], name="a" * 101),), "x"), "a split's name must be"),
        (
            Splits((GOOD, rows_of([0, 2], [1], [3], name="b")), "x", pooled=True),
            "returned pooled=True but tests some samples twice",
        ),
    ],
)
def test_what_a_splitter_may_not_return(value: Any, message: str) -> None:
    """The error names the plugin, never a wrong split."""
    with pytest.raises(PluginError, match="splits") as raised:
        make_splits(of([(str(i),) for i in range(4)]), returning(value), SplitSection())

    assert message in raised.value.problems[0].message
    assert "splitter 'splits/grouped'" in raised.value.problems[0].message
