"""Pretrained parts: tokenizers, image encoders and cross-modal encoders, from the hub's cache, the hub or a folder.

Weights are read from safetensors files only, and no code that stands beside them is run.  Weights that a checkpoint lacks are
an error: a body that is random in part would look like a trained one.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlrb.errors import ConfigError
from vlrb_plugins.neural_routers.pixels import Resizing

UNUSED = ("pooler.", "layernorm.", "post_layernorm.", "head.")
"""Weights of image encoders that are not needed for the states of the patches where they are missing."""


@contextlib.contextmanager
def loading(what: str, name: str, parameter: str) -> Iterator[None]:
    """Load something quietly; what goes wrong names the model, where it was looked for, and how to provide it.

    :raises ConfigError: when it cannot be loaded
    """
    from transformers.utils import logging as chatter

    verbosity, bar = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    except Exception as error:  # transformers, the hub and their parsers raise errors of many kinds
        raise _not_loaded(what, name, parameter, error) from error
    finally:
        chatter.set_verbosity(verbosity)
        if bar:
            chatter.enable_progress_bar()


def _not_loaded(what: str, name: str, parameter: str, error: Exception) -> ConfigError:
    from huggingface_hub import constants

    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if Path(name).is_dir():
        place, fix = "a folder", "name a folder that save_pretrained made of such a model; weights must be safetensors"
    else:
        place = f"no folder, and looked for in {constants.HF_HUB_CACHE} and on the hub"
        fix = (
            f"run `hf download {name}` where there is a network and copy the cache (or set HF_HOME), or set {parameter} to a "
            "folder with its files; weights must be safetensors"
        )
    return ConfigError(f"the {what} {name!r} ({place}) cannot be loaded: {reason}", where=parameter, fix=fix)


def tokenizer(name: str) -> Any:
    """Return the tokenizer."""
    from transformers import AutoTokenizer

    with loading("tokenizer", name, "text"):
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def config(name: str, parameter: str) -> Any:
    """Return the configuration of a model."""
    from transformers import AutoConfig

    with loading("model", name, parameter):
        return AutoConfig.from_pretrained(name, trust_remote_code=False)


def vision_model(name: str) -> Any:
    """Return an image encoder that gives states of patches; of a model of images and texts, that part."""
    return _model(name, "vision", UNUSED)


def cross_model(name: str) -> Any:
    """Return a cross-modal encoder."""
    return _model(name, "cross", ())


def _model(name: str, parameter: str, unused: tuple[str, ...]) -> Any:
    from transformers import AutoModel

    with loading("model", name, parameter):
        model, info = AutoModel.from_pretrained(
            name,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told by the next lines
        )
        model.float()
    lacking = sorted(k for k in info["missing_keys"] if not any(k.startswith(u) or f".{u}" in k for u in unused))
    wrong = sorted(str(k[0] if isinstance(k, tuple) else k) for k in info.get("mismatched_keys", ()))
    if lacking or wrong:
        what = "lacks" if lacking else "has the wrong shape of"
        names = lacking or wrong
        raise ConfigError(
            f"the checkpoint {name!r} {what} {len(names)} weights of a {type(model).__name__}, such as {names[0]}",
            where=parameter,
            fix="name a complete checkpoint of this kind of model",
        )
    return _part_for_images(model)


def _part_for_images(model: Any) -> Any:
    return getattr(model, "vision_model", model)


def from_config(settings: Any) -> Any:
    """Return a model of this configuration with weights that are still random."""
    from transformers import AutoModel

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        return _part_for_images(AutoModel.from_config(settings))


def preprocessing(name: str) -> tuple[Resizing, tuple[float, ...], tuple[float, ...]]:
    """Return how the makers of an image encoder prepare images: resizing, mean and deviation of the channels.

    :raises ConfigError: when there is no preprocessor_config.json, or it prepares images in some other way
    """
    from transformers.image_processing_base import ImageProcessingMixin

    with loading("preprocessor_config.json of", name, "vision"):
        found, _ = ImageProcessingMixin.get_image_processor_dict(name)
    size, crop = found.get("size", 224), found.get("crop_size", 224)
    mean, deviation = found.get("image_mean") or [0.5] * 3, found.get("image_std") or [0.5] * 3
    resample = int(found.get("resample", 2))
    sides = {"height": size, "width": size} if isinstance(size, int) else dict(size)
    cropped = crop if isinstance(crop, int) else crop.get("height")
    if found.get("do_center_crop") and "shortest_edge" in sides:
        resizing = Resizing(int(cropped), "crop", int(sides["shortest_edge"]), resample)
    elif sides.get("height") == sides.get("width") and "height" in sides:
        resizing = Resizing(int(sides["height"]), filter=resample)
    else:
        raise ConfigError(
            f"the image encoder {name!r} prepares images of size {size!r}, which are no squares",
            where="vision",
            fix="name an image encoder of square images, such as a ViT, DINOv2, CLIP or SigLIP",
        )
    return resizing, tuple(map(float, mean)), tuple(map(float, deviation))
