"""Encoders that need no download: of texts, their n-grams and structure; of images, their statistics and visual cues.

All are stateless and see one sample at a time; the numbers of ``question-structure`` and ``visual-cues`` say something by name, for
routers that are trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators

from vlrb import EncoderSpec, NoParams, hookimpl, param

if TYPE_CHECKING:
    from vlrb import Encoder


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


def _question_structure(_: NoParams) -> Encoder:
    from vlrb_plugins.encoders.structure import QuestionStructure

    return QuestionStructure()


def _visual_cues(_: NoParams) -> Encoder:
    from vlrb_plugins.encoders.cues import VisualCues

    return VisualCues()


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the encoders."""
    return [
        EncoderSpec(
            name="hashed-text",
            summary="hashed n-grams of words and characters, projected by a fixed random matrix",
            factory=_hashed_text,
            params=HashedTextParams,
            modality="text",
        ),
        EncoderSpec(
            name="image-statistics",
            summary="number, size, aspect, brightness, colour and edges of the images",
            factory=_image_statistics,
            modality="image",
        ),
        EncoderSpec(
            name="question-structure",
            summary="type of question, answer format asked for, numbers, options, topics, length, language",
            factory=_question_structure,
            modality="text",
        ),
        EncoderSpec(
            name="visual-cues",
            summary="text and layout, lines, colours, photo or chart or page, resolution",
            factory=_visual_cues,
            modality="image",
        ),
    ]
