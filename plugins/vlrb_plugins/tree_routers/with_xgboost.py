"""XGBoost: histogram trees that grow where the loss falls most; kept as its binary JSON (UBJSON)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import xgboost

from vlrb import Array
from vlrb_plugins.tree_routers.boosters import Objective, Stopping, column_share, half_shares, halves
from vlrb_plugins.tree_routers.params import TreeParams
from vlrb_plugins.tree_routers.table import Table

OBJECTIVES: dict[Objective, dict[str, str]] = {
    "right": {"objective": "binary:logistic", "eval_metric": "logloss"},
    "cost": {"objective": "reg:squarederror", "eval_metric": "rmse"},
}


class Xgboost:
    """The library."""

    name = "xgboost"
    suffix = "ubj"

    def trainer(
        self, rows: Array, dev: Array | None, table: Table, params: TreeParams, seed: int, threads: int
    ) -> XgboostTrainer:
        """Bin the rows, once for all models."""
        return XgboostTrainer(rows, dev, table, params, seed, threads)

    def prepare(self, rows: Array, table: Table, threads: int) -> Any:
        """Return the rows as a DMatrix."""
        return xgboost.DMatrix(rows, nthread=threads, **_described(table))

    def load(self, content: bytes) -> XgboostBooster:
        """Bring back a booster."""
        return XgboostBooster(content)


class XgboostTrainer:
    """Binned matrices whose labels change from target to target."""

    def __init__(
        self, rows: Array, dev: Array | None, table: Table, params: TreeParams, seed: int, threads: int
    ) -> None:
        self._parameters = _parameters(params, rows.shape[1], seed, threads)
        self._params = params
        self._halves = halves(0 if dev is None else len(dev))
        made = {"max_bin": params.bins, "nthread": threads, **_described(table)}
        self._train = xgboost.QuantileDMatrix(rows, **made)
        self._dev = []
        if dev is not None:
            self._dev = [xgboost.QuantileDMatrix(dev[half], ref=self._train, **made) for half in self._halves]

    def train(self, target: Array, dev: Array, objective: Objective) -> tuple[XgboostBooster, Array]:
        """Train one booster."""
        for matrix, half in zip(self._dev, self._halves, strict=True):
            matrix.set_label(dev[half])
        halt = _Halt(Stopping(self._params.patience, half_shares(len(dev))))
        evals = list(zip(self._dev, ("first", "second"), strict=True))
        booster = self._trained(target, objective, self._params.rounds, evals=evals, callbacks=[halt])
        losses = np.array(halt.losses)
        return booster, losses**2 if objective == "cost" else losses

    def train_exactly(self, target: Array, objective: Objective, trees: int) -> XgboostBooster:
        """Train one booster of so many trees."""
        return self._trained(target, objective, trees)

    def _trained(self, target: Array, objective: Objective, rounds: int, **more: Any) -> XgboostBooster:
        self._train.set_label(target)
        # a train sample counts as much as its loss curves: p(1 - p) where p is the mean
        spread = float(target.mean() * (1.0 - target.mean())) if objective == "right" else 1.0
        parameters = self._parameters | OBJECTIVES[objective] | {"min_child_weight": self._params.min_leaf * spread}
        trained = xgboost.train(parameters, self._train, rounds, verbose_eval=False, **more)
        return XgboostBooster(bytes(trained.save_raw("ubj")))


class _Halt(xgboost.callback.TrainingCallback):  # type: ignore[misc, unused-ignore]
    def __init__(self, stopping: Stopping) -> None:
        super().__init__()
        self._stopping = stopping
        self.losses: list[list[float]] = []

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Keep the losses of the round; return whether to stop."""
        last = [next(iter(evals_log[half].values()))[-1] for half in ("first", "second")]
        self.losses.append([float(value) for value in last])
        return self._stopping.over(np.array(self.losses))


_PREDICTING = threading.Lock()
"""A booster whose parameters are being set cannot predict for another thread."""


class XgboostBooster:
    """A booster in UBJSON: what predicts is read from the very bytes that are saved."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._booster = xgboost.Booster(model_file=bytearray(content))

    def margins(self, prepared: Any, threads: int, trees: int | None = None) -> Array:
        """Return float64[n]."""
        with _PREDICTING:
            self._booster.set_param({"nthread": threads})
            margins = self._booster.predict(prepared, output_margin=True, iteration_range=(0, trees or 0))
        return np.asarray(margins, dtype=np.float64)

    def kept(self, trees: int) -> XgboostBooster:
        """Return the booster with its first trees."""
        return XgboostBooster(bytes(self._booster[:trees].save_raw("ubj")))

    def gain(self) -> Array:
        """Return the gain of every column."""
        found = self._booster.get_score(importance_type="total_gain")
        return np.array([found.get(name, 0.0) for name in self._booster.feature_names], dtype=np.float64)


def _described(table: Table) -> dict[str, Any]:
    kinds = ["c" if j in table.categories else "float" for j in range(len(table.columns))]
    return {"feature_names": table.safe_names, "feature_types": kinds, "enable_categorical": True}


def _parameters(params: TreeParams, columns: int, seed: int, threads: int) -> dict[str, Any]:
    return {
        "verbosity": 0,
        "nthread": threads,
        "seed": seed % 2**31,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": params.leaves,
        "eta": params.learning_rate,
        "lambda": params.l2,
        "colsample_bytree": column_share(params, columns),
        "subsample": params.rows,
        "max_bin": params.bins,
    }
