"""Splits into train, dev and test: made by a splitter, checked, identified by a digest, stored by sample id."""

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
from vlrb.api.results import SplitInfo
from vlrb.api.returned import FIX, plain_array
from vlrb.api.splits import SPLITS, SplitRows, SplitSamples, joined_groups
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.strict import unstructure
from vlrb.plugins.blame import blame
from vlrb.storage import new_file


@attrs.frozen(eq=False)
class Split:
    """Row numbers of a benchmark per split, ascending, and int[n] the group of every sample of the benchmark."""

    train: Array
    dev: Array
    test: Array
    info: SplitInfo
    groups: Array

    def rows(self, name: str) -> Array:
        """Return the rows of ``train``, ``dev`` or ``test``."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]


def make_split(benchmark: Benchmark, splitter: ConfiguredComponent, expect: str = "") -> Split:
    """Split a benchmark.

    :param expect: beginning of the digest that the experiment file expects
    :raises DataError: when a split would be empty, or is another one than expected
    :raises PluginError: when the splitter returns something else than a split
    """
    texts, given = (tuple(benchmark.samples.column(c).to_pylist()) for c in ("question", "split"))
    samples = SplitSamples(benchmark.ids, benchmark.datasets, texts, sealed(groups_of(benchmark)), given)
    divide = splitter.make("__call__")
    who = f"splitter {splitter.registered.id!r} of {splitter.plugin.label}"
    with blame(splitter.plugin, f"splitting with {splitter.registered.id!r}"):
        rows, groups, divided = _checked(divide(samples), samples, who)
    kept = int(np.unique(groups).size)
    for name in SPLITS:
        if not rows[name].size:
            what = f"the split {name!r} is empty: {len(benchmark):,} samples in {kept:,} groups that are kept together"
            raise DataError(what, where="[split]", fix=f"use more samples, or a larger share for {name}")
    digest = split_digest(benchmark.ids, rows)
    if not digest.startswith(expect):
        what = f"the split's digest is {digest}, not {expect}: other samples would be tested"
        fix = "use the logs, groups and [split] keys that the digest was published with, or remove expect"
        raise DataError(what, where="[split] expect", fix=fix)
    info = SplitInfo(
        use=splitter.registered.id,
        parameters=unstructure(splitter.params),
        made=divided.made,
        samples={name: int(rows[name].size) for name in SPLITS},
        digest=digest,
        groups=kept,
        grouped_by=grouped_by(benchmark) if divided.keeps_groups else {},
        group_also_in_train={name: leaking(groups, rows["train"], rows[name]) for name in ("dev", "test")},
    )
    train, dev, test = (sealed(rows[name]) for name in SPLITS)
    return Split(train, dev, test, info, sealed(groups))


def _checked(divided: Any, samples: SplitSamples, who: str) -> tuple[dict[str, Array], Array, SplitRows]:
    """Return the rows of each split, ascending, and the groups, as int64; each row must be in one split, once."""
    n = len(samples.ids)
    if not isinstance(divided, SplitRows):
        raise PluginError(f"{who} returned {type(divided).__name__} instead of SplitRows", fix=FIX)
    groups = samples.groups if divided.groups is None else plain_array(divided.groups, "its groups", who)
    rows = {name: plain_array(getattr(divided, name), f"its {name} rows", who) for name in SPLITS}
    for name, found in {**rows, "groups": groups}.items():
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise PluginError(f"{who}: {name} must be integers, not {found.dtype} {found.shape}", fix=FIX)
    if len(groups) != n or not np.array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(n)):
        raise PluginError(f"{who} must put each of {n:,} samples into one split, once, and into a group", fix=FIX)
    return {name: np.sort(found.astype(np.int64)) for name, found in rows.items()}, groups.astype(np.int64), divided


def split_digest(ids: Sequence[str], rows: Mapping[str, Array]) -> str:
    """Return a SHA-256 of the sample ids of train, dev and test: two splits with the same digest are the same split."""
    digest = hashlib.sha256()
    for name in SPLITS:
        digest.update(("\0".join(ids[i] for i in rows[name].tolist()) + "\1").encode())
    return digest.hexdigest()


def leaking(groups: Array, train: Array, rows: Array) -> int:
    """Return how many of some rows have a relative among the training rows."""
    return int(np.isin(groups[rows], groups[train]).sum())


def write_split(split: Split, benchmark: Benchmark, path: Path) -> None:
    """Store a split as a Parquet file of sample ids."""
    name = np.empty(len(benchmark), dtype=object)
    for part in SPLITS:
        name[split.rows(part)] = part
    with new_file(path) as aside:
        pq.write_table(pa.table({"id": benchmark.ids, "split": pa.array(name, pa.string())}), aside)


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
