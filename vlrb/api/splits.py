"""What splitters get and return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from vlrb.api.frozen import Array

SPLITS = ("train", "dev", "test")


@attrs.frozen(eq=False)
class SplitSamples:
    """What a splitter sees of n samples, sorted by id.

    ``groups`` int[n]: samples of one number share an image, a group in the logs, or their text.  ``given``: the split that the logs
    prescribe for each sample, or None.
    """

    ids: tuple[str, ...]
    datasets: Array
    texts: tuple[str, ...]
    groups: Array
    given: tuple[str | None, ...]


@attrs.frozen(eq=False)
class SplitRows:
    """A split: the row numbers of train, dev and test, which together are all rows, each once.

    ``made`` is how tables show it ("seed 42").  ``keeps_groups``: no group is in two splits.  ``groups`` int[n]: those that the
    splitter made by joining the given ones.
    """

    train: Array
    dev: Array
    test: Array
    made: str
    keeps_groups: bool = False
    groups: Array | None = None


class Splitter(Protocol):
    """Divides samples into train, dev and test."""

    def __call__(self, samples: SplitSamples, /) -> SplitRows:
        """Return the split.

        :raises DataError: when the samples do not allow one
        """


def joined_groups(groups: Array, pairs: Sequence[tuple[int, int]]) -> Array:
    """Return groups int[n] in which those of each pair of rows are joined, named by their first row."""
    import numpy as np

    parent = groups.tolist()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        one, other = root(i), root(j)
        parent[max(one, other)] = min(one, other)
    return np.array([root(i) for i in range(len(parent))], dtype=np.int64)
