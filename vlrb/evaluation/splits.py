"""Splits into train, dev and test: made by a splitter, checked, identified by a digest, stored by sample id."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import Array, FrozenDict, sealed
from vlrb.api.grouping import joined_groups, rows_by_group
from vlrb.api.results import SplitInfo, SplitsInfo, variant_name
from vlrb.api.returned import FIX, plain_array
from vlrb.api.splits import SPLITS, SplitRows, Splits, SplitSamples
from vlrb.benchmark.matrices import Benchmark, load, sample_column
from vlrb.errors import DataError, PluginError, shorten_list
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.experiment.portable import PortablePlan
from vlrb.experiment.sections import SplitSection
from vlrb.experiment.strict import unstructure
from vlrb.plugins.blame import blame
from vlrb.storage import Places, new_file
from vlrb.texts import is_text, short_repr

_NAME = re.compile(r"\w[\w.=+-]{0,99}")
"""Of a split, as part of a folder's name; a comma comes before the fraction of train."""


@attrs.frozen(eq=False)
class Split:
    """Row numbers of a benchmark in train, dev and test, ascending, and int[n] the group of every sample of the benchmark."""

    name: str
    train: Array
    dev: Array
    test: Array
    groups: Array
    info: SplitInfo

    def rows(self, name: str) -> Array:
        """Return the rows of ``train``, ``dev`` or ``test``."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]

    def parts(self, samples: int) -> pa.Array:
        """Return train, dev or test for each of a benchmark's samples; null for those that are in none."""
        part = np.empty(samples, dtype=object)
        for name in SPLITS:
            part[self.rows(name)] = name
        return pa.array(part, pa.string())


@attrs.frozen(eq=False)
class Splitting:
    """All splits of an experiment: ``splits`` with the whole train, and ``smaller`` ones with a part of it.

    ``pooled``: no sample is tested twice (:class:`vlrb.api.splits.Splits`).  ``info.each`` is of ``splits``, then of ``smaller``.
    """

    splits: tuple[Split, ...]
    smaller: tuple[Split, ...]
    pooled: bool
    groups: Array
    info: SplitsInfo

    @property
    def each(self) -> tuple[Split, ...]:
        """Return the splits on whose test rows routers are evaluated: with the whole train, then for learning curves."""
        return self.splits + self.smaller


def make_splits(benchmark: Benchmark, splitter: ConfiguredComponent, section: SplitSection) -> Splitting:
    """Split a benchmark, once or several times.

    :raises DataError: when train, dev or test of a split would be empty, or the splits are other ones than expected
    :raises PluginError: when the splitter returns something else than splits
    """
    samples = split_samples(benchmark)
    divide = splitter.make("__call__")
    who = f"splitter {splitter.registered.id!r} of {splitter.plugin.label}"
    with blame(splitter.plugin, f"splitting with {splitter.registered.id!r}"):
        returned = checked_splits(divide(samples), samples, who)
    whole = [_split(benchmark, returned, name, rows) for name, rows in returned.rows.items()]
    digests = [split.info.digest for split in whole]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    if not digest.startswith(section.expect):
        what = f"the split's digest is {digest}, not {section.expect}: other samples would be tested"
        fix = "use the logs, groups and [split] keys that the digest was published with, or remove expect"
        raise DataError(what, where="[split] expect", fix=fix)
    smaller = [
        _split(benchmark, returned, split.name, _thinned(split, benchmark, fraction), fraction)
        for split in whole
        for fraction in sorted(section.train_fraction)
        if fraction < 1
    ]
    info = SplitsInfo(
        use=splitter.registered.id,
        parameters=unstructure(splitter.params),
        made=returned.made,
        pooled=returned.pooled,
        digest=digest,
        groups=int(np.unique(returned.groups).size),
        grouped_by=grouped_by(benchmark) if returned.keeps_groups else {},
        each=tuple(split.info for split in (*whole, *smaller)),
    )
    return Splitting(tuple(whole), tuple(smaller), returned.pooled, returned.groups, info)


def split_samples(benchmark: Benchmark) -> SplitSamples:
    """Return what a splitter sees of a benchmark."""
    records = {d.name: d for d in benchmark.manifest.datasets}
    return SplitSamples(
        ids=benchmark.ids,
        datasets=benchmark.datasets,
        task_groups=sealed(np.array([records[d].group for d in benchmark.datasets.tolist()], dtype=np.str_)),
        texts=tuple(benchmark.samples.column("question").to_pylist()),
        groups=sealed(groups_of(benchmark)),
        given=tuple(benchmark.samples.column("split").to_pylist()),
        column=lambda name: sample_column(benchmark.samples, name, "[split]"),
        slugs=FrozenDict({name: record.slug for name, record in records.items()}),
    )


@attrs.frozen(eq=False)
class CheckedSplits:
    """What a splitter returned, checked: name -> part -> rows, ascending."""

    rows: dict[str, dict[str, Array]]
    groups: Array
    made: str
    pooled: bool
    keeps_groups: bool


def checked_splits(returned: Any, samples: SplitSamples, who: str) -> CheckedSplits:
    """Return plain splits; in each of them, every row must be in one part, once.

    :raises PluginError: naming what is wrong
    """
    if not isinstance(returned, Splits):
        raise PluginError(f"{who} returned {type(returned).__name__} instead of Splits", fix=FIX)
    each, made, n = returned.each, returned.made, len(samples.ids)
    if not isinstance(each, tuple) or not each or not all(isinstance(one, SplitRows) for one in each):
        raise PluginError(f"{who}: each must be a tuple of SplitRows, at least one, not {short_repr(each)}", fix=FIX)
    if not is_text(made):
        raise PluginError(f"{who}: made must be a text, not {short_repr(made)}", fix=FIX)
    for flag, value in (("pooled", returned.pooled), ("keeps_groups", returned.keeps_groups)):
        if not isinstance(value, bool | np.bool_):
            raise PluginError(f"{who}: {flag} must be True or False, not {short_repr(value)}", fix=FIX)
    groups = samples.groups
    if returned.groups is not None:
        groups = _integers(returned.groups, "its groups", who)
        if len(groups) != n:
            raise PluginError(f"{who} must put each of {n:,} samples into a group, not {len(groups):,}", fix=FIX)
    names = _checked_names([one.name for one in each], who)
    rows = {name: _checked_rows(one, n, who) for name, one in zip(names, each, strict=True)}
    tested = np.concatenate([parts["test"] for parts in rows.values()])
    if returned.pooled and np.unique(tested).size < tested.size:
        raise PluginError(f"{who} returned pooled=True but tests some samples twice", fix=FIX)
    return CheckedSplits(rows, sealed(groups), str.__str__(made), bool(returned.pooled), bool(returned.keeps_groups))


def _checked_names(names: Sequence[Any], who: str) -> list[str]:
    """Return the splits' names: distinct, and usable in the name of a folder; a single split may have none."""
    for name in names:
        if not is_text(name) or not (_NAME.fullmatch(name) or (not name and len(names) == 1)):
            what = "a split's name must be at most 100 letters, digits and . = + - _, the first a letter or digit"
            raise PluginError(f"{who}: {what}, not {short_repr(name)}", fix=FIX)
    plain = [str.__str__(name) for name in names]
    if twice := [name for name, count in Counter(plain).items() if count > 1]:
        raise PluginError(f"{who} gave several splits the same name: {shorten_list(twice)}", fix=FIX)
    return plain


def _checked_rows(one: SplitRows, n: int, who: str) -> dict[str, Array]:
    rows = {part: np.sort(_integers(getattr(one, part), f"its {part} rows", who)) for part in SPLITS}
    if not np.array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(n)):
        of = f"split {one.name!r}: " if one.name else ""
        what = f"each of {n:,} samples must be in exactly one of {', '.join(SPLITS)}"
        raise PluginError(f"{who}: {of}{what}", fix=FIX)
    return rows


def _integers(value: Any, what: str, who: str) -> Array:
    array = plain_array(value, what, who)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise PluginError(f"{who}: {what} must be integers, not {array.dtype} {array.shape}", fix=FIX)
    return array.astype(np.int64)


def _split(
    benchmark: Benchmark, returned: CheckedSplits, name: str, rows: Mapping[str, Array], fraction: float = 1.0
) -> Split:
    """Return a split with its digest and counts.

    :raises DataError: when train, dev or test is empty
    """
    groups = returned.groups
    for part in SPLITS:
        if not rows[part].size:
            of = f" of {called!r}" if (called := variant_name(name, fraction)) else ""
            count = np.unique(groups).size
            what = f"the split {part!r}{of} is empty: {len(benchmark):,} samples in {count:,} groups that are kept together"
            larger = "train_fraction" if fraction < 1 else f"share for {part}"
            raise DataError(what, where="[split]", fix=f"use more samples, or a larger {larger}")
    info = SplitInfo(
        name=name,
        samples={part: int(rows[part].size) for part in SPLITS},
        digest=split_digest(benchmark.ids, rows),
        group_also_in_train={part: leaking(groups, rows["train"], rows[part]) for part in ("dev", "test")},
        train_fraction=fraction,
    )
    train, dev, test = (sealed(rows[part]) for part in SPLITS)
    return Split(variant_name(name, fraction), train, dev, test, groups, info)


def _thinned(split: Split, benchmark: Benchmark, fraction: float) -> dict[str, Array]:
    """Return the rows of a split with a part of its train, dev and test unchanged.

    Whole groups are kept, dataset by dataset, in the order of a hash of their first sample id, which no seed changes: a smaller
    part is a subset of a larger one.  A group is kept if at least half of it lies within the fraction.
    """
    rows = split.train.tolist()
    ids, datasets = [benchmark.ids[i] for i in rows], benchmark.datasets[split.train].tolist()
    groups = rows_by_group(split.groups[split.train], ids, "train_fraction")
    kept = [row for members, within in _within(groups, datasets, fraction) if within for row in members]
    return {"train": np.sort(split.train[kept]), "dev": split.dev, "test": split.test}


def _within(
    groups: Sequence[Sequence[int]], datasets: Sequence[str], fraction: float
) -> Iterator[tuple[Sequence[int], bool]]:
    """Yield each group, and whether at least half of it lies within a fraction of its dataset, that of its first sample."""
    sizes, before = Counter[str](), Counter[str]()
    for members in groups:
        sizes[datasets[members[0]]] += len(members)
    for members in groups:
        dataset = datasets[members[0]]
        yield members, before[dataset] + len(members) / 2 <= fraction * sizes[dataset]
        before[dataset] += len(members)


def limited_benchmark(benchmark: Benchmark, most: int) -> Benchmark:
    """Return a benchmark of about ``most`` samples for a first try, or the benchmark itself if it has no more, or ``most`` is 0.

    Whole groups are kept, in each dataset the same share, in the order of a hash of their first sample id: smaller limits are
    subsets of larger ones.  The first group that has samples of a dataset is always kept.
    """
    if not 0 < most < len(benchmark):
        return benchmark
    datasets, met, kept = benchmark.datasets.tolist(), set[str](), list[int]()
    groups = rows_by_group(groups_of(benchmark), benchmark.ids, "limit")
    for members, within in _within(groups, datasets, most / len(benchmark)):
        its = {datasets[row] for row in members}
        kept += members if within or its - met else ()
        met |= its
    return benchmark.take(np.sort(kept))


def unpacked(sent: PortablePlan, places: Places, directory: Path) -> tuple[Plan, Benchmark]:
    """Set up another process: the folders in use; return the plan and its benchmark, which is in a folder."""
    places.use()
    plan = sent.unpacked()
    return plan, limited_benchmark(load(directory), plan.limit)


def split_digest(ids: Sequence[str], rows: Mapping[str, Array]) -> str:
    """Return a SHA-256 of the sample ids of train, dev and test: two splits with the same digest are the same split."""
    digest = hashlib.sha256()
    for name in SPLITS:
        digest.update(("\0".join(ids[i] for i in rows[name].tolist()) + "\1").encode())
    return digest.hexdigest()


def leaking(groups: Array, train: Array, rows: Array) -> int:
    """Return how many of some rows have a relative among the training rows."""
    return int(np.isin(groups[rows], groups[train]).sum())


def write_split(splitting: Splitting, benchmark: Benchmark, path: Path) -> None:
    """Store the splits as a Parquet file: a row per sample, with its ``id`` and its ``split``, which is train, dev or test.

    Several splits, those with a part of train among them, stand one after the other, with their ``split_name`` in a third column;
    samples that a part of train leaves out have no row there.
    """
    tables = []
    for one in splitting.each:
        table = pa.table({"id": benchmark.ids, "split": one.parts(len(benchmark))})
        if len(splitting.each) > 1:
            table = table.append_column("split_name", pa.array([one.name] * len(benchmark), pa.string()))
        tables.append(table.filter(table.column("split").is_valid()))
    with new_file(path) as aside:
        pq.write_table(pa.concat_tables(tables), aside)


def groups_of(benchmark: Benchmark) -> Array:
    """Return a group number per sample, int[n].

    In one group, transitively, are samples that share an image, samples that the logs say belong together (versions of a
    MathVerse problem, questions on a HallusionBench figure), and samples without images that have the same text.
    """
    texts = benchmark.samples.column("question").to_pylist()
    given = benchmark.samples.column("groups").to_pylist()
    pairs = []
    first: dict[tuple[str, str], int] = {}
    for i, (hashes, text, names) in enumerate(zip(benchmark.image_hashes, texts, given, strict=True)):
        handles = [("image", h) for h in hashes] or [("text", " ".join(text.casefold().split()))]
        handles += [("group", name) for name in names or ()]
        pairs += [(first.setdefault(handle, i), i) for handle in handles]
    return joined_groups(np.arange(len(texts)), pairs)


def grouped_by(benchmark: Benchmark) -> dict[str, int]:
    """Count the samples that :func:`groups_of` groups by the logs' ``group``, else by ``image``, else by ``text``."""
    handles = zip(benchmark.samples.column("groups").to_pylist(), benchmark.image_hashes, strict=True)
    found = Counter("group" if groups else "image" if images else "text" for groups, images in handles)
    return {kind: found[kind] for kind in ("group", "image", "text") if found[kind]}
