"""The one training loop: a network, an objective, samples, a schedule."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from vlrb import Array, DataError, FitContext, MetricValue, unstructure
from vlrb_plugins.neural_routers.bodies import Network
from vlrb_plugins.neural_routers.checkpoint import Checkpoints, Reached
from vlrb_plugins.neural_routers.device import Device, memory
from vlrb_plugins.neural_routers.heads import chosen
from vlrb_plugins.neural_routers.objectives import Objective
from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.neural_routers.samples import Batch, Samples, batches_ahead, row_blocks
from vlrb_plugins.neural_routers.schedule import rate_factor
from vlrb_plugins.shared.early_stopping import EarlyStopping, kept_epochs

logger = logging.getLogger("vlrb")

POINTS = 20
"""Points of the curve of the loss per epoch."""


@attrs.frozen(eq=False)
class Task:
    """A training: network, objective, samples (those of dev are None in a refit), parameters and device.

    ``sources`` are the revisions of the network's pretrained weights by parameter.  ``order`` int64[k] are the models in order of
    preference among equal logits.
    """

    name: str
    network: Network
    objective: Objective
    train: Samples
    dev: Samples | None
    params: NeuralParams
    device: Device
    seed: int
    context: FitContext
    sources: dict[str, str]
    order: Array

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps in an epoch."""
        return -(-len(self.objective.rows) // (self.params.batch_size * self.params.accumulate))

    @property
    def steps(self) -> int:
        """Return the number of steps of the schedule, which a refit follows as far as the first fit's best epoch."""
        return self.steps_per_epoch * self.params.epochs

    @property
    def epochs(self) -> int:
        """Return the number of epochs to train: at most, or in a refit exactly."""
        return kept_epochs(self.context) or self.params.epochs

    def identity(self) -> str:
        """Return a digest that distinguishes this training's checkpoints from those of others."""
        rows = self.objective.rows.tolist()
        kept = kept_epochs(self.context)
        parts = [self.name, unstructure(self.params), self.seed, len(self.train), rows, self.sources, kept]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def train(task: Task) -> Reached:
    """Train the network and leave it with the weights of its best epoch; resume from the last checkpoint if there is one.

    A refit trains as many epochs as the first fit's best, without dev; its last epoch counts as the best.

    :raises DataError: when the loss or its gradient is not finite
    :raises ConfigError: when memory runs out
    """
    checkpoints = Checkpoints(task.context.work_directory / "checkpoints", task.identity())
    network = task.network.to(task.device.kind)
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad], lr=task.params.rate, weight_decay=task.params.decay
    )
    monitor = EarlyStopping(task.params.patience, task.params.min_delta)
    reached = checkpoints.last(network, optimizer) or Reached(0, monitor)
    if reached.epoch:
        logger.info("%s resumes after epoch %d of %d", task.name, reached.epoch, task.epochs)
    while reached.epoch < task.epochs and not reached.monitor.stop:
        loss = _epoch(task, optimizer, reached.epoch, checkpoints)
        reached = _judged(task, reached, loss)
        checkpoints.save(reached, network, optimizer)
    best = reached.monitor.best_epoch
    if not best:
        logger.warning("%s: the dev score is undefined in every epoch; the last epoch's weights are kept", task.name)
    elif best != reached.epoch:
        checkpoints.weights(best, network)
    return reached


def _judged(task: Task, before: Reached, loss: float) -> Reached:
    """Return the state of the training after one more epoch."""
    epoch = before.epoch + 1
    if task.dev is None:
        task.context.log(epoch * task.steps_per_epoch, {"epoch_loss": loss})
        logger.info("%s: epoch %d of %d: loss %.4f", task.name, epoch, task.epochs, loss)
        return Reached(epoch, attrs.evolve(before.monitor, best_epoch=epoch))
    logits = logits_of(task.network, task.dev, task.device, task.params.route_batch_size)
    score: MetricValue = task.context.dev_score(chosen(logits, task.order))
    values = {"epoch_loss": loss, **({"dev_score": float(score)} if isinstance(score, float | int) else {})}
    task.context.log(epoch * task.steps_per_epoch, values)
    logger.info("%s: epoch %d of %d: loss %.4f, dev score %s", task.name, epoch, task.epochs, loss, score)
    return Reached(epoch, before.monitor.after(epoch, score))


def _epoch(task: Task, optimizer: torch.optim.Optimizer, number: int, checkpoints: Checkpoints) -> float:
    """Train for an epoch and return its mean loss."""
    rng = np.random.default_rng([task.seed, number])
    torch.manual_seed(int(rng.integers(2**62)))
    rows = rng.permutation(task.objective.rows)
    task.network.train()
    every = max(1, task.steps_per_epoch // POINTS)
    total, recent, since = 0.0, [0.0, 0.0], time.perf_counter()
    with memory("batch_size", task.params.batch_size, task.device.kind):
        for index, group in enumerate(_prepared(task, rows)):
            step = number * task.steps_per_epoch + index
            rate = task.params.rate * rate_factor(step, task.steps, task.params.warmup)
            loss, size = _step(task, optimizer, group, rate, rng)
            if np.isnan(loss):
                raise _diverged(task, number + 1, step, checkpoints.latest())
            total, recent = total + loss * size, [recent[0] + loss * size, recent[1] + size]
            task.context.progress(step + 1, task.steps_per_epoch * task.epochs)
            if index % every == every - 1 or index == task.steps_per_epoch - 1:
                seconds = time.perf_counter() - since
                values = {
                    "loss": recent[0] / recent[1],
                    "learning_rate": rate,
                    "samples_per_second": recent[1] / seconds,
                }
                task.context.log(step + 1, values)
                recent, since = [0.0, 0.0], time.perf_counter()
    return total / len(rows)


Group = list[tuple[Array, Batch]]


def _prepared(task: Task, rows: Array) -> Iterator[Group]:
    """Yield the batches of each step, prepared ahead of time."""
    size, many = task.params.batch_size, task.params.accumulate
    groups = [
        [rows[i + j : min(i + j + size, len(rows))] for j in range(0, min(size * many, len(rows) - i), size)]
        for i in range(0, len(rows), size * many)
    ]
    return batches_ahead(groups, lambda group: [(part, task.train.batch(part)) for part in group])


def _step(
    task: Task, optimizer: torch.optim.Optimizer, group: Group, rate: float, rng: np.random.Generator
) -> tuple[float, int]:
    """Make one step and return its loss, which is the mean over its samples, and the number of samples.

    If the loss or its gradient is not finite, no weight is changed and the loss is NaN.
    """
    count = sum(len(rows) for rows, _ in group)
    whole: Tensor | float = 0.0
    for rows, batch in group:
        with task.device.precision():
            logits, query = task.network(batch.to(task.device.kind))
        loss = task.objective.loss(logits, query, rows, rng) * (len(rows) / count)
        loss.backward()  # type: ignore[no-untyped-call]
        whole = whole + loss.detach()
    for settings in optimizer.param_groups:
        settings["lr"] = rate
    norm = torch.nn.utils.clip_grad_norm_(task.network.parameters(), task.params.clip)
    finite = bool(np.isfinite([float(whole), float(norm)]).all())
    if finite:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(whole) if finite else float("nan"), count


def _diverged(task: Task, epoch: int, step: int, checkpoint: Path | None) -> DataError:
    kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no epoch was completed before"
    return DataError(
        f"the loss or its gradient is not a finite number at step {step + 1} of {task.steps} (epoch {epoch}); {kept}",
        where=task.name,
        fix=f'lower learning_rate (it is {task.params.rate:g}), or set precision = "float32"',
    )


@torch.no_grad()
def logits_of(network: Network, samples: Samples, device: Device, size: int) -> Array:
    """Return logits float32[n, k]."""
    return _over(samples, device, size, network, lambda batch: network(batch)[0])


@torch.no_grad()
def pretrained_of(network: Network, samples: Samples, device: Device, size: int) -> tuple[Array, Array]:
    """Return what the pretrained encoders give for the texts, float32[n, d], and the images, float32[n, e]."""
    both = _over(samples, device, size, network, network.pretrained)
    text, images = np.split(both, [network.body.width], axis=1)
    return text, images


def _over(samples: Samples, device: Device, size: int, network: Network, make: Callable[[Batch], Tensor]) -> Array:
    network.eval()
    with memory("route_batch_size", size, device.kind):
        blocks = batches_ahead(row_blocks(len(samples), size), samples.batch)
        found = [forward(batch, device, make) for batch in blocks]
    return np.concatenate(found) if found else np.empty((0, 0), np.float32)


def forward(batch: Batch, device: Device, make: Callable[[Batch], Tensor]) -> Array:
    """Return what a function of the network gives for one batch."""
    with device.precision():
        made = make(batch.to(device.kind))
    return np.asarray(made.float().cpu().numpy())
