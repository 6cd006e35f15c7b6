"""Where a network runs and how: device, precision, determinism, threads, and what is said when memory is short."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import attrs
import torch

from vlrb import ConfigError
from vlrb_plugins.hf import torch_tools
from vlrb_plugins.hf.weights import first_line
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
    device = torch_tools.device_of(params.device)
    half = params.precision == "bfloat16"
    if params.precision == "auto":
        half = device == "cuda" and torch.cuda.is_bf16_supported()
    return Machine(device, half, params.deterministic)


@contextlib.contextmanager
def isolated(where: Machine, threads: int) -> Iterator[None]:
    """Work with settings and random numbers of its own; those of the process are as before afterwards.

    One thing stays: on a GPU, cuBLAS's workspace is set for the process, because it is looked at once.

    :param threads: of torch on the CPU
    :raises ConfigError: when an operation has no deterministic form, and only such are allowed
    """
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
        except RuntimeError as error:
            if "deterministic implementation" not in str(error):
                raise
            fix = 'set deterministic = false, or freeze = "vision" where the image encoder is what needs it'
            raise ConfigError(first_line(error), where="deterministic", fix=fix) from error
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn)
            torch.set_num_threads(before)


def memory(parameter: str, size: int, device: str) -> contextlib.AbstractContextManager[None]:
    """Say which parameter to change when the memory does not suffice.

    :param parameter: ``batch_size`` or ``route_batch_size``
    :raises ConfigError: naming the device, the parameter and its value, when the block runs out of memory
    """
    then = " (and accumulate twice as many batches: the steps stay the same)" if parameter == "batch_size" else ""
    return torch_tools.memory(parameter, size, device, parameter, then, "use smaller bodies, or freeze them")
