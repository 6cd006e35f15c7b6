"""How large the steps are."""

from __future__ import annotations


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Return the share of the learning rate that holds at a step: it grows from 0 in the warm-up, then falls to 0.

    :param step: from 0 to ``steps`` - 1
    :param warmup: the share of all steps that the warm-up takes
    """
    rising = int(warmup * steps)
    if step < rising:
        return step / rising
    return (steps - step) / max(1, steps - rising)
