"""Splits into train, dev and test: grouped by image, stratified by dataset, stored by sample id."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import Array, sealed
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, shorten_list
from vlrb.evaluation.neartext import near_pairs
from vlrb.experiment.sections import SplitSection
from vlrb.storage import new_file

NAMES = ("train", "dev", "test")
GROUPED_BY = ("group", "image", "text")


@attrs.frozen(eq=False)
class Split:
    """Row numbers of a benchmark per split, ascending, and what is worth saying about the split.

    ``digest`` identifies which sample ids stand in which part; ``groups`` int[n] is the group of every sample of the benchmark.
    """

    train: Array
    dev: Array
    test: Array
    about: Mapping[str, Any]
    digest: str
    groups: Array

    def rows(self, name: str) -> Array:
        """Return the rows of ``train``, ``dev`` or ``test``."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]


def make_split(benchmark: Benchmark, section: SplitSection) -> Split:
    """Split a benchmark.

    :raises DataError: when a split would be empty, or the logs are asked for a split that they do not give
    """
    groups = groups_of(benchmark, section.near_duplicates)
    if section.method == "given":
        parts = given_split(benchmark)
    elif section.method == "paper":
        parts = paper_split(len(benchmark), section)
    else:
        units = groups if section.grouping == "image" else np.arange(len(benchmark))
        parts = stratified_split(benchmark.ids, benchmark.datasets, units, section)
    for name in NAMES:
        if not parts[name].size:
            raise _empty(name, section, len(benchmark), int(np.unique(groups).size))
    digest = split_digest(benchmark.ids, parts)
    _check_expected(digest, section.expect)
    about = {
        **{k: v for k, v in attrs.asdict(section).items() if k not in ("group_by", "expect")},
        "group_by": section.grouping,
        "samples": {name: int(parts[name].size) for name in NAMES},
        "digest": digest,
        "groups": int(np.unique(groups).size),
        "grouped_by": grouped_by(benchmark) if section.grouping == "image" else {},
        "group_also_in_train": {name: leaking(groups, parts["train"], parts[name]) for name in ("dev", "test")},
    }
    train, dev, test = (sealed(parts[name]) for name in NAMES)
    return Split(train, dev, test, about, digest, sealed(groups))


def _empty(name: str, section: SplitSection, samples: int, groups: int) -> DataError:
    if section.method == "given":
        what, fix = f"the logs put none of {samples:,} samples into {name!r}", f"let the logs name samples for {name}"
        fix += ', or choose method = "stratified"'
    else:
        what = f"the split {name!r} is empty: {samples:,} samples in {groups:,} groups that are kept together"
        fix = f"use more samples, or a larger share for {name}"
    return DataError(what, where="[split] method" if section.method == "given" else "[split]", fix=fix)


def split_digest(ids: Sequence[str], parts: Mapping[str, Array]) -> str:
    """Return a SHA-256 of the sample ids of train, dev and test: two splits with the same digest are the same split."""
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(("\0".join(ids[i] for i in parts[name].tolist()) + "\1").encode())
    return digest.hexdigest()


def _check_expected(digest: str, expect: str) -> None:
    if not digest.startswith(expect):
        raise DataError(
            f"the split's digest is {digest}, not {expect}: other samples would be tested",
            where="[split] expect",
            fix="use the logs, groups and [split] keys that the digest was published with, or remove expect",
        )


def leaking(groups: Array, train: Array, rows: Array) -> int:
    """Return how many of some rows have a relative among the training rows."""
    return int(np.isin(groups[rows], groups[train]).sum())


def write_split(split: Split, benchmark: Benchmark, path: Path) -> None:
    """Store a split as a Parquet file of sample ids."""
    name = np.empty(len(benchmark), dtype=object)
    for part in NAMES:
        name[split.rows(part)] = part
    with new_file(path) as aside:
        pq.write_table(pa.table({"id": benchmark.ids, "split": pa.array(name, pa.string())}), aside)


def groups_of(benchmark: Benchmark, near_duplicates: float | None = None) -> Array:
    """Return a group number per sample, int[n].

    In one group, transitively, are samples that share an image, samples that the logs say belong together (versions of a
    MathVerse problem, questions on a HallusionBench figure), samples without images that have the same text and, on request,
    samples whose texts are nearly the same.

    :param near_duplicates: similarity of texts from which they count as nearly the same; None for no look at it
    """
    texts = benchmark.samples.column("question").to_pylist()
    given = benchmark.samples.column("groups").to_pylist()
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        one, other = root(i), root(j)
        parent[max(one, other)] = min(one, other)

    first: dict[tuple[str, str], int] = {}
    for i, (hashes, text, names) in enumerate(zip(benchmark.image_hashes, texts, given, strict=True)):
        handles = [("image", h) for h in hashes] or [("text", " ".join(text.casefold().split()))]
        for handle in (*handles, *(("group", name) for name in names or ())):
            if (before := first.setdefault(handle, i)) != i:
                join(before, i)
    if near_duplicates is not None:
        for i, j in near_pairs(texts, near_duplicates):
            join(i, j)
    return np.array([root(i) for i in range(len(texts))], dtype=np.int64)


def grouped_by(benchmark: Benchmark) -> dict[str, int]:
    """Return by what :func:`groups_of` groups how many samples.

    ``group``: samples for which the logs name a group; ``image``: of the others, those with images; ``text``: the rest.
    """
    given = benchmark.samples.column("groups").to_pylist()
    kinds = ("group" if g else "image" if h else "text" for g, h in zip(given, benchmark.image_hashes, strict=True))
    found = Counter(kinds)
    return {kind: found[kind] for kind in GROUPED_BY if found[kind]}


def given_split(benchmark: Benchmark) -> dict[str, Array]:
    """Return the split that the logs prescribe.

    :raises DataError: when a sample has none of the three
    """
    column = benchmark.samples.column("split").to_pylist()
    without = [i for i, name in zip(benchmark.ids, column, strict=True) if name not in NAMES]
    if without:
        raise DataError(
            f"the logs put {len(without):,} of {len(column):,} samples into none of {', '.join(NAMES)}: {shorten_list(without)}",
            where="[split] method",
            fix='choose method = "stratified", or use logs that say the split of every sample',
        )
    names = np.asarray(column)
    return {name: np.flatnonzero(names == name) for name in NAMES}


def paper_split(n: int, section: SplitSection) -> dict[str, Array]:
    """Return VL-RouterBench's split: a numpy-seeded shuffle of the samples, in order of their ids, cut in three."""
    order = np.arange(n)
    np.random.RandomState(section.seed).shuffle(order)
    train, dev = int(section.train * n), int(section.dev * n)
    cuts = np.split(order, [train, train + dev])
    return {name: np.sort(cut) for name, cut in zip(NAMES, cuts, strict=True)}


def stratified_split(ids: Sequence[str], datasets: Array, units: Array, section: SplitSection) -> dict[str, Array]:
    """Return a split in which whole units are dealt out, dataset by dataset, in the order of a seeded hash.

    Large units come first.  Each goes to the split that lacks most of its share among those with room for it, so that large
    and small units are spread alike; where none has room, to the one that lacks most samples.

    :param datasets: str[n]
    :param units: int[n], the unit that each sample belongs to
    """
    members: dict[int, list[int]] = {}
    for i, unit in enumerate(units.tolist()):
        members.setdefault(unit, []).append(i)
    shares = np.array([section.train, section.dev, section.test])
    names, counts = np.unique(datasets, return_counts=True)
    target = {str(n): c * shares for n, c in zip(names, counts, strict=True)}
    filled = {n: np.zeros(3) for n in target}

    def order(rows: list[int]) -> tuple[int, bytes]:
        return -len(rows), hashlib.sha256(f"{section.seed}:{ids[rows[0]]}".encode()).digest()

    dealt: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in sorted(members.values(), key=order):
        dataset = str(datasets[rows[0]])
        lacking = target[dataset] - filled[dataset]
        room = lacking >= len(rows) - 1e-9
        choice = int(np.where(room, lacking / target[dataset], -np.inf).argmax() if room.any() else lacking.argmax())
        for i in rows:
            filled[str(datasets[i])][choice] += 1
        dealt[choice].extend(rows)
    return {name: np.array(sorted(rows), dtype=np.int64) for name, rows in zip(NAMES, dealt, strict=True)}
