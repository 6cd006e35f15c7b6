"""Metrics over choices: overall, per task group and per dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.results import Scores
from vlrb.api.returned import checked_metric
from vlrb.api.routing import CostBounds, Estimate, Evaluation, MetricValue, Timing, Undefined
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import PluginError, StorageError, VlrbError
from vlrb.evaluation.reference import oracle_choices, strongest_model
from vlrb.evaluation.splits import Split
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.blame import blame


def cost_bounds(benchmark: Benchmark, split: Split, rows: str) -> CostBounds:
    """Return the smallest and the largest mean cost of a single model.

    :param rows: ``train``, or ``all`` as the paper does
    """
    means = (benchmark.cost[split.train] if rows == "train" else benchmark.cost).mean(axis=0)
    free = tuple(c.name for c, mean in zip(benchmark.candidates, means, strict=True) if mean == 0)
    return CostBounds(float(means.min()), float(means.max()), rows, free)


@attrs.define(eq=False, slots=False)
class Evaluator:
    """Computes an experiment's metrics; ``errors`` are those of metrics that failed."""

    benchmark: Benchmark
    split: Split
    bounds: CostBounds
    metrics: Sequence[ConfiguredComponent]
    selection: ConfiguredComponent
    errors: list[PluginError] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        benchmark, train = self.benchmark, self.split.train
        self._metrics = [(chosen, chosen.make("__call__")) for chosen in self.metrics]
        self._select = self.selection.make("__call__")
        self._best = strongest_model(benchmark.quality[train], benchmark.cost[train])
        self._scopes = benchmark.subsets()

    def scores(
        self, name: str, choices: Array, timing: Timing | None = None, estimate: Estimate | None = None
    ) -> Scores:
        """Return scope -> metric -> value on a split; scopes without samples there are left out.

        :param choices: int[n], of the split's rows in their order
        :param estimate: what the router estimated on these rows, None where it gives no estimates
        """
        rows = self.split.rows(name)
        result = {"overall": self._values(rows, choices, self._metrics, timing, estimate)}
        subset_metrics = [(c, m) for c, m in self._metrics if c.spec.per_subset]
        for scope, member in self._scopes.items():
            inside = member[rows]
            if inside.any():
                part = Estimate(estimate.p_correct[inside], estimate.cost[inside]) if estimate is not None else None
                result[scope] = self._values(rows[inside], choices[inside], subset_metrics, estimate=part)
        return result

    def select(self, rows: Array, choices: Array) -> MetricValue:
        """Return the selection metric on some rows."""
        return self._values(rows, choices, [(self.selection, self._select)])[self.selection.spec.name]

    def _values(
        self,
        rows: Array,
        choices: Array,
        metrics: Sequence[tuple[ConfiguredComponent, Any]],
        timing: Timing | None = None,
        estimate: Estimate | None = None,
    ) -> Mapping[str, MetricValue]:
        quality, cost = sealed(self.benchmark.quality[rows]), sealed(self.benchmark.cost[rows])
        best = oracle_choices(quality, cost)
        evaluation = Evaluation(
            choices=sealed(choices.copy()),
            quality=quality,
            score=sealed(self.benchmark.score[rows]),
            cost=cost,
            input_tokens=sealed(self.benchmark.input_tokens[rows]),
            output_tokens=sealed(self.benchmark.output_tokens[rows]),
            bounds=self.bounds,
            best_single=float(quality[:, self._best].mean()),
            oracle=float(np.take_along_axis(quality, best[:, None], axis=1).mean()),
            best_single_choices=sealed(np.full(rows.size, self._best)),
            oracle_choices=sealed(best),
            models=tuple(c.name for c in self.benchmark.candidates),
            timing=timing,
            estimate=Estimate(sealed(estimate.p_correct), sealed(estimate.cost)) if estimate is not None else None,
        )
        return {chosen.spec.name: self._value(chosen, metric, evaluation) for chosen, metric in metrics}

    def _value(self, chosen: ConfiguredComponent, metric: Any, evaluation: Evaluation) -> MetricValue:
        """Return a metric's value; one that fails is undefined, and its error is kept for the end of the run."""
        name = chosen.registered.id
        try:
            with blame(chosen.plugin, f"computing metric {name!r}"):
                return checked_metric(metric(evaluation), f"metric {name!r} of {chosen.plugin.label}")
        except StorageError:
            raise
        except VlrbError as error:
            if str(error) not in {str(e) for e in self.errors}:
                self.errors.append(PluginError(error.problems))
            return Undefined(f"the metric failed: {error.problems[0].message}", kind="failed")
