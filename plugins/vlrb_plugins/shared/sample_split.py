"""VL-RouterBench's own split, sample by sample."""

from __future__ import annotations

import numpy as np

from vlrb import Array


def sample_split(n: int, train: float, dev: float, seed: int) -> list[Array]:
    """Return the rows of train, dev and test: a numpy-seeded shuffle of the samples, in order of their ids, cut in three.

    :param train: share of the samples, as is ``dev``; test gets the rest
    """
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    first, second = int(train * n), int(dev * n)
    return [np.sort(rows) for rows in np.split(order, [first, first + second])]
