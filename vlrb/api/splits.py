"""What splitters get and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from vlrb.api.frozen import Array

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
