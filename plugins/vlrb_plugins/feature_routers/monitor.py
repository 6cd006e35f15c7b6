"""Early stopping on dev, as VL-RouterBench's training monitor does it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from vlrb import DataError, MetricValue, Undefined


@attrs.define
class Monitor:
    """Keeps the state of the best epoch.

    An epoch is better when its score is greater than the best so far by more than ``min_delta``; ``patience`` epochs in a row
    that are not better end the training.  A score that is undefined is not better.
    """

    patience: int
    min_delta: float
    best: float = -math.inf
    best_epoch: int = 0
    kept: Any = None
    waited: int = 0
    _reason: str = ""

    def stops(self, epoch: int, score: MetricValue, state: Callable[[], Any]) -> bool:
        """Take note of an epoch, and of its state if it is better; tell whether it was the last."""
        if isinstance(score, Undefined):
            self._reason = score.reason
        elif score > self.best + self.min_delta:
            self.best, self.best_epoch, self.kept, self.waited = score, epoch, state(), 0
            return False
        self.waited += 1
        return self.waited >= self.patience

    def chosen(self, router: str) -> Any:
        """Return the state of the best epoch.

        :raises DataError: when the score was undefined in every epoch
        """
        if not self.best_epoch:
            fix = "set another select_by, or set monitor = false"
            raise DataError(f"no epoch could be selected on dev: {self._reason}", where=router, fix=fix)
        return self.kept


def curve(score: MetricValue, loss: float) -> dict[str, float]:
    """Return what is logged of an epoch."""
    return {"loss": loss} | ({} if isinstance(score, Undefined) else {"dev_score": score})
