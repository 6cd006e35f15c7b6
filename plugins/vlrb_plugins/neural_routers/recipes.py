"""What distinguishes the four routers: their heads, their objectives, and how the reference prepares their images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from torch import nn

from vlrb_plugins.neural_routers import heads, objectives
from vlrb_plugins.neural_routers.objectives import Known, Objective
from vlrb_plugins.neural_routers.params import NeuralParams

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@attrs.frozen
class Recipe:
    """A head, an objective, and how the reference prepares images.

    ``head`` gets the width of a query, the number of models and the parameters.  ``statistics`` are the reference's channel means
    and deviations; with ``crop`` it scales images to 256/224 of the size and crops the centre.
    """

    head: Callable[[int, int, Any], nn.Module]
    objective: Callable[[Known, Any, str], Objective]
    statistics: tuple[tuple[float, float, float], tuple[float, float, float]] = HALVES
    crop: bool = False


def _cosine(width: int, models: int, params: NeuralParams) -> nn.Module:  # noqa: ARG001
    return heads.Cosine(width, models, learnt_scale=True)


def _routerdc_head(width: int, models: int, params: NeuralParams) -> nn.Module:
    if params.published:
        return heads.Cosine(width, models, learnt_scale=False, deviation=heads.FAITHFUL_DEVIATION)
    return heads.Cosine(width, models, learnt_scale=True)


def _linear(width: int, models: int, params: Any) -> nn.Module:
    return heads.Linear(width, models, params.dropout)


def _cosinecls(known: Known, params: NeuralParams, router: str) -> Objective:
    make = objectives.classify if params.published else objectives.reference_contrast
    return make(known, params, router)


def _routerdc(known: Known, params: Any, router: str) -> Objective:
    make = objectives.dual_contrast if params.published else objectives.reference_contrast
    return make(known, params, router)


RECIPES: dict[str, Recipe] = {
    "cosinecls": Recipe(_cosine, _cosinecls),
    "routerdc": Recipe(_routerdc_head, _routerdc),
    "zooter": Recipe(_linear, objectives.distil, IMAGENET),
    "vlc": Recipe(_linear, objectives.classify, IMAGENET, crop=True),
}
