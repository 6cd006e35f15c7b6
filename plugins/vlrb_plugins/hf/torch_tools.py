"""What both kinds of encoders do with torch and transformers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vlrb.errors import DataError, VlrbError, shortened


def device_of(wanted: str) -> str:
    """Return the device to work on.

    :raises DataError: when a GPU is asked for and there is none
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise DataError("torch finds no GPU", where='device = "cuda"', fix='set device = "auto" or "cpu"')
    return "cuda" if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()) else "cpu"


def precision(name: str) -> Any:
    """Return torch's name of a precision."""
    return getattr(torch, name)


@contextlib.contextmanager
def loading(encoder: str, folder: Path) -> Iterator[None]:
    """Load a model quietly; what goes wrong names the encoder and the folder.

    :raises DataError: when the files cannot be loaded
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
    except VlrbError:
        raise
    except Exception as error:  # transformers raises what its many parts raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the model of encoder {encoder!r} cannot be loaded: {reason}",
            where=str(folder),
            fix="name a folder or an id with a model of this kind, complete, with safetensors weights",
        ) from error
    finally:
        chatter.set_verbosity(verbosity)
        if bar:
            chatter.enable_progress_bar()


def missing_pooler(report: dict[str, Any], folder: Path) -> bool:
    """Tell whether a model was loaded without the weights of its pooler, which are drawn at random then.

    :param report: of transformers, on what it loaded
    :raises DataError: when other weights are missing: a failure is never a number
    """
    missing = sorted(report["missing_keys"])
    wrong = [k for k in missing if not k.startswith("pooler.")] + [str(k[0]) for k in report.get("mismatched_keys", ())]
    if wrong:
        what = f"weights are missing or have another shape: {shortened(wrong, 3)}"
        raise DataError(what, where=str(folder), fix="provide the model's files complete")
    return bool(missing)


@contextlib.contextmanager
def working(encoder: str) -> Iterator[None]:
    """Compute without gradients and without reduced precision in convolutions.

    :raises DataError: when the memory of the GPU is too small
    """
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    except torch.cuda.OutOfMemoryError as error:
        raise DataError(
            f"encoder {encoder!r} needs more memory than the GPU has: {str(error).splitlines()[0]}",
            fix="set a smaller batch_size and run again; what has been encoded is kept",
        ) from None
