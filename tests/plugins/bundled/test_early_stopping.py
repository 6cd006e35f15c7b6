"""Early stopping, against the reference implementation and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vlrb.api.routing import MetricValue, Undefined
from vlrb_plugins.shared.early_stopping import EarlyStopping


def stopped(scores: list[MetricValue]) -> tuple[int, int]:
    """Return the best epoch and the one that ends the training (-1: none), with patience 3 and min_delta 1e-4."""
    stopping = EarlyStopping(patience=3, min_delta=1e-4)
    for epoch, score in enumerate(scores, 1):
        stopping = stopping.after(epoch, score)
        if stopping.stop:
            return stopping.best_epoch, epoch
    return stopping.best_epoch, -1


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_early_stopping_equals_the_reference(shared: Callable[[str], Path], case: str) -> None:
    """Best epoch and last epoch of sequences of dev scores, with gains below min_delta among them."""
    with np.load(shared("vectors/training_monitor.npz")) as found:
        values, best, last = (found[f"{case}_{k}"] for k in ("values", "best_epoch", "stop_epoch"))

    assert stopped(values.tolist()) == (int(best), int(last))


@pytest.mark.parametrize(
    ("scores", "best", "last"),
    [
        ([0.5, 0.4, 0.4, 0.4, 0.9], 1, 4),  # three epochs without a better one
        ([0.5, 0.5001, 0.50005, 0.5, 0.9], 1, 4),  # gains of no more than min_delta do not count
        ([0.5, 0.50011, 0.50015, 0.50022, 0.4, 0.4], 4, -1),  # each against the best, not against the epoch before
        ([0.1, 0.2, 0.3], 3, -1),
        ([0.3, 0.2, 0.2, 0.4, 0.3, 0.3, 0.3, 0.9], 4, 7),  # counted again after a better one
        ([None, None, 0.1, None, 0.05, 0.0, 0.2], 3, 6),
        ([-0.5, -0.4, -0.6, -0.6, -0.6], 2, 5),  # scores below 0 are scores
    ],
)
def test_early_stopping_in_figures(scores: list[float | None], best: int, last: int) -> None:
    """A better epoch starts the count again; one without a value counts as not better."""
    assert stopped([Undefined("none") if s is None else s for s in scores]) == (best, last)


def test_an_undefined_dev_score_is_never_the_best() -> None:
    """An undefined score counts as not better, before and after a defined one."""
    stopping = EarlyStopping(2, 1e-4).after(1, Undefined("none")).after(2, 0.1).after(3, Undefined("none"))

    assert (stopping.best_epoch, stopping.best_score, stopping.waited) == (2, 0.1, 1)


@pytest.mark.parametrize("worst", [float("nan"), float("-inf")])
def test_a_score_that_is_no_number_is_never_the_best(worst: float) -> None:
    """A loss that diverged in the first epoch does not keep later ones from being better."""
    assert stopped([worst, 0.1, 0.2]) == (3, -1)
