"""What encoders and neural routers do with torch and transformers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlrb import Array, ConfigError, DataError, Problem, VlrbError, shorten_list
from vlrb_plugins.hf.weights import first_line

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch's errors of other classes say when memory is what is lacking: of the CPU's allocator, and of cuBLAS."""


def device_of(wanted: str) -> str:
    """Return the device to work on, ``cpu`` or ``cuda``.

    :param wanted: ``auto`` takes a GPU where there is one
    :raises ConfigError: when a GPU is asked for and there is none
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ConfigError('is "cuda", and torch finds no GPU', where="device", fix='set device = "auto" or "cpu"')
    return "cuda" if there and wanted != "cpu" else "cpu"


def precision(name: str) -> Any:
    """Return torch's name of a precision."""
    return getattr(torch, name)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let transformers load without bars, notes and warnings of what it will change; its settings are as before afterwards."""
    from transformers.utils import logging as chatter

    verbosity, bar = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        chatter.set_verbosity(verbosity)
        if bar:
            chatter.enable_progress_bar()


@contextlib.contextmanager
def loading(encoder: str, folder: Path) -> Iterator[None]:
    """Load a model quietly; what goes wrong names the encoder and the folder.

    :raises ConfigError: when the memory of the device is too small for the model
    :raises DataError: when the files cannot be loaded
    """
    try:
        with quietly():
            yield
    except VlrbError:
        raise
    except Exception as error:  # transformers raises what its many parts raise
        if about_memory(error):
            what = f"ran out of memory while the model of encoder {encoder!r} was loaded: {first_line(error)}"
            raise ConfigError(what, where=str(folder), fix='set device = "cpu", or choose a smaller model') from None
        raise DataError(
            f"the model of encoder {encoder!r} cannot be loaded: {first_line(error)}",
            where=str(folder),
            fix="name a folder or an id with a model of this kind, complete, with safetensors weights",
        ) from error


def image_processor(source: str, **where: Any) -> Any:
    """Return the image processor of a model's makers, in Pillow's form everywhere: another one resizes differently.

    :param source: a folder, or an id on the hub
    :param where: further arguments of ``from_pretrained`` that say where to look
    """
    import transformers

    form = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False, **form, **where)


def missing_pooler(report: dict[str, Any], folder: Path) -> bool:
    """Tell whether a model was loaded without the weights of its pooler, which are drawn at random then.

    :param report: of transformers, on what it loaded
    :raises DataError: when other weights are missing: a failure is never a number
    """
    missing = sorted(report["missing_keys"])
    wrong = [k for k in missing if not k.startswith("pooler.")] + [str(k[0]) for k in report.get("mismatched_keys", ())]
    if wrong:
        what = f"weights are missing or have another shape: {shorten_list(wrong, 3)}"
        raise DataError(what, where=str(folder), fix="provide the model's files complete")
    return bool(missing)


@contextlib.contextmanager
def working(encoder: str, batch_size: int, device: str) -> Iterator[None]:
    """Compute without gradients and without reduced precision in convolutions.

    :raises ConfigError: when the memory does not suffice, naming the batch size
    """
    then = " and run again: what has been encoded is kept"
    with (
        memory("batch_size", batch_size, device, f"encoder {encoder!r}", then, 'set device = "cpu"'),
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
    ):
        yield


@contextlib.contextmanager
def memory(parameter: str, size: int, device: str, where: str, then: str, at_one: str) -> Iterator[None]:
    """Say which parameter to change when the memory does not suffice.

    :param size: the parameter's value; half of it is proposed
    :param then: what follows the proposal
    :param at_one: the fix where it is 1 already
    :raises ConfigError: naming the device, the parameter and its value
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not about_memory(error):
            raise
        fix = f"set {parameter} = {size // 2}{then}" if size > 1 else at_one
        what = f"{device} ran out of memory with {parameter} = {size}: {first_line(error)}"
        raise ConfigError(what, where=where, fix=fix) from error


def about_memory(error: BaseException) -> bool:
    """Tell whether memory is what was lacking."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(error) for text in OUT_OF_MEMORY)


def unit_rows(rows: Array, ids: Sequence[str], encoder: str) -> Array:
    """Return rows scaled to unit length, of the shape [n, d] and the type of ``rows``; rows of zeros stay as they are.

    :param ids: of the samples, for messages
    :raises DataError: naming the samples whose rows are not finite, as a model in half precision may give them
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
    if bad:
        what, fix = f"encoder {encoder!r} gives a vector with NaN or infinite numbers", 'set dtype = "float32"'
        raise DataError([Problem(what, ids[i], fix, [ids[i]]) for i in bad])
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
