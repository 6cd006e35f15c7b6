"""Splits derived from a split: folds inside train and dev, by which points of a sweep are chosen, and train with dev for a refit."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.results import variant_name
from vlrb.api.splits import divided_groups, grouped_folds
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.splits import Split, leaking, split_digest

SEED = 0


def inner_splits(benchmark: Benchmark, outer: Split, folds: int) -> list[Split]:
    """Return a split of train and dev per fold, whose test part is the fold; the test rows of ``outer`` are in none.

    Whole groups are dealt out, dataset by dataset; the rest of a fold is divided in the proportion of train to dev.

    :raises DataError: when there are too few groups
    """
    known = np.sort(np.concatenate([outer.train, outer.dev]))
    groups, datasets, ids = outer.groups[known], benchmark.datasets[known], [benchmark.ids[i] for i in known.tolist()]
    fold = grouped_folds(groups, datasets, ids, folds, SEED)
    share = outer.dev.size / known.size
    splits = []
    for number in range(folds):
        rest = np.flatnonzero(fold != number)
        is_dev = divided_groups(groups[rest], datasets[rest], [ids[i] for i in rest.tolist()], share, SEED)
        rows = {"train": known[rest[~is_dev]], "dev": known[rest[is_dev]], "test": known[fold == number]}
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
