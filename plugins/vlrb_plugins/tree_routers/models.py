"""What is learnt of one candidate model: its chance of being right, and its cost."""

from __future__ import annotations

import attrs
import numpy as np

from vlrb import Array
from vlrb_plugins.tree_routers.boosters import Booster, Rounds, Trainer, best_rounds, half_shares, halves
from vlrb_plugins.tree_routers.calibration import Calibration, calibrate, log_loss, log_odds
from vlrb_plugins.tree_routers.params import TreeParams

FLOOR = 1e-3
"""Costs count as at least this share of the model's mean before their logarithm is taken."""


@attrs.frozen(eq=False)
class Chance:
    """The probability of being right: calibrated trees, or without trees the mean."""

    mean: float
    calibration: Calibration
    trees: Booster | None = None

    def probabilities(self, prepared: object, n: int, threads: int) -> Array:
        """Return float64[n], before shrinkage."""
        if self.trees is None:
            return np.full(n, self.mean)
        return self.calibration.apply(self.trees.margins(prepared, threads))


@attrs.frozen(eq=False)
class Cost:
    """The expected cost: trees on the logarithm, or without trees the mean.

    ``factor`` makes the mean of the predictions on train that of the costs (Duan's smearing); none is outside [low, high], the
    costs seen on train.
    """

    mean: float
    low: float = 0.0
    high: float = 0.0
    factor: float = 1.0
    trees: Booster | None = None

    def predict(self, prepared: object, n: int, threads: int) -> Array:
        """Return float64[n], USD per sample."""
        if self.trees is None:
            return np.full(n, self.mean)
        return np.clip(self.factor * np.exp(self.trees.margins(prepared, threads)), self.low, self.high)


@attrs.frozen(eq=False)
class Learnt:
    """A chance, and the probabilities on dev that shrinkage and lambda are chosen by.

    ``dev`` is float64[n], ``rounds`` the number of trees.  With trees, ``dev`` comes from boosters and calibrations that had not
    seen the sample; without, it is the mean, which is what the fitted router gives.
    """

    chance: Chance
    dev: Array
    rounds: int


@attrs.frozen(eq=False)
class Learner:
    """Learns one model after another from the same rows.

    ``train`` and ``dev`` are the rows as ``Library.prepare`` gives them; ``train`` is None where costs are means.  ``dev_rows`` is
    the number of dev samples.
    """

    params: TreeParams
    trainer: Trainer
    train: object
    dev: object
    dev_rows: int
    threads: int

    def chance(self, right: Array, dev: Array) -> Learnt:
        """Learn when a model is right.

        :param right: bool[n] on train, ``dev`` bool[m] on dev
        """
        n, hits, mean = len(right), int(right.sum()), smoothed_mean(right)
        constant = Learnt(Chance(mean, Calibration(log_odds(mean))), np.full(len(dev), mean), 0)
        if min(hits, n - hits) < self.params.min_cases:
            return constant
        booster, losses = self.trainer.train(right.astype(np.float64), dev.astype(np.float64), "right")
        without = np.array([log_loss(np.full(len(half), mean), dev[half]).mean() for half in halves(len(dev))])
        rounds = best_rounds(losses, without, half_shares(self.dev_rows))
        if not rounds.all:
            return constant
        kept = booster.kept(rounds.all)
        if not kept.gain().any():  # trees without a single split
            return constant
        margins = self._unseen(booster, rounds, log_odds(mean))
        calibration = calibrate(self.params.calibration, log_odds(mean), margins, dev)
        return Learnt(Chance(mean, calibration, kept), self._probabilities(mean, rounds, margins, dev), rounds.all)

    def _unseen(self, booster: Booster, rounds: Rounds, constant: float) -> Array:
        """Return the log odds on dev, each half with the number of trees that the other one asks for."""
        margins = np.full(self.dev_rows, constant)
        for half, trees in zip(halves(self.dev_rows), reversed(rounds.halves), strict=True):
            if trees:
                margins[half] = booster.margins(self.dev, self.threads, trees)[half]
        return margins

    def _probabilities(self, mean: float, rounds: Rounds, margins: Array, dev: Array) -> Array:
        """Return the probabilities on dev, each half with a calibration fitted on the other one.

        A half gets the mean where the other one asks for no tree: without trees nothing is calibrated.
        """
        p = np.full(len(dev), mean)
        first, second = halves(len(dev))
        for half, other, trees in ((first, second, rounds.halves[1]), (second, first, rounds.halves[0])):
            if trees:
                fitted = calibrate(self.params.calibration, log_odds(mean), margins[other], dev[other])
                p[half] = fitted.apply(margins[half])
        return p

    def cost(self, cost: Array, dev: Array) -> tuple[Cost, int]:
        """Learn what a model costs; return the number of trees as well.

        :param cost: float64[n] on train, ``dev`` float64[m] on dev, USD per sample
        """
        mean = float(cost.mean())
        if self.params.cost == "mean" or cost.min() == cost.max():
            return Cost(mean), 0
        logs, dev_logs = cost_logs(cost, mean), cost_logs(dev, mean)
        booster, losses = self.trainer.train(logs, dev_logs, "cost")
        without = np.array([((dev_logs[half] - logs.mean()) ** 2).mean() for half in halves(len(dev))])
        rounds = best_rounds(losses, without, half_shares(self.dev_rows))
        if not rounds.all:
            return Cost(mean), 0
        fitted = fitted_cost(cost, booster.kept(rounds.all), self.train, self.threads)
        return fitted, rounds.all if fitted.trees else 0


def smoothed_mean(right: Array) -> float:
    """Return the mean of bool[n] by the rule of succession: never 0 or 1."""
    return (int(right.sum()) + 1) / (len(right) + 2)


def cost_logs(cost: Array, mean: float) -> Array:
    """Return the logarithms of costs of a model, of which trees learn."""
    return np.asarray(np.log(np.maximum(cost, FLOOR * mean)))


def fitted_cost(cost: Array, trees: Booster, train: object, threads: int) -> Cost:
    """Return what trees that have learnt ``cost`` of ``train`` make of it; the mean where no tree has a split."""
    mean = float(cost.mean())
    if not trees.gain().any():
        return Cost(mean)
    factor = mean / float(np.exp(trees.margins(train, threads)).mean())
    return Cost(mean, float(cost.min()), float(cost.max()), factor, trees)
