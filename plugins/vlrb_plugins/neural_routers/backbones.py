"""Pretrained parts: tokenizers, image encoders and cross-modal encoders, from the hub's cache, the hub or a folder.

Only safetensors files are read, and code in a model's folder is never run.  Weights that a checkpoint lacks are an error, since
a partly random body would look like a trained one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from vlrb import ConfigError, VlrbError
from vlrb_plugins.neural_routers.pixels import Resizing
from vlrb_plugins.neural_routers.sources import weights_of
from vlrb_plugins.shared.messages import first_line
from vlrb_plugins.shared.pretrained.loading import image_processor, quietly

UNUSED = ("pooler.", "head.")
"""Weights of image encoders that may be missing, since the states of patches do not depend on them."""


@contextlib.contextmanager
def loading(what: str, source: str, parameter: str) -> Iterator[dict[str, Any]]:
    """Load something quietly; yields further arguments of ``from_pretrained``: the commit that is part of the cell's key.

    :raises ConfigError: naming parameter and source, when it cannot be loaded
    :raises DataError: when the folder is missing, or the hub cannot be asked for the commit
    """
    weights = weights_of(parameter, source)
    try:
        with quietly():
            commit = weights.commit()
            yield {} if commit is None else {"revision": commit}
    except VlrbError:
        raise
    except Exception as error:  # transformers, the hub and their parsers raise errors of many classes
        fix = "name a folder that save_pretrained wrote for such a model; weights must be safetensors"
        if weights.folder is None:
            fix = (
                f"run `hf download {source}` with a network connection (then copy its cache, or set HF_HOME to it), or set "
                f"{parameter} to a folder with its files; weights must be safetensors"
            )
        what = f"the {what} {source!r} cannot be loaded: {first_line(error)}"
        raise ConfigError(what, where=parameter, fix=fix) from error


def tokenizer(source: str) -> Any:
    """Return the tokenizer.

    :raises VlrbError: as ``loading``
    """
    from transformers import AutoTokenizer

    with loading("tokenizer", source, "text") as where:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False, **where)


def config(source: str, parameter: str) -> Any:
    """Return the configuration of a model.

    :raises VlrbError: as ``loading``
    """
    from transformers import AutoConfig

    with loading("model", source, parameter) as where:
        return AutoConfig.from_pretrained(source, trust_remote_code=False, **where)


def vision_model(source: str) -> Any:
    """Return an image encoder that gives states of patches; of a model of images and texts, its image part.

    :raises ConfigError: also when the checkpoint lacks weights
    :raises VlrbError: as ``loading``
    """
    return _model(source, "vision", UNUSED)


def cross_model(source: str) -> Any:
    """Return a cross-modal encoder.

    :raises VlrbError: as ``vision_model``
    """
    return _model(source, "cross", ())


def _model(source: str, parameter: str, unused: tuple[str, ...]) -> Any:
    from transformers import AutoModel

    arguments: dict[str, Any] = {
        "trust_remote_code": False,
        "use_safetensors": True,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # reported below
    }
    with loading("model", source, parameter) as where:
        try:
            model, info = AutoModel.from_pretrained(source, **arguments, **where)
        except OSError:
            if not where:
                raise
            # pickled weights only: under the name "main", transformers finds the copy that the hub has converted
            model, info = AutoModel.from_pretrained(source, **arguments)
        model.float()
    lacking = sorted(k for k in info["missing_keys"] if not any(k.startswith(u) or f".{u}" in k for u in unused))
    wrong = sorted(str(k[0] if isinstance(k, tuple) else k) for k in info.get("mismatched_keys", ()))
    if lacking or wrong:
        what = "lacks" if lacking else "has the wrong shape of"
        names = lacking or wrong
        raise ConfigError(
            f"the checkpoint {source!r} {what} {len(names):,} weights of a {type(model).__name__}, such as {names[0]}",
            where=parameter,
            fix="name a complete checkpoint of this kind of model",
        )
    return _part_for_images(model)


def _part_for_images(model: Any) -> Any:
    return getattr(model, "vision_model", model)


def from_config(settings: Any) -> Any:
    """Return a model of this configuration with random weights."""
    from transformers import AutoModel

    with quietly():
        return _part_for_images(AutoModel.from_config(settings))


def preprocessing(source: str) -> tuple[Resizing, tuple[float, ...], tuple[float, ...]]:
    """Return how images were prepared for an image encoder: resizing, mean and deviation of the channels.

    :raises ConfigError: when there is no preprocessor_config.json, or it asks for another preparation
    :raises VlrbError: as ``loading``
    """
    with loading("preprocessor_config.json of", source, "vision") as where:
        made = image_processor(source, **where)
    size, crop = _sides(made, "size"), _sides(made, "crop_size")
    cropped = bool(getattr(made, "do_center_crop", False))
    resizing = None
    if cropped and size.keys() == {"shortest_edge"} and _square(crop):
        resizing = Resizing(crop["height"], "crop", size["shortest_edge"], int(made.resample))
    elif not cropped and _square(size):
        resizing = Resizing(size["height"], filter=int(made.resample))
    if resizing is None or not (made.do_resize and made.do_rescale and made.do_normalize):
        steps = f"size {size}, crop_size {crop if cropped else None}"
        raise ConfigError(
            f"the image encoder {source!r} prepares images in a way that is not known here ({steps}): images must be resized to "
            "a square, or scaled by the shortest edge and cropped to a square, then rescaled and normalised",
            where="vision",
            fix="name an image encoder for square images, such as a ViT, DINOv2, CLIP or SigLIP",
        )
    return resizing, tuple(map(float, made.image_mean)), tuple(map(float, made.image_std))


def _sides(processor: Any, name: str) -> dict[str, int]:
    """Return the sides of a processor's size, such as height and width."""
    return {side: int(pixels) for side, pixels in dict(getattr(processor, name, None) or {}).items() if pixels}


def _square(sides: dict[str, int]) -> bool:
    return sides.keys() == {"height", "width"} and sides["height"] == sides["width"]
