"""A metric that says it is a function of means of a column, which has too few rows."""

from __future__ import annotations

from typing import Any

from vlrb import MetricSpec, hookimpl


class Crooked:
    def __init__(self, _: Any) -> None: ...

    def __call__(self, evaluation: Any) -> float:
        return float(evaluation.chosen(evaluation.quality).mean())

    def columns(self, evaluation: Any) -> Any:
        return {"right": evaluation.chosen(evaluation.quality)[1:].astype(float)}

    def of_means(self, means: Any, bounds: Any) -> Any:  # noqa: ARG002
        return means["right"]


@hookimpl
def vlrb_metrics() -> Any:
    return [MetricSpec(name="crooked", summary="for tests", factory=Crooked)]
