"""Metrics over choices: overall, per task group and per dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.results import Scores
from vlrb.api.returned import checked_metric
from vlrb.api.routing import CostBounds, Estimate, Evaluation, MetricValue, Timing
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import PluginError, StorageError, VlrbError
from vlrb.evaluation.drawn_values import MeasuredMetric, failed_metric
from vlrb.evaluation.reference import most_accurate, oracle_choices
from vlrb.evaluation.splits import Split
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.blame import blame


def cost_bounds(benchmark: Benchmark, trains: Sequence[Array], rows: str) -> CostBounds:
    """Return the smallest and the largest mean cost of a single model.

    :param trains: the train rows of the splits whose test rows are evaluated together; the mean over the splits counts
    :param rows: ``train``, or ``all`` as the paper does
    """
    each = [None] if rows == "all" else trains
    means = np.mean([benchmark.mean_cost_and_right(own)[0] for own in each], axis=0)
    free = tuple(c.name for c, mean in zip(benchmark.candidates, means, strict=True) if mean == 0)
    return CostBounds(float(means.min()), float(means.max()), rows, free)


LARGE = 5_000_000
"""Sample-model pairs, each of 9 bytes or more, whose outcomes are kept only for the split that is evaluated."""
SELDOM = ("score", "input_tokens", "output_tokens")
"""Matrices that are taken only when a metric asks for them."""


@attrs.frozen(eq=False)
class EvaluatedRows:
    """Rows int[m] that are evaluated together, the model int[m] that is best on train for each, and the cost bounds.

    ``rows`` are the train, dev or test rows of one split, or of several, one after the other.  Whatever is evaluated on them shares
    their outcomes, so that these are taken, and drawn again, once.  ``parts`` is a cache that :class:`Evaluator` fills: scope ->
    the places of its rows, and these rows.  ``taken`` is a cache of matrices of the rows.
    """

    benchmark: Benchmark
    rows: Array
    best: Array
    bounds: CostBounds
    parts: dict[str, tuple[Array, EvaluatedRows]] = attrs.field(factory=dict, init=False)
    taken: dict[str, Array] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, benchmark: Benchmark, splits: Sequence[Split], name: str, bounds_from: str) -> EvaluatedRows:
        """Return the rows of ``train``, ``dev`` or ``test`` of some splits.

        :param bounds_from: ``train`` or ``all`` (:func:`cost_bounds`)
        """
        rows = [split.rows(name) for split in splits]
        best = [most_accurate(*benchmark.mean_cost_and_right(s.train)) for s in splits]
        bounds = cost_bounds(benchmark, [s.train for s in splits], bounds_from)
        return cls(benchmark, np.concatenate(rows), np.repeat(best, [r.size for r in rows]), bounds)

    def take(self, inside: Array) -> EvaluatedRows:
        """Return some of the rows, by their places or by bool[m]."""
        return attrs.evolve(self, rows=self.rows[inside], best=self.best[inside])

    def matrix(self, name: str) -> Array:
        """Return one of the benchmark's matrices on the rows, [m, k]."""
        if name not in self.taken:
            self.taken[name] = sealed(getattr(self.benchmark, name)[self.rows])
        return self.taken[name]

    @cached_property
    def outcomes(self) -> Mapping[str, Any]:
        """The arguments of an :class:`vlrb.api.routing.Evaluation` that the choices do not change."""
        quality, cost = self.matrix("quality"), self.matrix("cost")
        oracle = sealed(oracle_choices(quality, cost))
        best = sealed(self.best.copy())
        return {
            "quality": quality,
            "cost": cost,
            **{name: _OnDemand(self, name) for name in SELDOM},
            "bounds": self.bounds,
            "best_single": float(np.take_along_axis(quality, best[:, None], axis=1).mean()),
            "oracle": float(np.take_along_axis(quality, oracle[:, None], axis=1).mean()),
            "best_single_choices": best,
            "oracle_choices": oracle,
            "models": tuple(c.name for c in self.benchmark.candidates),
        }


@attrs.frozen(eq=False)
class _OnDemand:
    """Takes a matrix when a metric asks for it; another process gets the matrix."""

    rows: EvaluatedRows
    name: str

    def __call__(self) -> Array:
        return self.rows.matrix(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Taken, (self(),)


@attrs.frozen(eq=False)
class _Taken:
    """Returns a matrix."""

    matrix: Array

    def __call__(self) -> Array:
        return self.matrix


def is_large(on: EvaluatedRows) -> bool:
    """Tell whether rows have so many outcomes that copies of them are not kept for later."""
    return on.rows.size * len(on.benchmark.candidates) > LARGE


@attrs.define(eq=False, slots=False)
class Evaluator:
    """Computes an experiment's metrics; ``errors`` are those of metrics that failed.

    ``by`` names columns of the samples whose values are scopes too, in addition to task groups and datasets.
    """

    benchmark: Benchmark
    metrics: Sequence[ConfiguredComponent]
    selection: ConfiguredComponent
    by: Sequence[str] = ()
    errors: list[PluginError] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self._metrics = [(chosen, chosen.make("__call__")) for chosen in self.metrics]
        self._select = self.selection.make("__call__")
        self.scopes = self.benchmark.subsets(self.by)

    def scores(
        self, on: EvaluatedRows, choices: Array, timing: Timing | None = None, estimate: Estimate | None = None
    ) -> Scores:
        """Return scope -> metric -> value; scopes without samples among the rows are left out.

        :param choices: int[m], of the rows in their order
        :param estimate: what the router estimated on these rows, None where it gives no estimates
        """
        result = {"overall": self._values(self.evaluation(on, choices, timing, estimate), self._metrics)}
        subset_metrics = [(c, m) for c, m in self._metrics if c.spec.per_subset]
        for scope, inside, rows in self._parts(on):
            part = Estimate(estimate.p_correct[inside], estimate.cost[inside]) if estimate is not None else None
            result[scope] = self._values(self.evaluation(rows, choices[inside], estimate=part), subset_metrics)
        return result

    def _parts(self, on: EvaluatedRows) -> Iterator[tuple[str, Array, EvaluatedRows]]:
        """Yield scopes, the places of their rows, bool[m], and these rows; scopes without any are left out."""
        for scope, member in self.scopes.items():
            if scope not in on.parts and (inside := member[on.rows]).any():
                on.parts[scope] = inside, on.take(inside)
            if scope in on.parts:
                yield scope, *on.parts[scope]

    def select(self, evaluation: Evaluation) -> MetricValue:
        """Return the selection metric."""
        return self._value(self.selection, self._select, evaluation)

    def overall(self, evaluation: Evaluation) -> Mapping[str, MetricValue]:
        """Return the value of every metric."""
        return self._values(evaluation, self._metrics)

    def value(self, name: str, evaluation: Evaluation) -> MetricValue:
        """Return the value of one metric."""
        return next(
            self._value(chosen, metric, evaluation) for chosen, metric in self._metrics if chosen.spec.name == name
        )

    def made(self, metric: ConfiguredComponent) -> Any:
        """Return one of the metrics as its factory made it."""
        return next(made for chosen, made in self._metrics if chosen is metric)

    def evaluation(
        self, on: EvaluatedRows, choices: Array, timing: Timing | None = None, estimate: Estimate | None = None
    ) -> Evaluation:
        """Return what a metric sees of some choices."""
        return Evaluation(
            choices=sealed(choices.copy()),
            timing=timing,
            estimate=Estimate(sealed(estimate.p_correct), sealed(estimate.cost)) if estimate is not None else None,
            **on.outcomes,
        )

    def _values(
        self, evaluation: Evaluation, metrics: Sequence[tuple[ConfiguredComponent, Any]]
    ) -> Mapping[str, MetricValue]:
        return {chosen.spec.name: self._value(chosen, metric, evaluation) for chosen, metric in metrics}

    def _value(self, chosen: ConfiguredComponent, metric: Any, evaluation: Evaluation) -> MetricValue:
        """Return a metric's value; one that fails is undefined."""
        name = chosen.registered.id
        try:
            with self.noting(chosen):
                return checked_metric(metric(evaluation), f"metric {name!r} of {chosen.plugin.label}")
        except StorageError:
            raise
        except VlrbError as error:
            return failed_metric(error.problems[0].message)

    def measured(self, metric: ConfiguredComponent) -> MeasuredMetric:
        """Return one of the metrics for the statistics; what it raises there is noted too."""
        spec = metric.spec
        return MeasuredMetric(
            name=spec.name,
            metric=self.made(metric),
            higher_is_better=spec.higher_is_better,
            per_subset=spec.per_subset,
            blame=lambda: self.noting(metric),
            who=f"metric {metric.registered.id!r} of {metric.plugin.label}",
        )

    @contextlib.contextmanager
    def noting(self, metric: ConfiguredComponent) -> Iterator[None]:
        """Blame the plugin for exceptions in a block, and keep them for the end of the run."""
        try:
            with blame(metric.plugin, f"computing metric {metric.registered.id!r}"):
                yield
        except StorageError:
            raise
        except VlrbError as error:
            self.note(PluginError(error.problems))
            raise

    def note(self, error: PluginError) -> None:
        """Keep what a metric raised for the end of the run, once."""
        if str(error) not in {str(e) for e in self.errors}:
            self.errors.append(error)
