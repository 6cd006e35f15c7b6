"""Refits on train and dev together: as many epochs as the first fit's best, on its schedule, without dev."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import Undefined
from vlrb_plugins.neural_routers.params import ROUTERS
from vlrb_plugins.neural_routers.routers import NeuralRouter

TRAIN, DEV, WHOLE, TEST = slice(184, 240), slice(240, 280), slice(184, 280), slice(320, 340)
STEPS = 6
"""Steps of an epoch on train and dev together."""


@pytest.fixture
def fit(bodies: Any, shades: Any, context: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fits a router on some rows, and returns it with what its context was told."""

    def fitted(name: str, rows: slice, work: str, dev: Any = None, score: Any = None, **more: Any) -> tuple[Any, Any]:
        made, told = context(work, **({"dev_score": score} if score else {}), **more)
        values = {**bodies.parameters(), "learning_rate": 1e-3, "epochs": 4, "patience": 4}
        router = NeuralRouter(name, ROUTERS[name][0](**values))
        return router.fit(shades.part(rows), dev or shades.part(DEV), made), told

    return fitted


def best_at(epoch: int) -> Callable[[Any], float]:
    """Return dev scores of which an epoch has the best."""
    scores = iter([0.9 if e == epoch else 0.1 for e in range(1, 100)])
    return lambda choices: next(scores)


def refuse(choices: Any) -> float:
    raise AssertionError("dev is part of train in a refit, and may decide nothing")


@pytest.mark.parametrize("name", list(ROUTERS))
def test_a_refit_is_the_best_epoch_of_the_first_fits_schedule(fit: Any, shades: Any, name: str) -> None:
    """Bit for bit what a fit on all rows has after that epoch; no dev score, no look at dev's labels, and no epoch more."""
    first, _ = fit(name, TRAIN, "first", score=best_at(3))
    dev = shades.part(DEV)
    other = attrs.evolve(dev, quality=~dev.quality, score=1 - dev.score, cost=dev.cost[:, ::-1])
    refit, told = fit(name, WHOLE, "refit", score=refuse, kept=first.kept)
    again, _ = fit(name, WHOLE, "other", dev=other, score=refuse, kept=first.kept)
    plain, told_plain = fit(name, WHOLE, "plain", score=best_at(3))
    asked = shades.part(TEST).queries

    assert first.kept == refit.kept == {"epochs": 3}
    assert refit.history == {"best_epoch": 3, "best_dev_score": None}
    assert [s for s, v in told.logged if "epoch_loss" in v] == [STEPS, 2 * STEPS, 3 * STEPS]
    assert told.curve("dev_score") == []
    assert told.progress[-1] == (3 * STEPS, 3 * STEPS)
    assert told.curve("learning_rate") == told_plain.curve("learning_rate")[: 3 * STEPS]
    assert told.curve("learning_rate")[-1] > 0.2e-3  # the schedule falls to 0 after four epochs
    assert np.array_equal(refit.scores(asked), plain.scores(asked))
    assert np.array_equal(refit.scores(asked), again.scores(asked))


def test_checkpoints_of_other_lengths_and_of_first_fits_are_not_used(fit: Any, shades: Any) -> None:
    """On the same rows in the same folder: after a first fit, and after a longer refit, as in an empty folder."""
    asked = shades.part(TEST).queries
    expected, _ = fit("vlc", WHOLE, "alone", score=refuse, kept={"epochs": 2})
    fit("vlc", WHOLE, "shared", score=best_at(4))
    for _ in range(2):
        refit, told = fit("vlc", WHOLE, "shared", score=refuse, kept={"epochs": 2})
        assert np.array_equal(refit.scores(asked), expected.scores(asked))
        assert len(told.curve("epoch_loss")) == 2
        fit("vlc", WHOLE, "shared", score=refuse, kept={"epochs": 3})


def test_a_refit_goes_on_after_a_kill(fit: Any, shades: Any) -> None:
    """From its last checkpoint, to the same numbers and no further."""
    asked = shades.part(TEST).queries
    expected, _ = fit("zooter", WHOLE, "whole", score=refuse, kept={"epochs": 3})

    def progress(done: int, total: int) -> None:
        if (done, total) == (2 * STEPS + 1, 3 * STEPS):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("zooter", WHOLE, "broken", score=refuse, kept={"epochs": 3}, progress=progress)
    again, told = fit("zooter", WHOLE, "broken", score=refuse, kept={"epochs": 3})

    assert np.array_equal(again.scores(asked), expected.scores(asked))
    assert len(told.curve("epoch_loss")) == 1


def test_without_a_dev_score_the_epochs_trained_are_kept(fit: Any) -> None:
    """The last epoch's weights are the first fit's, so a refit trains as long."""
    first, told = fit("zooter", TRAIN, "first", score=lambda choices: Undefined("no bounds"))

    assert first.history["best_epoch"] == 0
    assert first.kept == {"epochs": len(told.curve("epoch_loss"))} == {"epochs": 4}
