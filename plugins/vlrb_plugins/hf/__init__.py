"""Encoders of text and images with pretrained weights, through transformers and sentence-transformers."""

from __future__ import annotations

from vlrb import hookimpl
from vlrb.specs import EncoderSpec


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the encoders."""
    return []
