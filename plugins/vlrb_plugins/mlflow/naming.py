"""Names, values and sizes that MLflow takes."""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from vlrb import NOT_SHOWN, MetricValue, Scores, Undefined

SHORT, LONG = 100, 800
"""Parameters or tags, and metrics, per request: MLflow takes 100 and 1,000, and 1,000 of all together."""

CURVE = "training/"
FIT_SECONDS = "timing/fit-seconds"
_PREFIXES = {"dev": "val"}
"""MLflow shows metrics by name: behind the short names of values on test come ``test``, ``timing``, ``training``, ``val``."""

LONGEST_TAG = 4000
LONGEST_NAME = 250
_NO_NAME = re.compile(r"[^\w. :/-]", re.ASCII)

T = TypeVar("T")
M = TypeVar("M")
P = TypeVar("P")
Q = TypeVar("Q")


def metrics_of(scores: Mapping[str, Scores]) -> tuple[dict[str, float], dict[str, str]]:
    """Return metrics ``test/METRIC``, ``test/METRIC/SCOPE`` and ``val/METRIC``, and why others have no finite value.

    Dev, where a dataset has few samples, and metrics that no table shows are told overall only; all stands in results.json.
    """
    values: dict[str, MetricValue] = {}
    for split, scopes in scores.items():
        for scope, of_scope in scopes.items():
            if scope == "overall":
                values |= {f"{_PREFIXES.get(split, split)}/{name}": value for name, value in of_scope.items()}
            elif split == "test":
                shown = {name: value for name, value in of_scope.items() if name not in NOT_SHOWN}
                values |= {f"test/{name}/{scope}": value for name, value in shown.items()}
    return split_finite(values)


def split_finite(values: Mapping[str, MetricValue]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the finite numbers, and the reasons for the other values."""
    metrics: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Undefined):
            reasons[name] = value.reason
        elif math.isfinite(value):
            metrics[name] = value
        else:
            reasons[name] = str(value)
    return metrics, reasons


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a tree under names with dots."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def allowed(name: str) -> str:
    """Return a name that MLflow takes: few characters are allowed, and a slash only where a path could have it."""
    name = _NO_NAME.sub("_", name)
    if posixpath.normpath(name) != name or name.startswith(("/", "..")):
        name = name.replace("/", "_")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def named(values: Mapping[str, T]) -> dict[str, T]:
    """Return values under names that MLflow takes; names that become one are kept apart by underscores."""
    found: dict[str, T] = {}
    for key, value in values.items():
        name = allowed(key)
        while name in found:
            name = allowed(f"{name}_")
        found[name] = value
    return found


def batches(
    metrics: Sequence[M], params: Sequence[P], tags: Sequence[Q]
) -> Iterator[tuple[Sequence[M], Sequence[P], Sequence[Q]]]:
    """Yield metrics, parameters and tags in as few requests as MLflow's limits allow."""
    size = max(-(-len(params) // SHORT), -(-len(tags) // SHORT), -(-len(metrics) // LONG))
    for i in range(size):
        short, long = slice(i * SHORT, (i + 1) * SHORT), slice(i * LONG, (i + 1) * LONG)
        yield metrics[long], params[short], tags[short]


def cut(text: str) -> str:
    """Return a text that fits into a tag, and says so where it was cut; the whole stands in the artifacts."""
    return text if len(text) <= LONGEST_TAG else f"{text[:LONGEST_TAG]} ... ({len(text)} characters in all)"
