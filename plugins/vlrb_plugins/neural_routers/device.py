"""Where and how a network runs: device, precision, determinism, threads, and errors about memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import attrs
import torch

from vlrb import ConfigError
from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.shared.messages import first_line
from vlrb_plugins.shared.pretrained.device import device_of, explain_memory

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@attrs.frozen
class Device:
    """A device (``cpu`` or ``cuda``), whether forward passes run in bfloat16, and whether all algorithms must be deterministic."""

    kind: str
    half: bool
    deterministic: bool

    def precision(self) -> torch.autocast:
        """Return the context of a forward pass."""
        return torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.half)

    def described(self) -> dict[str, str]:
        """Return its description for results and logs."""
        name = torch.cuda.get_device_name() if self.kind == "cuda" else "cpu"
        precision = "bfloat16" if self.half else "float32"
        return {"device": self.kind, "name": name, "precision": precision, "torch": str(torch.__version__)}


def chosen_device(params: NeuralParams) -> Device:
    """Return the device that parameters ask for.

    :raises ConfigError: when it is not available
    """
    kind = device_of(params.device)
    half = params.precision == "bfloat16"
    if params.precision == "auto":
        half = kind == "cuda" and torch.cuda.is_bf16_supported()
    return Device(kind, half, params.deterministic)


@contextlib.contextmanager
def isolated(device: Device, threads: int) -> Iterator[None]:
    """Work with torch's settings and random numbers changed, and restore them afterwards.

    One change remains: on a GPU, cuBLAS reads its workspace setting only once per process.

    :param threads: of torch on the CPU
    :raises ConfigError: when an operation has no deterministic implementation and ``deterministic`` is set
    """
    before = torch.get_num_threads()
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    devices = [torch.cuda.current_device()] if device.kind == "cuda" else []
    with torch.random.fork_rng(devices=devices), contextlib.ExitStack() as stack:
        if device.deterministic and device.kind == "cuda":
            from torch.nn.attention import SDPBackend, sdpa_kernel

            os.environ.setdefault(CUBLAS, ":4096:8")
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        torch.set_num_threads(max(1, threads))
        torch.use_deterministic_algorithms(device.deterministic)
        try:
            yield
        except RuntimeError as error:
            if "deterministic implementation" not in str(error):
                raise
            fix = 'set deterministic = false, or freeze = "vision" if the image encoder needs the operation'
            raise ConfigError(first_line(error), where="deterministic", fix=fix) from error
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn)
            torch.set_num_threads(before)


def memory(parameter: str, size: int, device: str) -> contextlib.AbstractContextManager[None]:
    """Turn an error about memory into one that says which parameter to change.

    :param parameter: ``batch_size`` or ``route_batch_size``
    :raises ConfigError: naming the device, the parameter and its value
    """
    then = " (and accumulate twice as many batches: the steps stay the same)" if parameter == "batch_size" else ""
    return explain_memory(parameter, size, device, parameter, then, "use smaller bodies, or freeze them")
