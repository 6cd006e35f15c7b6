"""Baseline routers that look at no query: random, strongest, cheapest."""

from __future__ import annotations

from vlrb import RouterSpec, hookimpl


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the three baselines."""
    return [
        RouterSpec(
            name="random",
            summary="a model drawn by a hash of the sample id",
            factory="vlrb_plugins.baselines.routers:Random",
            load="vlrb_plugins.baselines.routers:load",
        ),
        RouterSpec(
            name="strongest",
            summary="always the most accurate model on train",
            factory="vlrb_plugins.baselines.routers:Strongest",
            load="vlrb_plugins.baselines.routers:load",
        ),
        RouterSpec(
            name="cheapest",
            summary="always the cheapest model on train",
            factory="vlrb_plugins.baselines.routers:Cheapest",
            load="vlrb_plugins.baselines.routers:load",
        ),
    ]
