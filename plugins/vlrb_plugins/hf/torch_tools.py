"""What the encoders of text and of images share: loading, missing weights, memory, unit vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vlrb import Array, ConfigError, DataError, Problem, VlrbError, shorten_list
from vlrb_plugins.shared.messages import first_line
from vlrb_plugins.shared.pretrained.device import about_memory, explain_memory
from vlrb_plugins.shared.pretrained.loading import quietly


@contextlib.contextmanager
def loading(encoder: str, folder: Path) -> Iterator[None]:
    """Load a model quietly; errors name the encoder and the folder.

    :raises ConfigError: when the device has too little memory for the model
    :raises DataError: when the files cannot be loaded
    """
    try:
        with quietly():
            yield
    except VlrbError:
        raise
    except Exception as error:  # transformers and its dependencies raise errors of many classes
        if about_memory(error):
            what = f"ran out of memory while the model of encoder {encoder!r} was loaded: {first_line(error)}"
            raise ConfigError(what, where=str(folder), fix='set device = "cpu", or choose a smaller model') from None
        raise DataError(
            f"the model of encoder {encoder!r} cannot be loaded: {first_line(error)}",
            where=str(folder),
            fix="name a folder or id that has all files of such a model, with safetensors weights",
        ) from error


def missing_pooler(report: dict[str, Any], folder: Path) -> bool:
    """Tell whether a model was loaded without weights for its pooler, which transformers then draws at random.

    :param report: transformers' report on what it loaded
    :raises DataError: when other weights are missing, since a failure is never a number
    """
    missing = sorted(report["missing_keys"])
    wrong = [k for k in missing if not k.startswith("pooler.")] + [str(k[0]) for k in report.get("mismatched_keys", ())]
    if wrong:
        what = f"weights are missing or have another shape: {shorten_list(wrong, 3)}"
        raise DataError(what, where=str(folder), fix="provide all of the model's files")
    return bool(missing)


@contextlib.contextmanager
def working(encoder: str, batch_size: int, device: str) -> Iterator[None]:
    """Compute without gradients and without reduced precision in convolutions.

    :raises ConfigError: when memory runs out, naming the batch size
    """
    then = " and run again: what has been encoded is kept"
    with (
        explain_memory("batch_size", batch_size, device, f"encoder {encoder!r}", then, 'set device = "cpu"'),
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
    ):
        yield


def unit_rows(rows: Array, ids: Sequence[str], encoder: str) -> Array:
    """Return rows scaled to unit length, of the shape [n, d] and the type of ``rows``; rows of zeros are unchanged.

    :param ids: sample ids, for messages
    :raises DataError: naming the samples whose rows are not finite, which half precision may cause
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
    if bad:
        what, fix = f"encoder {encoder!r} gives a vector with NaN or infinite numbers", 'set dtype = "float32"'
        raise DataError([Problem(what, ids[i], fix, [ids[i]]) for i in bad])
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
