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
"""Draws whose counts are held together, unless there are many groups."""
COUNTS_AT_ONCE = 2**25
"""Counts that are turned into floats together."""
SUMS_AT_ONCE = 2**22
"""Sums of scopes, columns and draws that are held together."""
NUMBERS_AT_ONCE = 2**18
"""Random numbers that are drawn together."""


def strata_of(groups: Sequence[Array], datasets: Sequence[Array]) -> tuple[Array, Array]:
    """Return the numbers of the groups that occur, ascending, and the dataset of the first row of each."""
    found, first = np.unique(np.concatenate(groups), return_index=True)
    return found, np.concatenate([np.asarray(d, dtype=str) for d in datasets])[first]


@attrs.frozen(eq=False)
class Stratum:
    """The groups int[g] of one dataset; ``draws`` draws of them are made from ``source``, the same ones each time."""

    groups: Array
    draws: int
    source: np.random.SeedSequence

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield some draws and how often each group is in each of them, uint8[g, several], so that few counts are held."""
        rng, size = np.random.default_rng(self.source), self.groups.size
        several = max(1, min(DRAWS_AT_ONCE, COUNTS_AT_ONCE // size))
        for start in range(0, 1 + self.draws, several):
            part = slice(start, min(start + several, 1 + self.draws))
            counts = np.ones((size, part.stop - start), dtype=np.uint8)
            _draw_into(counts[:, 1:] if start == 0 else counts, rng)
            yield part, counts


def _draw_into(counts: Array, rng: np.random.Generator) -> None:
    """Fill in multinomial counts; numpy's own ``multinomial`` takes 20 times as long for many groups."""
    size, draws = counts.shape
    step = max(1, NUMBERS_AT_ONCE // size)
    for start in range(0, draws, step):
        several = min(step, draws - start)
        drawn = rng.integers(size, size=(several, size)) + np.arange(several)[:, None] * size
        counts[:, start : start + several] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).T


@attrs.frozen(eq=False)
class Draws:
    """Draws of groups, of each dataset as many as it has; draw 0 is the samples themselves, and ``draws`` others follow.

    ``strata`` str[groups] are the datasets.
    """

    strata: Array
    draws: int
    seed: int

    @property
    def size(self) -> int:
        """The number of draws, draw 0 among them."""
        return 1 + self.draws

    def of_strata(self) -> list[Stratum]:
        """Return the strata by name, each with draws of its own."""
        names, numbers = np.unique(self.strata, return_inverse=True)
        sources = np.random.SeedSequence(self.seed).spawn(names.size)
        return [Stratum(np.flatnonzero(numbers == k), self.draws, source) for k, source in enumerate(sources)]

    def counts(self) -> Array:
        """Return how often each group is in each draw, uint8[groups, 1 + draws].

        A count above 255 has a probability below 1e-500.
        """
        counts = np.empty((self.strata.size, self.size), dtype=np.uint8)
        for stratum in self.of_strata():
            for part, several in stratum.blocks():
                counts[stratum.groups, part] = several
        return counts


@attrs.frozen(eq=False)
class Sample:
    """The columns of one test set, ``matrix`` float64[m, q]; column 0 is 1 in every row.

    ``groups`` int[m] are numbers of groups of the draws; ``scopes`` map names to bool[m].
    """

    groups: Array
    scopes: Mapping[str, Array]
    matrix: Array


Sums = list[Array | None]
"""The sums of each test set, float64[q, 1 + draws]; None where the scope has no row there."""


def scope_sums(samples: Sequence[Sample], draws: Draws) -> Iterator[tuple[str, Sums]]:
    """Yield each scope and the sums of the columns of each test set in every draw.

    Some scopes are done together, with the same counts; those that have the same rows of a stratum share the sums over these.
    """
    strata = draws.of_strata()
    of_groups = np.empty(draws.strata.size, dtype=np.intp)
    for k, stratum in enumerate(strata):
        of_groups[stratum.groups] = k
    of_rows = [of_groups[s.groups] for s in samples]
    scopes = list(dict.fromkeys(name for s in samples for name in s.scopes))
    together = max(1, SUMS_AT_ONCE // (max(s.matrix.shape[1] for s in samples) * draws.size))
    for start in range(0, len(scopes), together):
        names = frozenset(scopes[start : start + together])
        some = [attrs.evolve(s, scopes={n: m for n, m in s.scopes.items() if n in names}) for s in samples]
        yield from _sums_of_scopes(some, of_rows, strata)


def _sums_of_scopes(
    samples: Sequence[Sample], of_rows: Sequence[Array], strata: Sequence[Stratum]
) -> Iterator[tuple[str, Sums]]:
    """Yield each scope and its sums, after its last stratum.

    :param of_rows: of each test set, the number of each row's stratum, int[m]
    """
    last: dict[str, int] = {}
    for sample, numbers in zip(samples, of_rows, strict=True):
        for name, member in sample.scopes.items():
            last[name] = max(last.get(name, -1), int(numbers[member].max(initial=-1)))
    held: dict[str, Sums] = {name: [None] * len(samples) for name, k in last.items() if k >= 0}
    for k, stratum in enumerate(strata):
        parts = [p for i, s in enumerate(samples) for p in _parts(s, i, np.flatnonzero(of_rows[i] == k), stratum)]
        for part, sums in zip(parts, _sums(parts, stratum), strict=True):
            for name in part.scopes:
                before = held[name][part.sample]
                held[name][part.sample] = sums if before is None else before + sums
        for name in [n for n in held if last[n] == k]:
            yield name, held.pop(name)


@attrs.frozen(eq=False)
class _Part:
    """What some scopes have of a stratum: places int[g] of groups in it, and sums of the columns over each, float64[q, g]."""

    sample: int
    scopes: Sequence[str]
    places: Array
    sums: Array


def _parts(sample: Sample, number: int, rows: Array, stratum: Stratum) -> Iterator[_Part]:
    """Yield the parts of a stratum's rows that a sample's scopes have."""
    scopes: dict[bytes, list[str]] = {}
    for name, member in sample.scopes.items():
        if (inside := member[rows]).any():
            scopes.setdefault(inside.tobytes(), []).append(name)
    for chosen, names in scopes.items():
        own = rows[np.frombuffer(chosen, dtype=bool)]
        own = own[np.argsort(sample.groups[own], kind="stable")]
        found, starts = np.unique(sample.groups[own], return_index=True)
        sums = np.add.reduceat(sample.matrix[own], starts, axis=0).T
        yield _Part(number, names, np.searchsorted(stratum.groups, found), sums)


def _sums(parts: Sequence[_Part], stratum: Stratum) -> list[Array]:
    """Return the sums of each part in every draw, float64[q, 1 + draws]."""
    sums = [np.empty((p.sums.shape[0], 1 + stratum.draws)) for p in parts]
    for columns, counts in stratum.blocks() if parts else ():
        for part, total in zip(parts, sums, strict=True):
            np.matmul(part.sums, counts[part.places].astype(np.float64), out=total[:, columns])
    return sums
