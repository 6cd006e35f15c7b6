"""What splitters get and return."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from vlrb.api.frozen import Array
from vlrb.errors import DataError

SPLITS = ("train", "dev", "test")


@attrs.frozen(eq=False)
class SplitSamples:
    """What a splitter sees of n samples, sorted by id.

    ``datasets`` and ``task_groups`` str[n]: the dataset's name and the task group's slug; ``slugs``: dataset -> its slug.
    ``groups`` int[n]: samples of one number share an image, a group in the logs, or their text.  ``given``: the split that the logs
    prescribe for each sample, or None.  ``column(name)``: the values of a further column of the samples, such as ``category``, None
    where a sample has none; a DataError with the known names where no sample has such a column.
    """

    ids: tuple[str, ...]
    datasets: Array
    task_groups: Array
    texts: tuple[str, ...]
    groups: Array
    given: tuple[str | None, ...]
    column: Callable[[str], tuple[str | None, ...]]
    slugs: Mapping[str, str]


@attrs.frozen(eq=False)
class SplitRows:
    """A split: the row numbers of train, dev and test, which together are all rows, each once.

    ``name`` distinguishes the splits of one experiment, such as ``fold-1``; it is part of the names of cells, and may be empty for
    a single split.
    """

    train: Array
    dev: Array
    test: Array
    name: str = ""


@attrs.frozen(eq=False)
class Splits:
    """One or several splits of the same samples.

    ``made`` is how tables show them ("5 folds, seed 42").  ``pooled``: no sample is tested twice, and the choices of all test sets
    are evaluated together (folds); otherwise each split is evaluated on its own, and tables show the mean over the splits and their
    spread.  ``keeps_groups``: no group is in two of train, dev and test.  ``groups`` int[n]: those that the splitter made by
    joining the given ones.
    """

    each: tuple[SplitRows, ...]
    made: str
    pooled: bool = False
    keeps_groups: bool = False
    groups: Array | None = None


class Splitter(Protocol):
    """Divides samples into train, dev and test, once or several times."""

    def __call__(self, samples: SplitSamples, /) -> Splits:
        """Return the splits.

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


def rows_by_group(groups: Array, ids: Sequence[str], seed: object) -> list[list[int]]:
    """Return the rows of each group, sorted by id: the groups in the order of a hash of ``seed`` and their first id.

    The order of the rows and the numbers of the groups change nothing but row numbers.
    """
    members: dict[int, list[int]] = {}
    numbers = groups.tolist()
    for i in sorted(range(len(ids)), key=lambda row: ids[row]):
        members.setdefault(numbers[i], []).append(i)
    return sorted(members.values(), key=lambda rows: hashlib.sha256(f"{seed}:{ids[rows[0]]}".encode()).digest())


def grouped_folds(
    groups: Array, datasets: Array, ids: Sequence[str], folds: int, seed: object, where: str = "[split] folds"
) -> Array:
    """Return the fold of each row, int[n] from 0 to ``folds - 1``: whole groups, so that folds are alike in size in each dataset.

    Large groups come first, groups of one size in the order of a hash of ``seed`` and their first id, whatever the order of the
    rows.  Each goes to the fold with the fewest rows of its dataset (its first row's), among these to the smallest fold.

    :param groups: int[n]
    :param datasets: str[n]
    :param where: the key that asks for folds, for the error
    :raises DataError: when there are fewer groups than folds
    """
    import numpy as np

    count = np.unique(groups).size
    if count < folds:
        what = f"{folds} folds need at least {folds} groups of samples, and there are {count:,} ({len(ids):,} samples)"
        fix = f"use at most {count} folds, or more samples" if count > 1 else "use more samples"
        raise DataError(what, where=where, fix=fix)

    def choose(_: str, filled: Array, total: Array, _size: int) -> int:
        return int(np.lexsort((total, filled))[0])

    return _dealt(groups, datasets, ids, seed, folds, choose)


def grouped_shares(groups: Array, datasets: Array, ids: Sequence[str], shares: Sequence[float], seed: object) -> Array:
    """Return the part of each row, int[n] from 0: whole groups are dealt out, dataset by dataset, in the ratio of ``shares``.

    Large groups come first, groups of one size in the order of a hash of ``seed`` and their first id.  Each goes to the part that
    lacks most of its share among those with room for it, so that large and small groups are spread alike; where none has room, to
    the one that lacks most samples.

    :param groups: int[n]
    :param datasets: str[n]
    """
    import numpy as np

    wanted = np.array(shares)
    if abs(wanted.sum() - 1) > 1e-9:
        wanted = (wanted / wanted.sum()).round(12)
    target = {str(d): c * wanted for d, c in zip(*np.unique(datasets, return_counts=True), strict=True)}

    def choose(dataset: str, filled: Array, _: Array, size: int) -> int:
        lacking = target[dataset] - filled
        room = lacking >= size - 1e-9
        return int(np.where(room, lacking / target[dataset], -np.inf).argmax() if room.any() else lacking.argmax())

    return _dealt(groups, datasets, ids, seed, len(wanted), choose)


def _dealt(
    groups: Array,
    datasets: Array,
    ids: Sequence[str],
    seed: object,
    parts: int,
    choose: Callable[[str, Array, Array, int], int],
) -> Array:
    """Return the part of each row, int[n]: see ``choose``.

    :param choose: returns the part of a group by its dataset, the numbers of that dataset's rows and of all rows in each part, and
        the group's size
    """
    import numpy as np

    names = datasets.tolist()
    filled = {name: np.zeros(parts) for name in set(names)}
    total = np.zeros(parts)
    part = np.empty(len(names), dtype=np.int64)
    for rows in sorted(rows_by_group(groups, ids, seed), key=len, reverse=True):
        dataset = names[rows[0]]
        part[rows] = choice = choose(dataset, filled[dataset], total, len(rows))
        total[choice] += len(rows)
        for i in rows:
            filled[names[i]][choice] += 1
    return part
