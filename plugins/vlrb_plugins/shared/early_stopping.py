"""Early stopping on dev, as VL-RouterBench's training monitor does it."""

from __future__ import annotations

import math
from typing import cast

import attrs

from vlrb import FitContext, MetricValue, Undefined


@attrs.frozen
class EarlyStopping:
    """The best epoch so far, and how many epochs in a row were not better.

    An epoch, counted from 1, is better when its score is above the best by more than ``min_delta``; an undefined score is not
    better.
    """

    patience: int
    min_delta: float
    best_score: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def after(self, epoch: int, score: MetricValue) -> EarlyStopping:
        """Return the state after an epoch."""
        least = -math.inf if self.best_score is None else self.best_score + self.min_delta
        if isinstance(score, Undefined) or not score > least:
            return attrs.evolve(self, waited=self.waited + 1)
        return attrs.evolve(self, best_score=float(score), best_epoch=epoch, waited=0)

    @property
    def stop(self) -> bool:
        """Whether none was better for ``patience`` epochs."""
        return self.waited >= self.patience


def kept_epochs(context: FitContext) -> int | None:
    """Return how many epochs the first fit chose on dev, which a refit trains; None in a first fit."""
    return None if context.kept is None else cast(int, context.kept["epochs"])
