"""Checkpoints: the state of a training after each epoch, as safetensors and JSON.

Each epoch has a folder, which appears by a rename; those of the last and the best epoch are kept.  The state of random numbers is
not saved: an epoch's seed follows from the cell's seed and the epoch's number, so that a resumed training gives the same result
as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vlrb import DataError, new_directory, read_json, remove_folder, shorten_list, write_json
from vlrb_plugins.shared.early_stopping import EarlyStopping

SCHEMA_VERSION = 1
WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"


@attrs.frozen
class Reached:
    """The state of a training: completed epochs, and early stopping."""

    epoch: int
    monitor: EarlyStopping


@attrs.frozen
class Checkpoints:
    """The checkpoints of one training in a folder; ``identity`` distinguishes trainings."""

    folder: Path
    identity: str

    def save(self, reached: Reached, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the checkpoint of an epoch, and remove those that are neither the last nor the best."""
        with new_directory(self._of(reached.epoch)) as aside:
            save_file(trained(network), aside / WEIGHTS)
            save_file(_moments(network, optimizer), aside / OPTIMIZER)
            monitor = attrs.asdict(reached.monitor)
            state = {"schema": SCHEMA_VERSION, "identity": self.identity, "epoch": reached.epoch, "monitor": monitor}
            write_json(aside / STATE, state)
        best = reached.monitor.best_epoch
        for epoch in self._epochs():
            if epoch not in (reached.epoch, best):
                remove_folder(self._of(epoch))
        if best != reached.epoch and best:
            (self._of(best) / OPTIMIZER).unlink(missing_ok=True)

    def last(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Reached | None:
        """Restore network and optimizer from the last checkpoint and return its state; None if this training has no checkpoint.

        Checkpoints of other trainings are removed.

        :raises DataError: naming the file that cannot be read
        """
        for epoch in sorted(self._epochs(), reverse=True):
            folder = self._of(epoch)
            state = read_json(folder / STATE)
            if state.get("schema") == SCHEMA_VERSION and state.get("identity") == self.identity:
                restore(network, folder / WEIGHTS)
                _restore_moments(network, optimizer, _read(folder / OPTIMIZER))
                return Reached(epoch, EarlyStopping(**state["monitor"]))
            remove_folder(folder)
        return None

    def weights(self, epoch: int, network: nn.Module) -> None:
        """Restore the network's weights from the checkpoint of an epoch."""
        restore(network, self._of(epoch) / WEIGHTS)

    def latest(self) -> Path | None:
        """Return the folder of the last checkpoint, if there is one."""
        epochs = self._epochs()
        return self._of(max(epochs)) if epochs else None

    def _of(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}"

    def _epochs(self) -> list[int]:
        return [int(f.name.removeprefix("epoch-")) for f in self.folder.glob("epoch-*") if (f / STATE).is_file()]


def trained(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights that training may change, by name: parameters that are not frozen, and persistent buffers."""
    return {n: t.detach().cpu().contiguous() for n, t in _tensors(network, only_trained=True).items()}


def all_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return all weights by name."""
    return {n: t.detach().cpu().contiguous() for n, t in _tensors(network, only_trained=False).items()}


def restore(network: nn.Module, file: Path, everything: bool = False) -> None:
    """Set a network's weights by name to those in a file.

    :param everything: frozen weights too
    :raises DataError: when the file cannot be read, or has the weights of another network
    """
    tensors = _read(file)
    own = _tensors(network, only_trained=not everything)
    differing = sorted(own.keys() ^ tensors.keys()) or [n for n in own if own[n].shape != tensors[n].shape]
    if differing:
        raise DataError(
            f"the weights are those of another network; these differ: {shorten_list(differing, 1)}",
            where=str(file),
            fix="delete its folder and fit the router again",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), fix="delete its folder and run again") from None


def _tensors(network: nn.Module, only_trained: bool) -> dict[str, Tensor]:
    parameters: dict[str, Tensor] = {n: p for n, p in network.named_parameters() if p.requires_grad or not only_trained}
    kept = network.state_dict(keep_vars=True).keys()
    return parameters | {n: b for n, b in network.named_buffers() if n in kept}


def _moments(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state for each parameter."""
    found = {}
    for name, parameter in network.named_parameters():
        for kind, value in optimizer.state.get(parameter, {}).items():
            found[f"{kind}:{name}"] = value.detach().cpu().contiguous()
    return found


def _restore_moments(network: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    by_name = dict(network.named_parameters())
    for key, value in tensors.items():
        kind, name = key.split(":", 1)
        parameter: Any = by_name[name]
        # torch keeps the number of steps on the CPU
        optimizer.state[parameter][kind] = value if kind == "step" else value.to(parameter.device)
