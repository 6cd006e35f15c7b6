"""Groups of samples that a split keeps together: joined, put in order, dealt out into folds and shares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from vlrb.api.frozen import Array
from vlrb.errors import DataError


def joined_groups(groups: Array, pairs: Sequence[tuple[int, int]]) -> Array:
    """Return groups int[n] in which those of each pair of rows are joined, named by their first row."""

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

    count = np.unique(groups).size
    if count < folds:
        what = f"{folds} folds need at least {folds} groups of samples, and there are {count:,} ({len(ids):,} samples)"
        fix = f"use at most {count} folds, or more samples" if count > 1 else "use more samples"
        raise DataError(what, where=where, fix=fix)

    def choose(_: str, filled: list[int], total: list[int], _size: int) -> int:
        return min(range(folds), key=lambda fold: (filled[fold], total[fold]))

    return _dealt(groups, datasets, ids, seed, folds, choose)


def grouped_shares(groups: Array, datasets: Array, ids: Sequence[str], shares: Sequence[float], seed: object) -> Array:
    """Return the part of each row, int[n] from 0: whole groups are dealt out, dataset by dataset, in the ratio of ``shares``.

    Large groups come first, groups of one size in the order of a hash of ``seed`` and their first id.  Each goes to the part that
    lacks most of its share among those with room for it, so that large and small groups are spread alike; where none has room, to
    the one that lacks most samples.

    :param groups: int[n]
    :param datasets: str[n]
    """

    wanted = np.array(shares)
    if abs(wanted.sum() - 1) > 1e-9:
        wanted = (wanted / wanted.sum()).round(12)
    counts = zip(*np.unique(datasets, return_counts=True), strict=True)
    targets: dict[str, list[float]] = {str(d): (c * wanted).tolist() for d, c in counts}

    def choose(dataset: str, filled: list[int], _: list[int], size: int) -> int:
        target = targets[dataset]
        lacking = [aim - rows for aim, rows in zip(target, filled, strict=True)]
        room = [part for part, rows in enumerate(lacking) if rows >= size - 1e-9]
        if room:
            return max(room, key=lambda part: lacking[part] / target[part])
        return max(range(len(target)), key=lacking.__getitem__)

    return _dealt(groups, datasets, ids, seed, len(wanted), choose)


def _dealt(
    groups: Array,
    datasets: Array,
    ids: Sequence[str],
    seed: object,
    parts: int,
    choose: Callable[[str, list[int], list[int], int], int],
) -> Array:
    """Return the part of each row, int[n]: see ``choose``.

    Lists are used, since looking up single entries of numpy's arrays takes longer.

    :param choose: returns the part of a group by its dataset, the numbers of that dataset's rows and of all rows in each part, and
        the group's size
    """

    names = datasets.tolist()
    filled = {name: [0] * parts for name in set(names)}
    total = [0] * parts
    part = [0] * len(names)
    for rows in sorted(rows_by_group(groups, ids, seed), key=len, reverse=True):
        dataset = names[rows[0]]
        choice = choose(dataset, filled[dataset], total, len(rows))
        total[choice] += len(rows)
        for i in rows:
            part[i] = choice
            filled[names[i]][choice] += 1
    return np.array(part, dtype=np.int64)
