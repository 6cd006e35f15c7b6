"""How large the steps are, and when the training ends."""

from __future__ import annotations

import attrs

from vlrb import MetricValue


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the share of the learning rate that holds at a step: it grows from 0 in the warm-up, then falls to 0.

    :param step: from 0 to ``steps`` - 1
    :param warmup: the share of all steps that the warm-up takes
    """
    rising = int(warmup * steps)
    if step < rising:
        return step / rising
    return (steps - step) / max(1, steps - rising)


@attrs.frozen
class Monitor:
    """Keeps the best epoch, and tells when none was better for ``patience`` epochs.

    An epoch, counted from 1, is better when its score is above the best by more than ``min_delta``; an undefined score is no
    better than any.
    """

    patience: int
    min_delta: float
    best_score: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def after(self, epoch: int, score: MetricValue) -> Monitor:
        """Return the state after an epoch."""
        better = isinstance(score, float | int) and (
            self.best_score is None or score > self.best_score + self.min_delta
        )
        if better:
            return attrs.evolve(self, best_score=float(score), best_epoch=epoch, waited=0)  # type: ignore[arg-type]
        return attrs.evolve(self, waited=self.waited + 1)

    @property
    def stop(self) -> bool:
        """Tell whether to stop."""
        return self.waited >= self.patience
