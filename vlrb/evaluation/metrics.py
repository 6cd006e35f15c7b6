"""Metrics over choices: overall, per task group and per dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.results import Scores
from vlrb.api.returned import checked_metric
from vlrb.api.routing import CostBounds, Estimate, Evaluation, MetricValue, Timing
from vlrb.benchmark.matrices import MATRICES, Benchmark
from vlrb.errors import PluginError, StorageError, VlrbError
from vlrb.evaluation.drawn_values import MeasuredMetric, failed_metric
from vlrb.evaluation.on_demand import OnDemand
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
"""Sample-model pairs, each of 9 bytes or more, whose outcomes are kept no longer than they are needed."""


@attrs.frozen(eq=False)
class EvaluatedRows:
    """Rows int[m] that are evaluated together, the model int[m] that is best on train for each, and the cost bounds.

    ``rows`` are the train, dev or test rows of one split, or of several, one after the other.  Whatever is evaluated on them shares
    their outcomes, so that these are taken, and drawn again, once.  ``parts`` is a cache that :class:`Evaluator` fills: scope ->
    the places of its rows, and these rows.
    """

    benchmark: Benchmark
    rows: Array
    best: Array
    bounds: CostBounds
    parts: dict[str, tuple[Array, EvaluatedRows]] = attrs.field(factory=dict, init=False)

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

    @cached_property
    def matrices(self) -> Mapping[str, OnDemand[Array]]:
        """Return the benchmark's matrices on the rows, [m, k]; what no metric looks at is not copied."""
        return {name: OnDemand(partial(_taken, getattr(self.benchmark, name), self.rows)) for name in MATRICES}

    @cached_property
    def outcomes(self) -> Mapping[str, Any]:
        """The arguments of an :class:`vlrb.api.routing.Evaluation` that the choices do not change."""
        quality, cost = self.matrices["quality"](), self.matrices["cost"]()
        oracle = sealed(oracle_choices(quality, cost))
        best = sealed(self.best.copy())
        return {
            **self.matrices,
            "quality": quality,
            "cost": cost,
            "bounds": self.bounds,
            "best_single": float(np.take_along_axis(quality, best[:, None], axis=1).mean()),
            "oracle": float(np.take_along_axis(quality, oracle[:, None], axis=1).mean()),
            "best_single_choices": best,
            "oracle_choices": oracle,
            "models": tuple(c.name for c in self.benchmark.candidates),
        }


def _taken(matrix: Array, rows: Array) -> Array:
    return sealed(matrix[rows])


def is_large(on: EvaluatedRows) -> bool:
    """Tell whether rows have so many outcomes that copies of them are not kept for later."""
    return on.rows.size * len(on.benchmark.candidates) > LARGE


@attrs.frozen(eq=False)
class Chosen:
    """Choices int[m] of some rows, and where they are known, the time that they took and the router's estimates."""

    choices: Array
    timing: Timing | None = None
    estimate: Callable[[], Estimate] | None = None


def _part(chosen: Chosen, inside: Array) -> Chosen:
    """Return what was chosen on some of the rows, without a time."""
    estimate = chosen.estimate and OnDemand(partial(_estimate_of_part, chosen.estimate, inside))
    return Chosen(chosen.choices[inside], estimate=estimate)


def _estimate_of_part(estimate: Callable[[], Estimate], inside: Array) -> Estimate:
    whole = estimate()
    return Estimate(sealed(whole.p_correct[inside]), sealed(whole.cost[inside]))


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

    def scores(self, on: EvaluatedRows, several: Sequence[Chosen]) -> list[Scores]:
        """Return scope -> metric -> value for each of several choices; scopes without samples among the rows are left out.

        :param several: on the rows, in their order
        """
        found: list[dict[str, Mapping[str, MetricValue]]] = [
            {"overall": self._values(self.evaluation(on, chosen), self._metrics)} for chosen in several
        ]
        subset_metrics = [(c, m) for c, m in self._metrics if c.spec.per_subset]
        for scope, inside, rows in self._parts(on):
            for scores, chosen in zip(found, several, strict=True):
                part = _part(chosen, inside) if rows is not on else attrs.evolve(chosen, timing=None)
                scores[scope] = self._values(self.evaluation(rows, part), subset_metrics)
        return list(found)

    def _parts(self, on: EvaluatedRows) -> Iterator[tuple[str, Array, EvaluatedRows]]:
        """Yield scopes, the places of their rows, bool[m], and these rows; scopes without any are left out."""
        for scope, member in self.scopes.items():
            if scope in on.parts:
                yield scope, *on.parts[scope]
            elif (inside := member[on.rows]).any():
                part = on if inside.all() else on.take(inside)
                if part is not on and not is_large(on):
                    on.parts[scope] = inside, part
                yield scope, inside, part

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

    def evaluation(self, on: EvaluatedRows, chosen: Chosen) -> Evaluation:
        """Return what a metric sees of some choices."""
        choices = sealed(chosen.choices.copy())
        return Evaluation(choices=choices, timing=chosen.timing, estimate=chosen.estimate, **on.outcomes)

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
