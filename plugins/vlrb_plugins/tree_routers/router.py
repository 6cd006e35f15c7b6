"""Routers of boosted trees, the same for both libraries.

For every candidate model trees estimate the probability of being right, stopped early on dev, calibrated on dev, and drawn towards
the model's mean as far as dev asks for; other trees estimate the cost.  ``vlrb.api.decide`` makes the decision: the greatest
expected utility at some lambda, or the best within a budget; ties go to the cheaper model, then to the likelier one, then to the
first.  Models are learned independently of each other, so the order of the candidates changes nothing else.

Dev is small and is used several times, so no sample takes part in its own prediction: for choosing shrinkage and lambda each half
of dev is predicted with the number of trees and the calibration that the other half asks for.  A model for which no tree is kept
has its mean there, as in the fitted router.

A refit on train and dev together takes over the numbers of trees and the calibrations of the first fit, and needs no dev; shrinkage
and lambda are then given as parameters.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import attrs
import numpy as np

from vlrb import Array, DataError, Estimate, FitContext, Labelled, Scalar, Undefined
from vlrb_plugins.tree_routers.boosters import threads_for
from vlrb_plugins.tree_routers.fitted import FittedTrees
from vlrb_plugins.tree_routers.libraries import library
from vlrb_plugins.tree_routers.models import Chance, Cost, Learner
from vlrb_plugins.tree_routers.params import TreeParams
from vlrb_plugins.tree_routers.refits import Decided, Relearner
from vlrb_plugins.tree_routers.selection import best_lambda, best_shrinkage, shrunken
from vlrb_plugins.tree_routers.table import Table

logger = logging.getLogger("vlrb")


@attrs.frozen
class Trees:
    """The routers ``lightgbm`` and ``xgboost``."""

    params: TreeParams

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedTrees:
        """Learn every model's chance and cost, then choose shrinkage and lambda.

        :raises DataError: without features, or with fewer than 2 dev samples
        :raises ConfigError: when the library cannot be loaded
        """
        if context.kept is not None:
            return self._refitted(train, context, context.kept)
        name = self.params.library
        if len(dev) < 2:
            what = f"{name} needs at least 2 dev samples, not {len(dev)}"
            raise DataError(what, where="[split] dev", fix="give dev a larger share")
        used = library(name)
        table = Table.of(train.queries, name)
        rows, dev_rows = table.matrix(train.queries, name), table.matrix(dev.queries, name)
        threads = threads_for(rows.size, context.threads)
        trainer = used.trainer(rows, dev_rows, table, self.params, context.seed, threads)
        prepared = used.prepare(dev_rows, table, threads)
        on_train = used.prepare(rows, table, threads) if self.params.cost == "boosted" else None
        learner = Learner(self.params, trainer, on_train, prepared, len(dev), threads)
        learnt = _learn(learner, train, dev, context)
        means = np.array([c.mean for c in learnt.chances])
        shrinkage = self._shrinkage(learnt.p_dev, means, dev.quality, context)
        cost = np.column_stack([c.predict(prepared, len(dev), threads) for c in learnt.costs])
        lambda_ = self._lambda(Estimate(shrunken(learnt.p_dev, means, shrinkage), cost), context)
        names, models = tuple(c.name for c in context.candidates), (learnt.chances, learnt.costs)
        return FittedTrees(self.params, used, table, names, *models, shrinkage, lambda_, context.threads, learnt.kept)

    def _refitted(self, train: Labelled, context: FitContext, kept: Mapping[str, Scalar]) -> FittedTrees:
        name, models = self.params.library, tuple(c.name for c in context.candidates)
        used, table = library(name), Table.of(train.queries, name)
        rows = table.matrix(train.queries, name)
        threads = threads_for(rows.size, context.threads)
        trainer = used.trainer(rows, None, table, self.params, context.seed, threads)
        on_train = used.prepare(rows, table, threads) if self.params.cost == "boosted" else None
        learner = Relearner(trainer, on_train, threads)
        chances, costs = [], []
        for m, model in enumerate(models):
            decided = Decided.restored(kept, model)
            chances.append(learner.chance(train.quality[:, m], decided))
            costs.append(learner.cost(train.cost[:, m], decided))
            context.log(m, {"trees": float(decided.trees)})
            context.progress(m + 1, len(models))
        learnt, shrinkage = (tuple(chances), tuple(costs)), float(self.params.shrinkage)
        return FittedTrees(
            self.params, used, table, models, *learnt, shrinkage, self.params.lambda_, context.threads, kept
        )

    def _shrinkage(self, p: Array, means: Array, right: Array, context: FitContext) -> float:
        if self.params.shrinkage != "auto":
            return float(self.params.shrinkage)
        best, losses = best_shrinkage(p, means, right)
        context.log(len(means), {"shrinkage": best, "dev_log_loss": losses[best], "dev_log_loss_of_means": losses[0.0]})
        logger.info("%s: shrinkage %g of log losses on dev %s", self.params.library, best, losses)
        return best

    def _lambda(self, estimate: Estimate, context: FitContext) -> float | None:
        """Return the lambda to decide by, None where a budget decides."""
        if self.params.budget is not None or self.params.lambda_ is not None:
            return self.params.lambda_
        best, score = best_lambda(estimate, context.dev_score)
        if isinstance(score, Undefined):
            logger.warning("%s: lambda is 0, because on dev the selection metric is %s", self.params.library, score)
        else:
            context.log(estimate.cost.shape[1], {"lambda": best, "dev_selection": float(score)})
        return best


@attrs.frozen(eq=False)
class _Learnt:
    """Chance and cost of every model, the probabilities on dev float64[n, k], and what a refit needs to know."""

    chances: tuple[Chance, ...]
    costs: tuple[Cost, ...]
    p_dev: Array
    kept: Mapping[str, Scalar]


def _learn(learner: Learner, train: Labelled, dev: Labelled, context: FitContext) -> _Learnt:
    """Learn when each model is right, and what it costs."""
    models = train.quality.shape[1]
    chances, costs = [], []
    kept: dict[str, Scalar] = {}
    p = np.empty((len(dev), models))
    for m in range(models):
        learnt = learner.chance(train.quality[:, m], dev.quality[:, m])
        chances.append(learnt.chance)
        p[:, m] = learnt.dev
        cost, cost_trees = learner.cost(train.cost[:, m], dev.cost[:, m])
        costs.append(cost)
        decided = Decided(learnt.rounds, cost_trees, learnt.chance.calibration)
        kept |= decided.scalars(context.candidates[m].name)
        context.log(m, {"trees": float(learnt.rounds)})
        context.progress(m + 1, models)
    return _Learnt(tuple(chances), tuple(costs), p, kept)
