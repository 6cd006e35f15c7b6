"""The metrics of VL-RouterBench (arXiv 2512.23562, section 4) and the share of the Oracle gap closed.

A metric that has no value says *undefined* and why.
"""

from __future__ import annotations

from typing import Any

from vlrb import MetricSpec, hookimpl
from vlrb_plugins.metrics.formulas import FORMULAS, SOURCES
from vlrb_plugins.metrics.params import RankScoreParams

VALUES = "vlrb_plugins.metrics.values"


def _spec(name: str, summary: str, unit: str = "", **more: Any) -> MetricSpec:
    factory = f"{VALUES}:make_{name.replace('-', '_')}"
    formula, source = FORMULAS[name], SOURCES.get(name, "vlrb")
    return MetricSpec(name=name, summary=summary, factory=factory, unit=unit, formula=formula, source=source, **more)


@hookimpl
def vlrb_metrics() -> list[MetricSpec]:
    """Return the bundled metrics."""
    low: dict[str, Any] = {"higher_is_better": False}
    timing: dict[str, Any] = {"per_subset": False}
    raw = "mean raw score of the chosen models, before correct_at makes it right or wrong"
    return [
        _spec("accuracy", "share of the samples whose chosen model is right"),
        _spec("mean-score", raw),
        _spec("average-cost", "mean cost of the chosen models", "USD/sample", **low),
        _spec("cost-per-10k", "mean cost of 10,000 samples", "USD/10k samples", **low),
        _spec("rank-score", "harmonic mean of accuracy and normalised log cost", params=RankScoreParams),
        _spec("oracle-gap-closed", "share of the way from the best single model to the Oracle"),
        _spec("requests-per-second", "queries encoded and routed", "1/s", **timing),
        _spec("tokens-per-second", "input tokens of queries encoded and routed", "1/s", **timing),
        _spec("routing-ms", "time to route a query, its features given", "ms/query", **low, **timing),
        _spec("encoding-ms", "time to make a query's features", "ms/query", **low, **timing),
    ]
