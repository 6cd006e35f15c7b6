"""Splits into train, dev and test: grouped by image, stratified by dataset, stored by sample id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.benchmark import Benchmark
from vlrb.cache import new_file
from vlrb.config import SplitSection
from vlrb.errors import DataError
from vlrb.types import Array, read_only

NAMES = ("train", "dev", "test")


@attrs.frozen(eq=False)
class Split:
    """Row numbers of a benchmark per split, ascending, and what is worth saying about the split."""

    train: Array
    dev: Array
    test: Array
    about: Mapping[str, Any]
    digest: str

    def rows(self, name: str) -> Array:
        """Return the rows of ``train``, ``dev`` or ``test``."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]


def make_split(benchmark: Benchmark, section: SplitSection) -> Split:
    """Split a benchmark.

    :raises DataError: when a split would be empty
    """
    groups = groups_of(benchmark)
    if section.method == "paper":
        parts = paper_split(len(benchmark), section)
    else:
        units = groups if section.grouping == "image" else np.arange(len(benchmark))
        parts = stratified_split(benchmark.ids, benchmark.datasets, units, section)
    for name in NAMES:
        if not parts[name].size:
            raise DataError(
                f"the split {name!r} is empty: {len(benchmark)} samples in {len(np.unique(groups))} groups that share images",
                where="[split]",
                fix=f"use more samples, or a larger share for {name}",
            )
    leaking = np.isin(groups, groups[parts["train"]])
    about = {
        **{k: v for k, v in attrs.asdict(section).items() if k != "group_by"},
        "group_by": section.grouping,
        "samples": {name: int(parts[name].size) for name in NAMES},
        "groups": int(np.unique(groups).size),
        "samples_without_images": sum(not h for h in benchmark.image_hashes),
        "image_also_in_train": {name: int(leaking[parts[name]].sum()) for name in ("dev", "test")},
    }
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(("\0".join(benchmark.ids[i] for i in parts[name]) + "\1").encode())
    train, dev, test = read_only(parts[name] for name in NAMES)
    return Split(train, dev, test, about, digest.hexdigest())


def write_split(split: Split, benchmark: Benchmark, path: Path) -> None:
    """Store a split as a Parquet file of sample ids."""
    name = np.empty(len(benchmark), dtype=object)
    for part in NAMES:
        name[split.rows(part)] = part
    with new_file(path) as aside:
        pq.write_table(pa.table({"id": benchmark.ids, "split": pa.array(name, pa.string())}), aside)


def groups_of(benchmark: Benchmark) -> Array:
    """Return a group number per sample, int[n]: samples that share an image are in one group, transitively.

    Samples without images are grouped by their text instead.
    """
    texts = benchmark.samples.column("question").to_pylist()
    handles = [h or (" ".join(t.casefold().split()),) for h, t in zip(benchmark.image_hashes, texts, strict=True)]
    parent = list(range(len(handles)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, names in enumerate(handles):
        for name in names:
            one, other = root(first.setdefault(name, i)), root(i)
            parent[max(one, other)] = min(one, other)
    return np.array([root(i) for i in range(len(handles))], dtype=np.int64)


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
