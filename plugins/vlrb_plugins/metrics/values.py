"""How the metrics are computed."""

from __future__ import annotations

import math
from collections.abc import Callable

from vlrb import Evaluation, Metric, MetricValue, NoParams, Timing, Undefined
from vlrb_plugins.metrics.params import RankScoreParams

NOT_ROUTED = Undefined("no router was timed")


def accuracy(evaluation: Evaluation) -> MetricValue:
    """Return the mean of Y at the choices."""
    return float(evaluation.chosen(evaluation.quality).mean())


def mean_score(evaluation: Evaluation) -> MetricValue:
    """Return the mean raw score at the choices: fractional where a dataset's scorer is (ANLS, VQA score)."""
    return float(evaluation.chosen(evaluation.score).mean())


def average_cost(evaluation: Evaluation) -> MetricValue:
    """Return the mean of C at the choices, USD per sample."""
    return float(evaluation.chosen(evaluation.cost).mean())


def cost_per_10k(evaluation: Evaluation) -> MetricValue:
    """Return 10,000 times the average cost, as the paper's tables print it."""
    return 1e4 * float(evaluation.chosen(evaluation.cost).mean())


def make_rank_score(params: RankScoreParams) -> Metric:
    """Return the metric ``rank-score``."""

    def metric(evaluation: Evaluation) -> MetricValue:
        right = float(evaluation.chosen(evaluation.quality).mean())
        cost = float(evaluation.chosen(evaluation.cost).mean())
        return rank_score(right, cost, evaluation.bounds.low, evaluation.bounds.high, params.beta)

    return metric


def rank_score(right: float, cost: float, low: float, high: float, beta: float) -> MetricValue:
    """Return VL-RouterBench's rank score, a weighted harmonic mean of accuracy and normalised cost.

    ``(1 + beta) A K / (beta A + K)`` with ``K = (log2 high - log2 cost) / (log2 high - log2 low)``; a cost outside the bounds,
    0 included, is moved to the nearer bound, as the paper does.

    :param right: accuracy A in [0, 1]
    :param cost: mean cost in USD per sample
    :param low: smallest mean cost of a single model, ``high`` the largest
    """
    problem = _unfit(right, cost, low, high, beta)
    if problem:
        return Undefined(problem)
    normalised = (math.log2(high) - math.log2(min(max(cost, low), high))) / (math.log2(high) - math.log2(low))
    denominator = beta * right + normalised
    return (1 + beta) * right * normalised / denominator if denominator > 0 else 0.0


def _unfit(right: float, cost: float, low: float, high: float, beta: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high) and 0 < low < high):
        return _unfit_bounds(low, high)
    if not (math.isfinite(cost) and cost >= 0):
        return f"the mean cost is {cost:g}, which is not a finite number of at least 0"
    if not 0 <= right <= 1:
        return f"the accuracy is {right:g}, which is not between 0 and 1"
    return "" if beta > 0 else f"beta is {beta:g}, which is not above 0"


def _unfit_bounds(low: float, high: float) -> str:
    if low == 0 and math.isfinite(high):
        return "the cost bounds must be positive, and a candidate model costs nothing"
    if low == high and math.isfinite(low):
        return f"the cost bounds are equal: every candidate model costs {low:g} USD per sample on average"
    return f"the cost bounds {low:g} and {high:g} are not an interval of positive costs"


def oracle_gap_closed(evaluation: Evaluation) -> MetricValue:
    """Return (accuracy - best single) / (Oracle - best single) on the rows evaluated; negative below the best single model."""
    gap = evaluation.oracle - evaluation.best_single
    if gap <= 0:
        return Undefined("the best single model reaches the Oracle on these samples")
    return (float(evaluation.chosen(evaluation.quality).mean()) - evaluation.best_single) / gap


def _seconds(timing: Timing) -> float:
    return timing.route_seconds + timing.encode_seconds


def requests_per_second(evaluation: Evaluation) -> MetricValue:
    """Return queries per second, encoding included."""
    timing = evaluation.timing
    return timing.requests / _seconds(timing) if timing is not None and _seconds(timing) > 0 else NOT_ROUTED


def tokens_per_second(evaluation: Evaluation) -> MetricValue:
    """Return input tokens (mean over the models) of the queries per second, encoding included."""
    timing = evaluation.timing
    if (evaluation.input_tokens < 0).any():
        return Undefined("the logs give costs instead of tokens")
    tokens = float(evaluation.input_tokens.mean(axis=1).sum())
    return tokens / _seconds(timing) if timing is not None and _seconds(timing) > 0 else NOT_ROUTED


def routing_ms(evaluation: Evaluation) -> MetricValue:
    """Return milliseconds per query that ``route`` took."""
    timing = evaluation.timing
    return 1e3 * timing.route_seconds / timing.requests if timing is not None else NOT_ROUTED


def encoding_ms(evaluation: Evaluation) -> MetricValue:
    """Return milliseconds per query that its features took; 0 for a router that uses none."""
    timing = evaluation.timing
    return 1e3 * timing.encode_seconds / timing.requests if timing is not None else NOT_ROUTED


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
