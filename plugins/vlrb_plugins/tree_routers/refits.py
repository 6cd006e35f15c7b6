"""Refits on train and dev together: what dev decided of each model in the first fit, as scalars by name, and learning by it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from vlrb import Array, Scalar
from vlrb_plugins.tree_routers.boosters import Trainer
from vlrb_plugins.tree_routers.calibration import Calibration, log_odds
from vlrb_plugins.tree_routers.models import Chance, Cost, cost_logs, fitted_cost, smoothed_mean

POINTS = ("log-odds", "chance")
"""What an isotonic calibration's points are made of."""


@attrs.frozen(eq=False)
class Decided:
    """What dev decides of one model: the number of trees for its chance and for its cost (0: the mean), and the calibration."""

    trees: int
    cost_trees: int
    calibration: Calibration

    def scalars(self, model: str) -> dict[str, Scalar]:
        """Return the decisions by name.  Names end with the model's, and no colon comes before it, so that no two are equal."""
        found: dict[str, Scalar] = {"trees": self.trees, "cost-trees": self.cost_trees}
        points = self.calibration.points
        if points is not None:
            found |= {
                f"{part}-{i}": v for part, row in zip(POINTS, points.tolist(), strict=True) for i, v in enumerate(row)
            }
        elif self.trees:
            found |= {"slope": self.calibration.slope, "shift": self.calibration.shift}
        return {f"{name}:{model}": value for name, value in found.items()}

    @classmethod
    def restored(cls, kept: Mapping[str, Any], model: str) -> Decided:
        """Return the decisions of which ``kept`` has the scalars; the calibration's centre is for the refit to set."""
        slope, shift = kept.get(f"slope:{model}", 1.0), kept.get(f"shift:{model}", 0.0)
        rows = [list(_numbered(kept, part, model)) for part in POINTS]
        points = np.array(rows, dtype=np.float64) if rows[0] else None
        return cls(kept[f"trees:{model}"], kept[f"cost-trees:{model}"], Calibration(0.0, slope, shift, points))


def _numbered(kept: Mapping[str, Any], part: str, model: str) -> Iterator[float]:
    for i in itertools.count():
        if (name := f"{part}-{i}:{model}") not in kept:
            return
        yield kept[name]


@attrs.frozen(eq=False)
class Relearner:
    """Learns one model after another from the same rows, ``train`` as ``Library.prepare`` gives them, without dev."""

    trainer: Trainer
    train: object
    threads: int

    def chance(self, right: Array, decided: Decided) -> Chance:
        """Learn when a model is right, bool[n]."""
        mean = smoothed_mean(right)
        centre = log_odds(mean)
        if decided.trees:
            booster = self.trainer.train_exactly(right.astype(np.float64), "right", decided.trees)
            if booster.gain().any():
                return Chance(mean, attrs.evolve(decided.calibration, centre=centre), booster)
        return Chance(mean, Calibration(centre))

    def cost(self, cost: Array, decided: Decided) -> Cost:
        """Learn what a model costs, float64[n], USD per sample."""
        if not decided.cost_trees:
            return Cost(float(cost.mean()))
        booster = self.trainer.train_exactly(cost_logs(cost, float(cost.mean())), "cost", decided.cost_trees)
        return fitted_cost(cost, booster, self.train, self.threads)
