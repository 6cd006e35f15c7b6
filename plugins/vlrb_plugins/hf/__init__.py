"""Encoders of text and images with pretrained weights, through transformers and sentence-transformers (extra ``hf``).

Weights come from the Hugging Face hub, or from the folder that ``path`` names.  Only safetensors files are read, and code in a
model's folder is never run.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

from vlrb import EncoderSpec, Imported, hookimpl
from vlrb_plugins.hf.params import (
    AnyImageParams,
    AnyTextParams,
    BgeParams,
    E5Params,
    ImageParams,
    TextParams,
)

TEXT: dict[str, tuple[str, type, str]] = {
    "bge-m3": ("BAAI/bge-m3", BgeParams, "1,024 columns; the paper's encoder of text"),
    "e5-small-v2": ("intfloat/e5-small-v2", E5Params, "384 columns"),
    "e5-base-v2": ("intfloat/e5-base-v2", E5Params, "768 columns"),
    "e5-large-v2": ("intfloat/e5-large-v2", E5Params, "1,024 columns"),
    "gte-large": ("thenlper/gte-large", TextParams, "1,024 columns"),
    "sentence-transformer": ("", AnyTextParams, "any model of sentence-transformers, or of transformers with pooling"),
}
"""Name -> id on the hub, class of the parameters, summary."""

IMAGE: dict[str, tuple[str, type, str]] = {
    "dinov2-small": ("facebook/dinov2-small", ImageParams, "384 columns"),
    "dinov2-base": ("facebook/dinov2-base", ImageParams, "768 columns; the paper's encoder of images"),
    "dinov2-large": ("facebook/dinov2-large", ImageParams, "1,024 columns"),
    "clip-vit-large-patch14": ("openai/clip-vit-large-patch14", ImageParams, "768 columns"),
    "siglip-large-patch16-384": ("google/siglip-large-patch16-384", ImageParams, "1,024 columns"),
    "vision-transformer": ("", AnyImageParams, "any image model of transformers"),
}
"""The same for images."""

_REVISION = Imported("vlrb_plugins.hf.weights:revision_of")


def _specs(
    modality: Literal["text", "image"], table: dict[str, tuple[str, type, str]], encoder: Imported, *requires: str
) -> Iterator[EncoderSpec]:
    for name, (hub_id, params, summary) in table.items():
        yield EncoderSpec(
            parallel=False,
            name=name,
            summary=f"{hub_id}: {summary}" if hub_id else summary,
            factory=partial(encoder, name, hub_id),
            params=params,
            requires=("torch", "transformers", "safetensors", *requires),
            extra="hf",
            modality=modality,
            revision=partial(_REVISION, name, hub_id),
        )


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the encoders."""
    return [
        *_specs("text", TEXT, Imported("vlrb_plugins.hf.text:TextEncoder"), "sentence_transformers"),
        *_specs("image", IMAGE, Imported("vlrb_plugins.hf.image:ImageEncoder")),
    ]
