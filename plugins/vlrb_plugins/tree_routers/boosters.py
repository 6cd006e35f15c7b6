"""What the two libraries have in common: one booster per target, stopped early, kept in the library's own format.

A booster is trained against two halves of dev.  The mean of their losses decides how many trees are kept; where dev must also
show how much the probabilities are worth, each half is predicted by as many trees as the other half asks for, so that no
sample had a say in its own prediction.
"""

from __future__ import annotations

from typing import Literal, Protocol

import attrs
import numpy as np

from vlrb import Array
from vlrb_plugins.tree_routers.params import TreeParams
from vlrb_plugins.tree_routers.table import Table

Objective = Literal["right", "cost"]
"""``right``: the log odds of a binary target, by log loss; ``cost``: a number, by squared error."""

MIN_COLUMNS = 16
"""Columns that a tree sees at least, where there are so many."""

CELLS_PER_THREAD = 2**22
"""Entries of the train matrix below which another thread takes more time than it saves."""


class Booster(Protocol):
    """Trees for one target; ``content`` is what is saved of them, in the library's own format."""

    content: bytes

    def margins(self, prepared: object, threads: int, trees: int | None = None) -> Array:
        """Return float64[n]: log odds, or the number.

        :param prepared: what ``Library.prepare`` made of the rows
        :param trees: how many trees to use, at least 1; None for all
        """

    def kept(self, trees: int) -> Booster:
        """Return the booster with its first trees only, at least 1, as it will be saved."""

    def gain(self) -> Array:
        """Return the total gain of every column, float64[d]."""


class Trainer(Protocol):
    """Binned train rows, in a first fit dev rows too, and how to train on them."""

    def train(self, target: Array, dev: Array, objective: Objective) -> tuple[Booster, Array]:
        """Return a booster and its losses on the two halves of dev after each round, float64[rounds, 2].

        :param target: of train, float64[n]; ``dev`` float64[m]
        """

    def train_exactly(self, target: Array, objective: Objective, trees: int) -> Booster:
        """Return a booster of so many trees, for which dev is not needed."""


class Library(Protocol):
    """LightGBM or XGBoost."""

    name: str
    suffix: str

    def trainer(
        self, rows: Array, dev: Array | None, table: Table, params: TreeParams, seed: int, threads: int
    ) -> Trainer:
        """Bin the rows.

        :param rows: of train, float32[n, d] as ``Table.matrix`` gives them; ``dev`` likewise, None in a refit
        """

    def prepare(self, rows: Array, table: Table, threads: int) -> object:
        """Return rows float32[n, d] in the form that boosters predict from."""

    def load(self, content: bytes) -> Booster:
        """Bring back a booster from its ``content``; what is broken raises the library's own error."""


@attrs.frozen
class Stopping:
    """Early stopping: says after each round whether to go on."""

    patience: int
    weights: tuple[float, float]

    def over(self, losses: Array) -> bool:
        """Return whether the best round is ``patience`` rounds ago.

        :param losses: float[rounds, 2]
        """
        mean = np.asarray(losses) @ np.asarray(self.weights)
        return len(mean) - 1 - int(mean.argmin()) >= self.patience


@attrs.frozen
class Rounds:
    """How many trees all of dev asks for, and each half; 0 means that the constant is best."""

    all: int
    halves: tuple[int, int]


def best_rounds(losses: Array, constant: Array, weights: tuple[float, float]) -> Rounds:
    """Return the numbers of trees with the smallest losses; of equals the fewest.

    :param constant: the losses without any tree, float64[2]
    """
    curve = np.vstack([constant[None, :], losses])
    first, second = curve.argmin(axis=0).tolist()
    return Rounds(int((curve @ np.asarray(weights)).argmin()), (first, second))


def halves(n: int) -> tuple[Array, Array]:
    """Return the rows of the two halves of dev."""
    return np.arange(0, n, 2), np.arange(1, n, 2)


def half_shares(n: int) -> tuple[float, float]:
    """Return the shares of dev that its halves are."""
    first, second = halves(n)
    return len(first) / n, len(second) / n


def column_share(params: TreeParams, columns: int) -> float:
    """Return the share of the columns that a tree sees."""
    return min(1.0, max(params.columns, MIN_COLUMNS / columns))


def threads_for(cells: int, threads: int) -> int:
    """Return how many threads a matrix of so many entries is worth."""
    return max(1, min(threads, cells // CELLS_PER_THREAD))
