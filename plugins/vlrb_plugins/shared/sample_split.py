"""VL-RouterBench's own split, sample by sample."""

from __future__ import annotations

import numpy as np

from vlrb import Array, DataError


def sample_split(n: int, train: float, dev: float, seed: int) -> list[Array]:
    """Return the rows of train, dev and test: a numpy-seeded shuffle of the samples, in order of their ids, cut in three.

    :param train: share of the samples, as is ``dev``; test gets the rest
    """
    first, second = int(train * n), int(dev * n)
    return [np.sort(rows) for rows in np.split(_shuffled(n, seed), [first, first + second])]


def sample_folds(n: int, folds: int, train: float, dev: float, seed: int) -> list[list[Array]]:
    """Return the rows of train, dev and test of each fold: the same shuffle cut into folds, each of which is test once.

    The samples that come after a fold, and then those before it, are its train and dev.

    :param train: with ``dev``, the ratio in which the samples that are not test are divided
    :raises DataError: when there are fewer samples than folds
    """
    if n < folds:
        what = f"{folds} folds need at least {folds} samples, and there are {n:,}"
        raise DataError(what, where="[split] folds", fix="use fewer folds, or more samples")
    order = _shuffled(n, seed)
    ends = np.cumsum([len(rows) for rows in np.array_split(order, folds)]).tolist()
    made = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        rest = np.concatenate([order[end:], order[:start]])
        cut = int(train / (train + dev) * rest.size)
        made.append([np.sort(rows) for rows in (rest[:cut], rest[cut:], order[start:end])])
    return made


def _shuffled(n: int, seed: int) -> Array:
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    return order
