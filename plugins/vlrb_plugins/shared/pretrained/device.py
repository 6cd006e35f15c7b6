"""The device that a model runs on, and errors about its memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from vlrb import ConfigError
from vlrb_plugins.shared.messages import first_line

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Parts of the messages of torch's other errors about memory: of the CPU's allocator, and of cuBLAS."""


def device_of(wanted: str) -> str:
    """Return the device to use, ``cpu`` or ``cuda``.

    :param wanted: ``cpu``, ``cuda``, or ``auto``, which takes a GPU if torch finds one
    :raises ConfigError: when a GPU is asked for and torch finds none
    """
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise ConfigError('is "cuda", and torch finds no GPU', where="device", fix='set device = "auto" or "cpu"')
    return "cuda" if found and wanted != "cpu" else "cpu"


def about_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(text in str(error) for text in OUT_OF_MEMORY)


@contextlib.contextmanager
def explain_memory(parameter: str, size: int, device: str, where: str, then: str, at_one: str) -> Iterator[None]:
    """Turn an error about memory into one that says which parameter to change.

    :param size: the parameter's value; half of it is proposed
    :param then: text after the proposal
    :param at_one: the fix if the value is 1 already
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
