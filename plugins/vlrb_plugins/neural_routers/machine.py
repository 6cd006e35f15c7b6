"""Where a network runs and how: device, precision, determinism, threads, and what is said when memory is short."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import attrs
import torch

from vlrb.errors import ConfigError
from vlrb_plugins.neural_routers.params import NeuralParams

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@attrs.frozen
class Machine:
    """A device, whether the forward pass runs in bfloat16 there, and whether only reproducible algorithms are allowed."""

    device: str
    half: bool
    deterministic: bool

    def precision(self) -> torch.autocast:
        """Return the context of a forward pass."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half)

    def described(self) -> dict[str, str]:
        """Return what is recorded of it."""
        name = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        precision = "bfloat16" if self.half else "float32"
        return {"device": self.device, "name": name, "precision": precision, "torch": str(torch.__version__)}


def machine(params: NeuralParams) -> Machine:
    """Return the machine that parameters ask for.

    :raises ConfigError: when it is not there
    """
    there = torch.cuda.is_available()
    if params.device == "cuda" and not there:
        raise ConfigError('is "cuda", and torch finds no GPU', where="device", fix='set device = "auto" or "cpu"')
    device = "cuda" if there and params.device != "cpu" else "cpu"
    half = params.precision == "bfloat16"
    if params.precision == "auto":
        half = device == "cuda" and torch.cuda.is_bf16_supported()
    return Machine(device, half, params.deterministic)


@contextlib.contextmanager
def isolated(where: Machine, threads: int) -> Iterator[None]:
    """Work with settings and random numbers of its own; those of the process are as before afterwards."""
    before = torch.get_num_threads()
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    devices = [torch.cuda.current_device()] if where.device == "cuda" else []
    with torch.random.fork_rng(devices=devices), contextlib.ExitStack() as stack:
        if where.deterministic and where.device == "cuda":
            from torch.nn.attention import SDPBackend, sdpa_kernel

            os.environ.setdefault(CUBLAS, ":4096:8")
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        torch.set_num_threads(max(1, threads))
        torch.use_deterministic_algorithms(where.deterministic)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn)
            torch.set_num_threads(before)


@contextlib.contextmanager
def memory(parameter: str, size: int, device: str) -> Iterator[None]:
    """Say which parameter to change when the memory does not suffice.

    :raises ConfigError: naming the batch size that failed
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _about_memory(error):
            raise
        smaller = max(1, size // 2)
        same = " (and accumulate twice as many batches: the steps stay the same)" if parameter == "batch_size" else ""
        fix = f"set {parameter} = {smaller}{same}" if size > 1 else "use smaller bodies, or freeze them"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{device} ran out of memory with {parameter} = {size}: {reason}", where=parameter, fix=fix
        ) from error


def _about_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(t in str(error) for t in ("not enough memory", "can't allocate memory", "out of memory"))
