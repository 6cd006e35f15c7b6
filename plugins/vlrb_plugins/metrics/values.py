"""How the metrics are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import attrs
import numpy as np

from vlrb import Array, CostBounds, Evaluation, Metric, MetricValue, NoParams, Timing, Undefined
from vlrb_plugins.metrics.cautions import of_oracle_gap, of_rank_score
from vlrb_plugins.metrics.params import RankScoreParams
from vlrb_plugins.metrics.rank import rank_score, rank_scores

NOT_ROUTED = Undefined("no router was timed")
ROUNDING = 1e-12
"""A smaller difference between two means of 0 and 1 is rounding."""


@attrs.frozen
class Mean:
    """The mean of one matrix at the chosen models, times a factor."""

    column: str
    matrix: Literal["quality", "score", "cost"]
    factor: float = 1.0

    def __call__(self, evaluation: Evaluation) -> MetricValue:
        """Return the mean on all rows."""
        return self.factor * float(self.columns(evaluation)[self.column].mean())

    def columns(self, evaluation: Evaluation) -> Mapping[str, Array]:
        """Return the entries at the choices, float64[n]."""
        return {self.column: _floats(evaluation.chosen(getattr(evaluation, self.matrix)))}

    def of_means(self, means: Mapping[str, Array], bounds: CostBounds) -> Array:  # noqa: ARG002
        """Return the mean times the factor."""
        return self.factor * means[self.column]


accuracy = Mean("correct", "quality")
mean_score = Mean("score", "score")
"""Fractional where a dataset's scorer is (ANLS, VQA score)."""
average_cost = Mean("cost", "cost")
cost_per_10k = Mean("cost", "cost", 1e4)
"""As the paper's tables print it."""


@attrs.frozen
class RankScore:
    """The metric ``rank-score``: :func:`rank_score` of the mean accuracy and cost."""

    beta: float

    def __call__(self, evaluation: Evaluation) -> MetricValue:
        """Return the rank score on all rows."""
        right, cost = (float(column.mean()) for column in self.columns(evaluation).values())
        return rank_score(right, cost, evaluation.bounds.low, evaluation.bounds.high, self.beta)

    def columns(self, evaluation: Evaluation) -> Mapping[str, Array]:
        """Return what is right and what it costs."""
        return {**accuracy.columns(evaluation), **average_cost.columns(evaluation)}

    def of_means(self, means: Mapping[str, Array], bounds: CostBounds) -> Array:
        """Return the rank score for every pair of means."""
        return rank_scores(means["correct"], means["cost"], bounds, self.beta)

    def cautions(self, evaluation: Evaluation) -> Sequence[str]:
        """Return where the cost bounds mislead: see :func:`vlrb_plugins.metrics.cautions.of_rank_score`."""
        return of_rank_score(evaluation, self.beta)


@attrs.frozen
class OracleGapClosed:
    """(accuracy - best single) / (Oracle - best single) on the rows evaluated; negative below the best single model."""

    def __call__(self, evaluation: Evaluation) -> MetricValue:
        """Return the share on all rows."""
        means = {name: column.mean() for name, column in self.columns(evaluation).items()}
        share = float(self.of_means(means, evaluation.bounds))
        return Undefined("the best single model reaches the Oracle on these samples") if math.isnan(share) else share

    def columns(self, evaluation: Evaluation) -> Mapping[str, Array]:
        """Return whether the choice, the best single model and the Oracle are right."""
        others = {"best-single-correct": evaluation.best_single_choices, "oracle-correct": evaluation.oracle_choices}
        right = {name: attrs.evolve(evaluation, choices=c).chosen(evaluation.quality) for name, c in others.items()}
        return {**accuracy.columns(evaluation), **{name: _floats(column) for name, column in right.items()}}

    def of_means(self, means: Mapping[str, Array], bounds: CostBounds) -> Array:  # noqa: ARG002
        """Return the share for all means, NaN where the gap is 0 but for rounding."""
        best = means["best-single-correct"]
        gap = means["oracle-correct"] - best
        closed = (means["correct"] - best) / np.where(gap > ROUNDING, gap, 1.0)
        return np.where(gap > ROUNDING, closed, np.nan)

    def cautions(self, evaluation: Evaluation) -> Sequence[str]:
        """Return where chance explains the gap: see :func:`vlrb_plugins.metrics.cautions.of_oracle_gap`."""
        return of_oracle_gap(evaluation)


oracle_gap_closed = OracleGapClosed()


def _floats(column: Array) -> Array:
    return column.astype(np.float64, copy=False)


def _seconds(timing: Timing) -> float:
    return timing.route_seconds + timing.encode_seconds


def requests_per_second(evaluation: Evaluation) -> MetricValue:
    """Return queries per second, encoding included."""
    timing = evaluation.timing
    return timing.requests / _seconds(timing) if timing is not None and _seconds(timing) > 0 else NOT_ROUTED


def tokens_per_second(evaluation: Evaluation) -> MetricValue:
    """Return input tokens (mean over the models) of the queries per second, encoding included."""
    timing = evaluation.timing
    if timing is None or _seconds(timing) <= 0:
        return NOT_ROUTED
    if (evaluation.input_tokens < 0).any():
        return Undefined("the logs give costs instead of tokens")
    return float(evaluation.input_tokens.mean(axis=1).sum()) / _seconds(timing)


def routing_ms(evaluation: Evaluation) -> MetricValue:
    """Return milliseconds per query that ``route`` took."""
    timing = evaluation.timing
    return 1e3 * timing.route_seconds / timing.requests if timing is not None else NOT_ROUTED


def encoding_ms(evaluation: Evaluation) -> MetricValue:
    """Return milliseconds per query that its features took; 0 for a router that uses none."""
    timing = evaluation.timing
    return 1e3 * timing.encode_seconds / timing.requests if timing is not None else NOT_ROUTED


def make_rank_score(params: RankScoreParams) -> Metric:
    """Return the metric ``rank-score``."""
    return RankScore(params.beta)


def _maker(metric: Metric) -> Callable[[NoParams], Metric]:
    """Return the factory of a metric without parameters."""
    return lambda _: metric


make_accuracy = _maker(accuracy)
make_mean_score = _maker(mean_score)
make_average_cost = _maker(average_cost)
make_cost_per_10k = _maker(cost_per_10k)
make_oracle_gap_closed = _maker(oracle_gap_closed)
make_requests_per_second = _maker(requests_per_second)
make_tokens_per_second = _maker(tokens_per_second)
make_routing_ms = _maker(routing_ms)
make_encoding_ms = _maker(encoding_ms)
