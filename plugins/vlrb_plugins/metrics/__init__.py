"""The metrics of VL-RouterBench (arXiv 2512.23562, section 4) and the share of the Oracle gap closed.

A metric that has no value says *undefined* and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from attrs import validators

from vlrb import Metric, MetricSpec, NoParams, hookimpl, param


@attrs.frozen
class RankScoreParams:
    """Parameters of the metric ``rank-score``."""

    beta: float = param(default=0.1, validator=validators.gt(0), help="weight of accuracy against normalised cost")


def _plain(name: str) -> Callable[[NoParams], Metric]:
    def make(_: NoParams) -> Metric:
        from vlrb_plugins.metrics import values

        function: Metric = getattr(values, name)
        return function

    return make


def _rank_score(params: RankScoreParams) -> Metric:
    from vlrb_plugins.metrics.values import rank_score_of

    return rank_score_of(params.beta)


def _spec(name: str, function: str, summary: str, unit: str = "", **more: Any) -> MetricSpec:
    return MetricSpec(name=name, summary=summary, factory=_plain(function), unit=unit, **more)


@hookimpl
def vlrb_metrics() -> list[MetricSpec]:
    """Return the bundled metrics."""
    low: dict[str, Any] = {"higher_is_better": False}
    timing: dict[str, Any] = {"per_subset": False}
    return [
        _spec("accuracy", "accuracy", "share of the samples whose chosen model is right"),
        _spec(
            "mean-score", "mean_score", "mean raw score of the chosen models, before correct_at makes it right or wrong"
        ),
        _spec("average-cost", "average_cost", "mean cost of the chosen models", "USD/sample", **low),
        _spec("cost-per-10k", "cost_per_10k", "mean cost of 10,000 samples", "USD/10k samples", **low),
        MetricSpec(
            name="rank-score",
            summary="harmonic mean of accuracy and normalised log cost",
            factory=_rank_score,
            params=RankScoreParams,
        ),
        _spec("oracle-gap-closed", "oracle_gap_closed", "share of the way from the best single model to the Oracle"),
        _spec("requests-per-second", "requests_per_second", "queries encoded and routed", "1/s", **timing),
        _spec("tokens-per-second", "tokens_per_second", "input tokens of queries encoded and routed", "1/s", **timing),
        _spec("routing-ms", "routing_ms", "time to route a query, its features given", "ms/query", **low, **timing),
        _spec("encoding-ms", "encoding_ms", "time to make a query's features", "ms/query", **low, **timing),
    ]
