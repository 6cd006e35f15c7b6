"""Multinomial logistic regression on hard labels or soft targets, on any machine the same (VL-RouterBench, Linear).

``published`` minimises ``C * sum of cross-entropies + |W|^2 / 2``, intercepts free, as scikit-learn does it for hard labels; where
that takes more than ``max_iter`` steps, a warning says so.  ``reference`` makes steps of Adam on all rows at once, in single
precision, on the *mean* cross-entropy with the same penalty, which therefore weighs as many times more as there are rows,
intercepts included; it stops early on dev.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np

from vlrb import COST_SCALE, Array, FitContext, Labelled, Queries, Scalar, solved_rows
from vlrb_plugins.feature_routers.deciding import HighestScore
from vlrb_plugins.feature_routers.epochs import run_epochs
from vlrb_plugins.feature_routers.inputs import features_of, scaled_dev, targets_of
from vlrb_plugins.feature_routers.params import LinearParams
from vlrb_plugins.feature_routers.scaling import ZScore, linear
from vlrb_plugins.feature_routers.solver import Softmax, softmax, solve
from vlrb_plugins.feature_routers.storage import store, stored
from vlrb_plugins.shared.early_stopping import EarlyStopping

BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's, as torch has them."""


@attrs.frozen
class Linear:
    """The router ``linear``."""

    params: LinearParams

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedLinear:
        """Fit the regression.

        :raises DataError: when no model is right on any train sample, or the selection metric is undefined on dev
        """
        features, rows = features_of(train.queries, "linear"), solved_rows(train, "linear")
        reference = self.params.variant == "reference"
        scaler = ZScore.fit(features.matrix, rows, ddof=1 if reference else 0)
        scale = 1.0 if reference else COST_SCALE
        targets = targets_of(train, rows, self.params.lambda_, self.params.variant, scale)
        matrix = scaler.apply(features.matrix, rows)
        kept: Mapping[str, Scalar] = {}
        if reference:
            start = initial(matrix.shape[1], targets.shape[1], context.rng)
            asked = scaled_dev(dev, scaler, "linear") if self.params.early_stopping else matrix[:0]
            weights, intercepts, kept = train_by_adam(matrix, targets, asked, start, self.params, context)
        else:
            solution = solve(matrix, Softmax(targets), targets.shape[1], self.params, context, "linear")
            weights, intercepts = solution.weights, solution.intercepts
        return FittedLinear(self.params, scaler, weights, intercepts, kept)


@attrs.frozen(eq=False)
class FittedLinear(HighestScore):
    """Weights float64[d, k] and intercepts float64[k]; ``kept`` is not saved."""

    params: LinearParams
    scaler: ZScore
    weights: Array
    intercepts: Array
    kept: Mapping[str, Scalar] = attrs.field(factory=dict)

    def scores(self, queries: Queries) -> Array:
        """Return the predicted target, a distribution over the models, float64[n, k]."""
        matrix = features_of(queries, "linear", len(self.weights)).matrix
        return softmax(linear(self.scaler, matrix, self.weights, self.intercepts))

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        more = {"weights": self.weights, "intercepts": self.intercepts}
        store(directory, "linear", self.params, self.scaler.arrays() | more)


def load(directory: Path) -> FittedLinear:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "linear")
    a = found.arrays
    return FittedLinear(found.parameters(LinearParams), ZScore.restored(a), a["weights"], a["intercepts"])


# --- the reference's training -------------------------------------------------------------------------------------------


def initial(width: int, models: int, rng: np.random.Generator) -> Array:
    """Return weights and, in the last column, intercepts, float32[k, d + 1], drawn as torch draws those of a linear layer."""
    bound = 1.0 / math.sqrt(width)
    return rng.uniform(-bound, bound, (models, width + 1)).astype(np.float32)


def train_by_adam(
    matrix: Array, targets: Array, dev: Array, start: Array, params: LinearParams, context: FitContext
) -> tuple[Array, Array, Mapping[str, Scalar]]:
    """Return weights float64[d, k] and intercepts float64[k] after steps of Adam from ``start``, and what a refit needs to know.

    :param matrix: scaled rows float32[n, d]
    :param dev: scaled rows of the dev samples
    :param start: weights and, in the last column, intercepts, float32[k, d + 1]
    """
    adam = Adam(matrix, targets.astype(np.float32), start.astype(np.float32), params)
    to_the_end = EarlyStopping(params.max_iter, 0.0)
    point, kept = run_epochs(
        adam.step, lambda: adam.margins(dev).argmax(axis=1), lambda: adam.point, params, context, "linear", to_the_end
    )
    best = point.astype(np.float64)
    return best[:, :-1].T, best[:, -1], kept


@attrs.define(eq=False)
class Adam:
    """Adam on all rows at once, in single precision; ``point`` are weights and, in the last column, intercepts [k, d + 1]."""

    matrix: Array
    goal: Array
    point: Array
    params: LinearParams
    first: Array = attrs.field(init=False)
    second: Array = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.point), np.zeros_like(self.point)

    def margins(self, rows: Array) -> Array:
        """Return the margins of scaled rows."""
        return np.asarray(rows @ self.point[:, :-1].T + self.point[:, -1])

    def step(self, number: int) -> float:
        """Make a step, counted from 1; return the loss before it."""
        point, goal, penalty = self.point, self.goal, np.float32(1.0 / self.params.c)
        p = softmax(self.margins(self.matrix))
        loss = float(-(goal * np.log(np.maximum(p, 1e-30))).sum() / len(goal)) + 0.5 * float(penalty * (point**2).sum())
        slopes = (p - goal) / np.float32(len(goal))
        gradient = np.hstack([slopes.T @ self.matrix, slopes.sum(axis=0)[:, None]]) + penalty * point
        self.first += np.float32(1 - BETAS[0]) * (gradient - self.first)
        self.second = np.float32(BETAS[1]) * self.second + np.float32(1 - BETAS[1]) * gradient * gradient
        size = self.params.learning_rate / (1 - BETAS[0] ** number)
        root = np.sqrt(self.second) / np.float32(math.sqrt(1 - BETAS[1] ** number)) + np.float32(EPSILON)
        self.point = point - np.float32(size) * (self.first / root)
        return loss
