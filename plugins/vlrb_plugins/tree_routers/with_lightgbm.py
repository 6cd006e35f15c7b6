"""LightGBM: deterministic whatever the number of threads (``deterministic`` with ``force_col_wise``); kept as its text format."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from vlrb import Array
from vlrb_plugins.tree_routers.boosters import Objective, Stopping, column_share, half_shares, halves
from vlrb_plugins.tree_routers.params import TreeParams
from vlrb_plugins.tree_routers.table import Table

OBJECTIVES: dict[Objective, dict[str, str]] = {
    "right": {"objective": "binary", "metric": "binary_logloss"},
    "cost": {"objective": "regression", "metric": "l2"},
}


class Lightgbm:
    """The library."""

    name = "lightgbm"
    suffix = "txt"

    def trainer(
        self, rows: Array, dev: Array | None, table: Table, params: TreeParams, seed: int, threads: int
    ) -> LightgbmTrainer:
        """Bin the rows, once for all models."""
        return LightgbmTrainer(rows, dev, table, params, seed, threads)

    def prepare(self, rows: Array, table: Table, threads: int) -> Array:  # noqa: ARG002
        """Return the rows: LightGBM predicts from a plain matrix."""
        return rows

    def load(self, content: bytes) -> LightgbmBooster:
        """Bring back a booster."""
        return LightgbmBooster(content)


class LightgbmTrainer:
    """Datasets whose labels change from target to target."""

    def __init__(
        self, rows: Array, dev: Array | None, table: Table, params: TreeParams, seed: int, threads: int
    ) -> None:
        self._parameters = _parameters(params, rows.shape[1], seed, threads)
        self._params = params
        self._halves = halves(0 if dev is None else len(dev))
        made: dict[str, Any] = {
            "params": self._parameters,
            "feature_name": table.safe_names,
            "categorical_feature": sorted(table.categories),
        }
        self._train = lightgbm.Dataset(rows, label=np.zeros(len(rows)), **made).construct()
        made["reference"] = self._train
        self._dev = []
        if dev is not None:
            self._dev = [
                lightgbm.Dataset(dev[half], label=np.zeros(len(half)), **made).construct() for half in self._halves
            ]

    def train(self, target: Array, dev: Array, objective: Objective) -> tuple[LightgbmBooster, Array]:
        """Train one booster."""
        for dataset, half in zip(self._dev, self._halves, strict=True):
            dataset.set_label(dev[half])
        stopping = Stopping(self._params.patience, half_shares(len(dev)))
        losses: list[list[float]] = []

        def stop(state: Any) -> None:
            losses.append([float(result[2]) for result in state.evaluation_result_list])
            if stopping.over(np.array(losses)):
                raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

        booster = self._trained(target, objective, self._params.rounds, valid_sets=self._dev, callbacks=[stop])
        return booster, np.array(losses)

    def train_exactly(self, target: Array, objective: Objective, trees: int) -> LightgbmBooster:
        """Train one booster of so many trees."""
        return self._trained(target, objective, trees)

    def _trained(self, target: Array, objective: Objective, rounds: int, **more: Any) -> LightgbmBooster:
        self._train.set_label(target)
        trained = lightgbm.train(self._parameters | OBJECTIVES[objective], self._train, rounds, **more)
        return LightgbmBooster(trained.model_to_string(num_iteration=-1).encode())


class LightgbmBooster:
    """A booster in LightGBM's text format: what predicts is read from the very text that is saved."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._booster = lightgbm.Booster(model_str=content.decode())

    def margins(self, prepared: Any, threads: int, trees: int | None = None) -> Array:
        """Return float64[n]."""
        return np.asarray(
            self._booster.predict(prepared, raw_score=True, num_iteration=trees or -1, num_threads=threads),
            dtype=np.float64,
        )

    def kept(self, trees: int) -> LightgbmBooster:
        """Return the booster with its first trees."""
        return LightgbmBooster(self._booster.model_to_string(num_iteration=trees).encode())

    def gain(self) -> Array:
        """Return the gain of every column."""
        return np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)


def _parameters(params: TreeParams, columns: int, seed: int, threads: int) -> dict[str, Any]:
    return {
        "verbosity": -1,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed % 2**31,
        "learning_rate": params.learning_rate,
        "num_leaves": params.leaves,
        "min_data_in_leaf": params.min_leaf,
        "lambda_l2": params.l2,
        "feature_fraction": column_share(params, columns),
        "bagging_fraction": params.rows,
        "bagging_freq": 1,
        "max_bin": params.bins,
        # columns that no split can use for one model may serve another: the bins are made once
        "feature_pre_filter": False,
    }
