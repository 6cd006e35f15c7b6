"""Fusions: one feature matrix of what encoders of text and of images made (VL-RouterBench, fusion)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import validators

from vlrb import FusionSpec, NoParams, hookimpl, param

if TYPE_CHECKING:
    from vlrb import Fusion


@attrs.frozen
class WeightedParams:
    """Parameters of ``weighted-average``."""

    text_weight: float = param(
        default=0.5, validator=[validators.ge(0), validators.le(1)], help="of the text; the image has the rest"
    )


def _fusion(name: str, params: Any) -> Fusion:
    from vlrb_plugins.fusions.fusing import NamedFusion

    return NamedFusion(name, params.text_weight if isinstance(params, WeightedParams) else 0.5)


def _spec(name: str, summary: str, params: type = NoParams, **more: Any) -> FusionSpec:
    return FusionSpec(name=name, summary=summary, factory=partial(_fusion, name), params=params, **more)


@hookimpl
def vlrb_fusions() -> list[FusionSpec]:
    """Return the eight fusions."""
    both: dict[str, Any] = {"needs": ("text", "image")}
    unit = "each encoder's rows scaled to unit length"
    return [
        _spec("concat", "side by side, as the encoders give them"),
        _spec("normalize-concat", f"side by side, {unit}"),
        _spec("average", "the mean of text and image", **both),
        _spec("weighted-average", "a weighted mean of text and image", WeightedParams, **both),
        _spec("concat-interaction", "text, image, their product and their difference", **both),
        _spec("normalize-concat-interaction", f"the same, {unit}", **both),
        _spec("only-text", "the encoders of text", needs=("text",), keeps="text"),
        _spec("only-image", "the encoders of images", needs=("image",), keeps="image"),
    ]
