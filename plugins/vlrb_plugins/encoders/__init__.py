"""Encoders that need no download: n-grams and structure of texts, statistics and visual cues of images.

All are stateless and encode each sample by itself.  The columns of ``question-structure`` and ``visual-cues`` have meaningful
names, for routers that are trees.
"""

from __future__ import annotations

from vlrb import EncoderSpec, hookimpl
from vlrb_plugins.encoders.params import HashedTextParams


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the encoders."""
    return [
        EncoderSpec(
            name="hashed-text",
            summary="hashed n-grams of words and characters, projected by a fixed random matrix",
            factory="vlrb_plugins.encoders.text:HashedText",
            params=HashedTextParams,
            modality="text",
        ),
        EncoderSpec(
            name="image-statistics",
            summary="number, size, aspect, brightness, colour and edges of the images",
            factory="vlrb_plugins.encoders.image:ImageStatistics",
            modality="image",
        ),
        EncoderSpec(
            name="question-structure",
            summary="type of question, requested answer format, numbers, options, topics, length, language",
            factory="vlrb_plugins.encoders.structure:QuestionStructure",
            modality="text",
        ),
        EncoderSpec(
            name="visual-cues",
            summary="text and layout, lines, colours, photo or chart or page, resolution",
            factory="vlrb_plugins.encoders.cues:VisualCues",
            modality="image",
        ),
    ]
