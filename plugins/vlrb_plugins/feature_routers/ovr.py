"""One logistic regression per model, all fitted at once (VL-RouterBench, OVR).

Each says how likely its model is right; the model likeliest to be right is chosen, whatever it costs, unless lambda or a budget
is given.  In the variant ``published`` all train samples count; in the variant ``reference`` those on which no model is right
are left out, after features were scaled on all.

The variant ``reference`` balances the classes, so that its regressions overstate models that are seldom right and understate
those that often are, and it decides by these; ``estimate`` has the balance taken out.  ``published`` knows how often a model is
right, and decides by the estimate; of equals the one of smaller mean cost on train, then the first.  A model that was right on
all n train samples, or on none, has nothing to learn: its probability is (n + 1) / (n + 2) or 1 / (n + 2) for every query (rule
of succession).
"""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np

from vlrb import Array, Estimate, FitContext, Labelled, Queries, solved_rows
from vlrb_plugins.feature_routers.deciding import ByEstimate, each_row, settled
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.params import OvrParams
from vlrb_plugins.feature_routers.scaling import ZScore, linear
from vlrb_plugins.feature_routers.solver import Binary, sigmoid, solve
from vlrb_plugins.feature_routers.storage import store, stored


@attrs.frozen
class Ovr:
    """The router ``ovr``."""

    params: OvrParams

    @property
    def balanced(self) -> bool:
        """Whether right and wrong answers weigh the same."""
        default = "balanced" if self.params.variant == "reference" else "none"
        return (self.params.class_weight or default) == "balanced"

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedOvr:  # noqa: ARG002
        """Fit the regressions.

        :raises DataError: when no model is right on any train sample
        """
        features, kept = features_of(train.queries, "ovr"), solved_rows(train, "ovr")
        everything = np.arange(len(train))
        scaler = ZScore.fit(features.matrix, everything)
        rows = kept if self.params.variant == "reference" else everything
        right = train.quality[rows].astype(np.float64)
        hits, n = right.sum(axis=0), len(rows)
        open_ = np.flatnonzero((hits > 0) & (hits < n))
        weights, intercepts = np.zeros((features.matrix.shape[1], right.shape[1])), np.log((hits + 1) / (n - hits + 1))
        shift = np.zeros(right.shape[1])
        if self.balanced:
            shift[open_] = np.log(hits[open_] / (n - hits[open_]))
        if open_.size:
            matrix = scaler.apply(features.matrix, rows)
            weights[:, open_], intercepts[open_] = self._solve(matrix, right[:, open_], context)
        return FittedOvr(self.params, scaler, weights, intercepts, shift, train.cost.mean(axis=0))

    def _solve(self, matrix: Array, right: Array, context: FitContext) -> tuple[Array, Array]:
        n = len(matrix)
        weights = np.full(right.shape, 1.0 / n)
        if self.balanced:
            hits = right.sum(axis=0)
            weights = np.where(right > 0, 0.5 / hits, 0.5 / (n - hits))
        solution = solve(matrix, Binary(right, weights), right.shape[1], self.params, context, "ovr")
        return solution.weights, solution.intercepts


@attrs.frozen(eq=False)
class FittedOvr(ByEstimate):
    """Weights float64[d, k] and intercepts float64[k]; the log odds that balancing took away, and mean costs, float64[k]."""

    params: OvrParams
    scaler: ZScore
    weights: Array
    intercepts: Array
    shift: Array
    cost: Array

    def own_scores(self, queries: Queries) -> Array:
        """Return the probabilities that decide, float64[n, k].

        Those of the estimate; in the variant ``reference`` the regressions' own, with the balance of classes in them.
        """
        if self.params.variant == "reference":
            return sigmoid(self._margins(queries))
        return settled(self.estimate(queries).p_correct, each_row(-self.cost))

    def estimate(self, queries: Queries) -> Estimate:
        """Return the probabilities of being right with the balance of classes taken out, and each model's mean train cost."""
        p = sigmoid(self._margins(queries) + self.shift)
        return Estimate(p, np.tile(self.cost, (len(p), 1)))

    def _margins(self, queries: Queries) -> Array:
        matrix = features_of(queries, "ovr", len(self.weights)).matrix
        return linear(self.scaler, matrix, self.weights, self.intercepts)

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        more = {"weights": self.weights, "intercepts": self.intercepts, "shift": self.shift, "cost": self.cost}
        store(directory, "ovr", self.params, self.scaler.arrays() | more)


def load(directory: Path) -> FittedOvr:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "ovr")
    params, a = found.parameters(OvrParams), found.arrays
    return FittedOvr(params, ZScore.restored(a), a["weights"], a["intercepts"], a["shift"], a["cost"])
