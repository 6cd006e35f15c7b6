"""Routers that are trained end to end from question texts and images (extra ``torch``)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vlrb import RouterSpec, hookimpl
from vlrb_plugins.neural_routers.params import (
    CosineclsParams,
    NeuralParams,
    RouterdcParams,
    VlcParams,
    ZooterParams,
)

if TYPE_CHECKING:
    from vlrb import Fitted, Router

ROUTERS: dict[str, tuple[type[NeuralParams], str]] = {
    "cosinecls": (
        CosineclsParams,
        "cosine similarity of a query to a learnt vector per model, trained as a classifier",
    ),
    "routerdc": (
        RouterdcParams,
        "cosine similarity of a query to a learnt vector per model, trained by dual contrastive loss",
    ),
    "zooter": (
        ZooterParams,
        "predicts the distribution of rewards over models, which is smoothed over alike questions",
    ),
    "vlc": (
        VlcParams,
        "vision-language classifier: a linear layer over LXMERT, VisualBERT or another cross-modal body",
    ),
}


def _revision(params: NeuralParams) -> str:
    from vlrb_plugins.neural_routers.sources import revisions

    return ", ".join(f"{parameter}: {revision}" for parameter, revision in revisions(params).items())


def _make(name: str, params: NeuralParams) -> Router:
    from vlrb_plugins.neural_routers.routers import make

    return make(name, params)


def _load(name: str, directory: Path) -> Fitted:
    from vlrb_plugins.neural_routers.fitted import load

    return load(name, directory)


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the routers ``cosinecls``, ``routerdc``, ``zooter`` and ``vlc``."""
    return [
        RouterSpec(
            name=name,
            summary=summary,
            factory=partial(_make, name),
            params=params,
            load=partial(_load, name),
            revision=_revision,
            requires=("torch", "transformers", "safetensors"),
            extra="torch",
        )
        for name, (params, summary) in ROUTERS.items()
    ]
