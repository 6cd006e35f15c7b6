"""Routers of gradient-boosted trees: the probability of each model being right, and a cost-aware decision."""

from __future__ import annotations

from vlrb import hookimpl
from vlrb.specs import RouterSpec


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the routers."""
    return []
