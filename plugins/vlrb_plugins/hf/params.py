"""Parameters of the pretrained encoders."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import validators

from vlrb import param


def _how(default: Any, help: str, validator: Any = None, **more: bool) -> Any:
    """Declare a parameter that does not change the features, and so is not part of their key in the cache."""
    metadata = {"help": help, "when": "fit", "same_numbers": True, **more}
    return attrs.field(default=default, validator=validator, metadata=metadata, kw_only=True)


_PATH = "folder with the model's files (relative to the experiment file), or the id of a model on the hub"


@attrs.frozen
class WeightsParams:
    """Parameters of all pretrained encoders; the weights' revision stands for ``path`` and ``revision`` in keys."""

    path: str = _how("", f"{_PATH}; default: the hub's", folder_or_name=True)
    revision: str = _how("main", "branch, tag or commit on the hub; a local copy under this name is used first")
    batch_size: int = _how(32, "texts or images at once; a smaller value needs less memory", validators.ge(1))
    device: Literal["auto", "cpu", "cuda"] = _how("auto", "auto: a GPU if there is one")
    dtype: Literal["float32", "float16", "bfloat16"] = param(
        default="float32", help="precision of the model; the features are float32 in any case"
    )
    convert: bool = _how(
        False, "read pickled weights (pytorch_model.bin) with torch's loader that runs no code, if there are no others"
    )


@attrs.frozen
class TextParams(WeightsParams):
    """Parameters of encoders of text."""

    text: Literal["question", "question+options+hint"] = param(
        default="question+options+hint", help="what is encoded; VL-RouterBench's own scripts encode the question only"
    )
    prefix: str = param(default="", help="put before every text, as some models require")
    max_length: int | None = param(
        default=None,
        validator=validators.optional(validators.ge(8)),
        help="tokens after which a text is cut off; default: the model's own limit",
    )


@attrs.frozen
class E5Params(TextParams):
    """Parameters of the E5 encoders, which were trained with a prefix."""

    prefix: str = param(default="query: ", help='put before every text; E5 was trained with "query: "')


@attrs.frozen
class BgeParams(TextParams):
    """Parameters of ``bge-m3``, which is published as ``pytorch_model.bin`` only."""

    convert: bool = _how(True, "read pickled weights with torch's loader that runs no code; the hub has no others")


@attrs.frozen
class AnyTextParams(TextParams):
    """Parameters of ``sentence-transformer``."""

    path: str = _how(attrs.NOTHING, _PATH, validators.min_len(1), folder_or_name=True)
    pooling: Literal["own", "cls", "mean"] = param(
        default="own", help="how token vectors are combined; own: as the model's modules.json says"
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
        help="auto: image features if the model has text features too, else the pooler's output, else the first token",
    )
