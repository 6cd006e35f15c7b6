"""The epochs of a training, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vlrb import Array, DataError, FitContext, MetricValue, Undefined
from vlrb_plugins.feature_routers.params import LinearParams, MlpParams
from vlrb_plugins.shared.early_stopping import EarlyStopping

State = TypeVar("State")


def run_epochs(
    step: Callable[[int], float],
    choices: Callable[[], Array],
    state: Callable[[], State],
    params: LinearParams | MlpParams,
    context: FitContext,
    router: str,
    by_loss: EarlyStopping,
) -> State:
    """Return the state after the best epoch on dev, or without early stopping after the last.

    :param step: trains for an epoch, counted from 1, and returns its loss
    :param choices: gives the models now chosen on dev
    :param by_loss: ends the training when the loss no longer falls, without early stopping
    :raises DataError: when the dev score was undefined in every epoch
    """
    stopping = EarlyStopping(params.patience, params.min_delta) if params.early_stopping else by_loss
    score: MetricValue = 0.0
    for epoch in range(1, params.max_iter + 1):
        loss = step(epoch)
        context.progress(epoch, params.max_iter)
        score = context.dev_score(choices()) if params.early_stopping else -loss
        told = {} if isinstance(score, Undefined) or not params.early_stopping else {"dev_score": score}
        context.log(epoch, {"loss": loss} | told)
        stopping = stopping.after(epoch, score)
        if params.early_stopping and stopping.best_epoch == epoch:
            best = state()
        if stopping.stop:
            break
    if not params.early_stopping:
        return state()
    if not stopping.best_epoch:
        reason = score.reason if isinstance(score, Undefined) else f"it is {score}"
        fix = "set another [selection] metric, or set early_stopping = false"
        raise DataError(f"no epoch could be selected on dev: {reason}", where=router, fix=fix)
    return best
