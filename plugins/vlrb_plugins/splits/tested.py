"""Splits whose test samples are chosen beforehand: the rest is divided into train and dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vlrb import Array, SplitRows, SplitSamples, grouped_shares


def tested_in_turn(
    samples: SplitSamples, groups: Array, tests: Mapping[str, Array], ratio: Sequence[float], seed: int | None
) -> tuple[SplitRows, ...]:
    """Return a split for each set of test samples; whole groups of the rest are divided into train and dev.

    :param groups: int[n]
    :param tests: name of the split -> bool[n], the samples that are tested
    """
    return tuple(_rest_divided(samples, groups, name, test, ratio, f"{seed}:{name}") for name, test in tests.items())


def _rest_divided(
    samples: SplitSamples, groups: Array, name: str, test: Array, ratio: Sequence[float], seed: str
) -> SplitRows:
    rest = np.flatnonzero(~test)
    part = grouped_shares(groups[rest], samples.datasets[rest], [samples.ids[i] for i in rest.tolist()], ratio, seed)
    return SplitRows(rest[part == 0], rest[part == 1], np.flatnonzero(test), name)


def none_straddles(groups: Array, tests: Mapping[str, Array]) -> bool:
    """Tell whether every group is either tested as a whole or not at all, in each split."""
    return not any(np.intersect1d(groups[test], groups[~test]).size for test in tests.values())
