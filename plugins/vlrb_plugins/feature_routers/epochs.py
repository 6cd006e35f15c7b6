"""The epochs of a training, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from vlrb import Array, DataError, FitContext, MetricValue, Scalar, Undefined
from vlrb_plugins.feature_routers.params import LinearParams, MlpParams
from vlrb_plugins.shared.early_stopping import EarlyStopping, kept_epochs

State = TypeVar("State")


def run_epochs(
    step: Callable[[int], float],
    choices: Callable[[], Array],
    state: Callable[[], State],
    params: LinearParams | MlpParams,
    context: FitContext,
    router: str,
    by_loss: EarlyStopping,
) -> tuple[State, Mapping[str, Scalar]]:
    """Return the state after the best epoch on dev, or without early stopping after the last, and what a refit needs to know.

    A refit trains as many epochs as the best one of the first fit, without dev.

    :param step: trains for an epoch, counted from 1, and returns its loss
    :param choices: gives the models now chosen on dev
    :param by_loss: ends the training when the loss no longer falls, without early stopping
    :raises DataError: when the dev score was undefined in every epoch
    """
    fixed = kept_epochs(context) if params.early_stopping else None
    by_dev, epochs = params.early_stopping and fixed is None, fixed or params.max_iter
    stopping = EarlyStopping(params.patience, params.min_delta) if by_dev else by_loss
    score: MetricValue = 0.0
    for epoch in range(1, epochs + 1):
        loss = step(epoch)
        context.progress(epoch, epochs)
        score = context.dev_score(choices()) if by_dev else -loss
        told = {} if isinstance(score, Undefined) or not by_dev else {"dev_score": score}
        context.log(epoch, {"loss": loss} | told)
        stopping = stopping.after(epoch, score)
        if by_dev and stopping.best_epoch == epoch:
            best = state()
        if stopping.stop and fixed is None:
            break
    if not by_dev:
        return state(), context.kept or {}
    if not stopping.best_epoch:
        reason = score.reason if isinstance(score, Undefined) else f"it is {score}"
        fix = "set another [selection] metric, or set early_stopping = false"
        raise DataError(f"no epoch could be selected on dev: {reason}", where=router, fix=fix)
    return best, {"epochs": stopping.best_epoch}
