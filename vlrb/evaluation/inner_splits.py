"""Splits derived from a split: folds inside train and dev, to choose by, and train joined with dev, for a refit."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.grouping import grouped_folds, grouped_shares
from vlrb.api.results import variant_name
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError
from vlrb.evaluation.splits import Split, leaking, split_digest

SEED = 0


def inner_splits(benchmark: Benchmark, outer: Split, folds: int) -> list[Split]:
    """Return a split of train and dev per fold, whose test part is the fold; the test rows of ``outer`` are in none.

    Whole groups are dealt out, dataset by dataset; the rest of a fold is divided in the proportion of train to dev.

    :raises DataError: when there are too few groups, or a part would be empty
    """
    known = np.sort(np.concatenate([outer.train, outer.dev]))
    groups, datasets, ids = outer.groups[known], benchmark.datasets[known], [benchmark.ids[i] for i in known.tolist()]
    fold = grouped_folds(groups, datasets, ids, folds, SEED, "[selection] folds")
    shares = (outer.train.size, outer.dev.size)
    splits = []
    for number in range(folds):
        rest = np.flatnonzero(fold != number)
        part = grouped_shares(groups[rest], datasets[rest], [ids[i] for i in rest.tolist()], shares, SEED)
        rows = {"train": known[rest[part == 0]], "dev": known[rest[part == 1]], "test": known[fold == number]}
        if empty := [name for name, those in rows.items() if not those.size]:
            of = f" of {outer.name!r}" if outer.name else ""
            what = f"{empty[0]} of inner fold {number + 1}{of} is empty: {known.size:,} samples of train and dev in all"
            raise DataError(what, where="[selection] folds", fix='use more samples, or fewer folds, or on = "dev"')
        splits.append(_derived(benchmark, outer, variant_name(outer.name, inner=number + 1), rows))
    return splits


def refit_split(benchmark: Benchmark, outer: Split) -> Split:
    """Return a split with dev in train, for a fit after everything has been chosen; dev stays, for what only looks at it."""
    rows = {"train": np.sort(np.concatenate([outer.train, outer.dev])), "dev": outer.dev, "test": outer.test}
    return _derived(benchmark, outer, variant_name(outer.name, refit=True), rows)


def _derived(benchmark: Benchmark, outer: Split, name: str, rows: Mapping[str, Array]) -> Split:
    info = attrs.evolve(
        outer.info,
        samples={n: int(r.size) for n, r in rows.items()},
        digest=split_digest(benchmark.ids, rows),
        group_also_in_train={n: leaking(outer.groups, rows["train"], rows[n]) for n in ("dev", "test")},
    )
    sealed_rows = {n: sealed(r) for n, r in rows.items()}
    return attrs.evolve(outer, name=name, info=info, **sealed_rows)
