"""Encoders that need no download: hashed n-grams of the text, and statistics of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators

from vlrb import hookimpl
from vlrb.specs import EncoderSpec, NoParams, param

if TYPE_CHECKING:
    from vlrb.types import Encoder


@attrs.frozen
class HashedTextParams:
    """Parameters of the encoder ``hashed-text``."""

    dimension: int = param(default=256, validator=validators.in_(range(1, 4097)), help="columns after the projection")
    buckets: int = param(default=2**14, validator=validators.in_(range(2, 2**20 + 1)), help="buckets of the n-grams")
    seed: int = param(default=0, validator=validators.ge(0), help="seed of the projection")


def _hashed_text(params: HashedTextParams) -> Encoder:
    from vlrb_plugins.encoders.text import HashedText

    return HashedText(params)


def _image_statistics(_: NoParams) -> Encoder:
    from vlrb_plugins.encoders.image import ImageStatistics

    return ImageStatistics()


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the two encoders."""
    return [
        EncoderSpec(
            name="hashed-text",
            summary="hashed n-grams of words and characters, projected by a fixed random matrix",
            factory=_hashed_text,
            params=HashedTextParams,
        ),
        EncoderSpec(
            name="image-statistics",
            summary="number, size, aspect, brightness, colour and edges of the images",
            factory=_image_statistics,
        ),
    ]
