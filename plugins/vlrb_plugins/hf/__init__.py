"""Encoders of text and images with pretrained weights, through transformers and sentence-transformers (extra ``hf``).

Weights come from the Hugging Face hub, or from a folder that ``path`` names.  They are read from safetensors files, and no code
that stands beside them is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import attrs
from attrs import validators

from vlrb import EncoderSpec, hookimpl, param

if TYPE_CHECKING:
    from vlrb import Encoder


def _how(default: Any, help: str, validator: Any = None, **more: bool) -> Any:
    """Declare a parameter that changes how features are made and not which: it is left out of what names them in the cache."""
    metadata = {"help": help, "when": "fit", "same_numbers": True, **more}
    return attrs.field(default=default, validator=validator, metadata=metadata, kw_only=True)


_PATH = "folder with the model's files (relative to the experiment file), or the id of a model on the hub"


@attrs.frozen
class WeightsParams:
    """Parameters of all encoders here.  Which weights are used is told by their content, so ``path`` and ``revision`` do not."""

    path: str = _how("", f"{_PATH}; default: the hub's", folder_or_name=True)
    revision: str = _how("main", "branch, tag or commit on the hub; what is on disk under this name is used first")
    batch_size: int = _how(32, "texts or images at once; a smaller one needs less memory", validators.ge(1))
    device: Literal["auto", "cpu", "cuda"] = _how("auto", "auto: a GPU where there is one")
    dtype: Literal["float32", "float16", "bfloat16"] = param(
        default="float32", help="precision of the model; the features are float32 in any case"
    )
    convert: bool = _how(
        False, "read weights that are there as pytorch_model.bin only (pickled) with torch's loader that runs no code"
    )


@attrs.frozen
class TextParams(WeightsParams):
    """Parameters of encoders of text."""

    text: Literal["question", "question+options+hint"] = param(
        default="question+options+hint", help="what is encoded; VL-RouterBench's own scripts encode the question only"
    )
    prefix: str = param(default="", help="put before every text, as some models want it")
    max_length: int | None = param(
        default=None,
        validator=validators.optional(validators.ge(8)),
        help="tokens after which a text is cut off; default: what the model was made for",
    )


@attrs.frozen
class E5Params(TextParams):
    """Parameters of the E5 encoders, which were trained with a prefix."""

    prefix: str = param(default="query: ", help='put before every text; E5 was trained with "query: "')


@attrs.frozen
class BgeParams(TextParams):
    """Parameters of ``bge-m3``, whose makers publish ``pytorch_model.bin`` only."""

    convert: bool = _how(True, "read pickled weights with torch's loader that runs no code; the hub has no others")


@attrs.frozen
class AnyTextParams(TextParams):
    """Parameters of ``sentence-transformer``."""

    path: str = _how(attrs.NOTHING, _PATH, validators.min_len(1), folder_or_name=True)
    pooling: Literal["own", "cls", "mean"] = param(
        default="own", help="how token vectors become one: as the model's modules.json says, or as named here"
    )


@attrs.frozen
class ImageParams(WeightsParams):
    """Parameters of encoders of images."""


@attrs.frozen
class AnyImageParams(ImageParams):
    """Parameters of ``vision-transformer``."""

    path: str = _how(attrs.NOTHING, _PATH, validators.min_len(1), folder_or_name=True)
    pooling: Literal["auto", "pooler", "cls", "mean"] = param(
        default="auto",
        help="auto: image features where the model has text features too, else the pooler's output, else the first token",
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
    "vision-transformer": ("", AnyImageParams, "any model of images of transformers"),
}
"""As TEXT, for images."""


def _text(name: str, hub_id: str, params: TextParams) -> Encoder:
    from vlrb_plugins.hf.text import TextEncoder

    return TextEncoder(name, hub_id, params)


def _image(name: str, hub_id: str, params: ImageParams) -> Encoder:
    from vlrb_plugins.hf.image import ImageEncoder

    return ImageEncoder(name, hub_id, params)


def _revision(name: str, hub_id: str, params: WeightsParams) -> str:
    from vlrb_plugins.hf.weights import Weights

    return Weights.of(name, hub_id, params).revision()


def _specs(
    modality: Literal["text", "image"], table: dict[str, tuple[str, type, str]], factory: Callable[..., Encoder]
) -> Iterator[EncoderSpec]:
    needs = ("torch", "transformers", "safetensors")
    for name, (hub_id, params, summary) in table.items():
        yield EncoderSpec(
            name=name,
            summary=f"{hub_id}: {summary}" if hub_id else summary,
            factory=partial(factory, name, hub_id),
            params=params,
            requires=(*needs, "sentence_transformers") if modality == "text" else needs,
            extra="hf",
            modality=modality,
            revision=partial(_revision, name, hub_id),
        )


@hookimpl
def vlrb_encoders() -> list[EncoderSpec]:
    """Return the encoders."""
    return [*_specs("text", TEXT, _text), *_specs("image", IMAGE, _image)]
