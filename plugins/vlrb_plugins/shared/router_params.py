"""Parameters that several routers have, in the same words."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import validators

from vlrb import toml_name

INF = float("inf")
LAMBDA = (
    "price of cost in soft targets, 0 to inf: weights exp(-lambda * 100 * USD) over the correct models; inf: hard label"
)

optional = validators.optional
at_least_1: Any = validators.ge(1)
above_0: Any = validators.gt(0)


def at_least_0(_: Any, attribute: attrs.Attribute[Any], value: float) -> None:
    """Refuse a negative number, and NaN."""
    if not value >= 0:
        raise ValueError(f"{toml_name(attribute.name)} must be at least 0, not {value!r}")


def budget_without_lambda(instance: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    """Refuse a negative budget, and one that stands next to lambda."""
    if value is not None:
        at_least_0(instance, attribute, value)
        if instance.lambda_ is not None:
            raise ValueError("lambda and budget are two ways to decide: set one of them")
