"""Draws of the bootstrap: image groups drawn again within datasets, and sums of columns over the rows of every draw.

Every row of a table is measured in the same draws, so differences between rows are paired.  Draw 0 is the samples as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np

from vlrb.api.frozen import Array

OVERALL = "overall"
DRAWS_AT_ONCE = 1000
"""Draws whose counts are turned into floats together."""
NUMBERS_AT_ONCE = 2**18
"""Random numbers that are drawn together."""


def strata_of(groups: Sequence[Array], datasets: Sequence[Array]) -> tuple[Array, Array]:
    """Return the numbers of the groups that occur, ascending, and the dataset of the first row of each."""
    found, first = np.unique(np.concatenate(groups), return_index=True)
    return found, np.concatenate([np.asarray(d, dtype=str) for d in datasets])[first]


def draw_counts(strata: Array, draws: int, seed: int) -> Array:
    """Return how often each group is in draw 0, the samples themselves, and in each bootstrap draw, uint8[groups, 1 + draws].

    As many groups are drawn as a stratum has.  A count above 255 has a probability below 1e-500.
    """
    names = np.unique(strata)
    counts = np.ones((strata.size, 1 + draws), dtype=np.uint8)
    for name, source in zip(names, np.random.SeedSequence(seed).spawn(names.size), strict=True):
        own = np.flatnonzero(strata == name)
        counts[own, 1:] = _draw_stratum(own.size, draws, np.random.default_rng(source))
    return counts


def _draw_stratum(size: int, draws: int, rng: np.random.Generator) -> Array:
    """Return multinomial counts; numpy's own ``multinomial`` takes 20 times as long for many groups."""
    counts = np.empty((size, draws), dtype=np.uint8)
    step = max(1, NUMBERS_AT_ONCE // size)
    for start in range(0, draws, step):
        several = min(step, draws - start)
        drawn = rng.integers(size, size=(several, size)) + np.arange(several)[:, None] * size
        counts[:, start : start + several] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).T
    return counts


@attrs.frozen(eq=False)
class Sample:
    """The columns of one test set, ``matrix`` float64[m, q]; column 0 is 1 in every row.

    ``groups`` int[m] are rows of the counts.  ``datasets`` and ``scopes`` (those that are not one dataset) map names to bool[m].
    """

    groups: Array
    datasets: Mapping[str, Array]
    scopes: Mapping[str, Array]
    matrix: Array

    def drawn_sums(self, member: Array, counts: Array) -> Array:
        """Return the sum of each column over some rows in each draw, float64[q, draws]."""
        rows = np.flatnonzero(member)
        rows = rows[np.argsort(self.groups[rows], kind="stable")]
        found, starts = np.unique(self.groups[rows], return_index=True)
        of_groups = np.add.reduceat(self.matrix[rows], starts, axis=0).T
        sums = np.empty((of_groups.shape[0], counts.shape[1]))
        for start in range(0, counts.shape[1], DRAWS_AT_ONCE):
            part = slice(start, start + DRAWS_AT_ONCE)
            np.matmul(of_groups, counts[found, part].astype(np.float64), out=sums[:, part])
        return sums

    def parts(self, member: Array) -> frozenset[str] | None:
        """Return the datasets that make up a scope, None where it has a part of a dataset."""
        touched = {n: own for n, own in self.datasets.items() if (own & member).any()}
        return frozenset(touched) if all(member[own].all() for own in touched.values()) else None


Sums = list[Array | None]
"""The sums of each test set, None where the scope has no row there."""


def scope_sums(samples: Sequence[Sample], counts: Array) -> Iterator[tuple[str, Sums]]:
    """Yield each scope and the sums of the columns of each test set in every draw.

    The sums of a scope that consists of whole datasets are sums over these, so that they cost no product of their own; few are held
    at a time.
    """
    masks = {name: [s.scopes.get(name) for s in samples] for s in samples for name in s.scopes}
    whole: dict[str, list[frozenset[str]]] = {}
    for name, members in masks.items():
        parts = [s.parts(m) if m is not None else frozenset() for s, m in zip(samples, members, strict=True)]
        if None not in parts:
            whole[name] = [p for p in parts if p is not None]
    held: dict[str, Sums] = {name: [None] * len(samples) for name in whole}
    left = {name: frozenset().union(*parts) for name, parts in whole.items()}
    for dataset in sorted({d for s in samples for d in s.datasets}):
        found = [_sums_of(s, s.datasets.get(dataset), counts) for s in samples]
        for name in [n for n in left if dataset in left[n]]:
            held[name] = [
                _add(a, b if dataset in p else None) for a, b, p in zip(held[name], found, whole[name], strict=True)
            ]
            left[name] -= {dataset}
            if not left[name]:
                yield name, held.pop(name)
    for name in masks:
        if name not in whole:
            yield name, [_sums_of(s, m, counts) for s, m in zip(samples, masks[name], strict=True)]


def _sums_of(sample: Sample, member: Array | None, counts: Array) -> Array | None:
    return sample.drawn_sums(member, counts) if member is not None and member.any() else None


def _add(held: Array | None, more: Array | None) -> Array | None:
    if held is None or more is None:
        return more if held is None else held
    return held + more
