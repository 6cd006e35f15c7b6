"""Routers that are trained end to end from question texts and images (extra ``torch``)."""

from __future__ import annotations

from functools import partial

from vlrb import Imported, RouterSpec, hookimpl
from vlrb_plugins.neural_routers.params import ROUTERS

_MAKE = Imported("vlrb_plugins.neural_routers.routers:NeuralRouter")
_LOAD = Imported("vlrb_plugins.neural_routers.fitted:load")


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the routers ``cosinecls``, ``routerdc``, ``zooter`` and ``vlc``."""
    return [
        RouterSpec(
            name=name,
            summary=summary,
            factory=partial(_MAKE, name),
            params=params,
            load=partial(_LOAD, name),
            revision="vlrb_plugins.neural_routers.sources:revision",
            requires=("torch", "transformers", "safetensors"),
            extra="torch",
        )
        for name, (params, summary) in ROUTERS.items()
    ]
