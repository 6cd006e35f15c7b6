"""The metrics of VL-RouterBench (arXiv 2512.23562, section 4) and the share of the Oracle gap closed.

A metric that has no value says *undefined* and why.
"""

from __future__ import annotations

from typing import Any

from vlrb import MetricSpec, hookimpl
from vlrb_plugins.metrics.params import RankScoreParams

VALUES = "vlrb_plugins.metrics.values"
PAPER = "VL-RouterBench (arXiv 2512.23562), section 4"
OWN = "vlrb"


def _spec(name: str, summary: str, unit: str = "", **more: Any) -> MetricSpec:
    factory = f"{VALUES}:make_{name.replace('-', '_')}"
    return MetricSpec(name=name, summary=summary, factory=factory, unit=unit, **more)


LOW: dict[str, Any] = {"higher_is_better": False}
TIMING: dict[str, Any] = {"per_subset": False, "source": OWN}


@hookimpl
def vlrb_metrics() -> list[MetricSpec]:
    """Return the bundled metrics."""
    return [*_of_outcomes(), _rank_score(), _gap_closed(), *_of_time()]


def _of_outcomes() -> list[MetricSpec]:
    mean = "(1/n) Σ {}"
    return [
        _spec(
            "accuracy",
            "share of the samples whose chosen model is right",
            formula=mean.format("Y[i, m(i)]"),
            source=PAPER,
        ),
        _spec(
            "mean-score",
            "mean raw score of the chosen models, before correct_at makes it right or wrong",
            formula=mean.format("S[i, m(i)]"),
            source=OWN,
        ),
        _spec(
            "average-cost",
            "mean cost of the chosen models",
            "USD/sample",
            formula=mean.format("C[i, m(i)]"),
            source=PAPER,
            **LOW,
        ),
        _spec(
            "cost-per-10k",
            "mean cost of 10,000 samples",
            "USD/10k samples",
            formula="10,000 × `average-cost`",
            source=f"{PAPER}: the unit of its tables",
            **LOW,
        ),
    ]


def _rank_score() -> MetricSpec:
    return _spec(
        "rank-score",
        "harmonic mean of accuracy and normalised log cost",
        params=RankScoreParams,
        formula="(1 + β) A K / (β A + K), with A = `accuracy`, K = (log2 high - log2 c) / (log2 high - log2 low), and c = "
        "`average-cost` moved into the cost bounds low and high, the least and the greatest mean cost of a single model "
        "on the rows that `cost_bounds` names",
        source=f"{PAPER}; the form is that of RouterArena's score (arXiv 2510.00202)",
    )


def _gap_closed() -> MetricSpec:
    return _spec(
        "oracle-gap-closed",
        "share of the way from the best single model to the Oracle",
        formula="(A - A_best) / (A_oracle - A_best), with the accuracies of the router, of the model that is best on "
        "train, and of the Oracle, on the same samples",
        source=f"{OWN}, in the form of RouteLLM's performance gap recovered (arXiv 2406.18665)",
    )


def _of_time() -> list[MetricSpec]:
    return [
        _spec(
            "requests-per-second",
            "queries encoded and routed",
            "1/s",
            formula="n / (seconds of encoding + seconds of `route`)",
            **TIMING,
        ),
        _spec(
            "tokens-per-second",
            "input tokens of queries encoded and routed",
            "1/s",
            formula="Σ over i of the mean over models of the input tokens, / (seconds of encoding + seconds of `route`)",
            **TIMING,
        ),
        _spec(
            "routing-ms",
            "time to route a query, its features given",
            "ms/query",
            formula="1000 × seconds of `route` / n",
            **LOW,
            **TIMING,
        ),
        _spec(
            "encoding-ms",
            "time to make a query's features",
            "ms/query",
            formula="1000 × seconds of encoding / n; 0 for a router without features",
            **LOW,
            **TIMING,
        ),
    ]
