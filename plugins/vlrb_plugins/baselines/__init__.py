"""Baseline routers that look at no query: random, strongest, cheapest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlrb import NoParams, RouterSpec, hookimpl

if TYPE_CHECKING:
    from vlrb import Fitted, Router


def _router(name: str) -> Callable[[Any], Router]:
    def make(_: NoParams) -> Router:
        from vlrb_plugins.baselines import routers

        made: Router = getattr(routers, name)()
        return made

    return make


def _load(directory: Path) -> Fitted:
    from vlrb_plugins.baselines.routers import load

    return load(directory)


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the three baselines."""
    return [
        RouterSpec(
            name="random", summary="a model drawn by a hash of the sample id", factory=_router("Random"), load=_load
        ),
        RouterSpec(
            name="strongest",
            summary="always the most accurate model on train",
            factory=_router("Strongest"),
            load=_load,
        ),
        RouterSpec(
            name="cheapest", summary="always the cheapest model on train", factory=_router("Cheapest"), load=_load
        ),
    ]
