"""The key under which the cache keeps a cell: everything that decides its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from vlrb import __version__
from vlrb.api.results import CellInfo
from vlrb.api.routing import CostBounds
from vlrb.benchmark.matrices import Benchmark
from vlrb.experiment.plan import ConfiguredComponent, Plan, PlannedRouter, digest_of
from vlrb.plugins.sources import core_digest

SCHEMA_VERSION = 1
DEVICE = "cpu"


def cell_key(
    plan: Plan,
    benchmark: Benchmark,
    cell: CellInfo,
    router: PlannedRouter,
    chosen: ConfiguredComponent,
    swept: Mapping[str, Any],
    split: str,
    bounds: CostBounds,
) -> str:
    """Return the key of a cell, or of a fit that several points of a sweep share.

    :param chosen: the router with its parameters
    :param swept: the parameters that a sweep gave; none for a shared fit
    :param split: the digest of the cell's split
    :param bounds: the cost bounds with which the cell is evaluated
    """
    identity = {
        "schema": SCHEMA_VERSION,
        "vlrb": [__version__, core_digest("cell")],
        "benchmark": benchmark.fingerprint,
        # the fingerprint holds the models' names; routers see their prices and sizes too
        "candidates": [attrs.asdict(c) for c in benchmark.candidates],
        "split": split,
        "features": plan.feature_sets[router.features].identity() if router.features else None,
        "router": {**chosen.identity(), "revision": chosen.known_revision},
        "label": router.label,
        "seed": cell.seed,
        "bounds": attrs.asdict(bounds),
        "selection": plan.selection_metric().identity(),
        "device": DEVICE,
        "point": dict(swept),
        "refit": cell.refit,
    }
    return digest_of(identity)
