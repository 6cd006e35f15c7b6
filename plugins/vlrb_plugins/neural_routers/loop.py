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
from vlrb_plugins.neural_routers.heads import chosen
from vlrb_plugins.neural_routers.machine import Machine, memory
from vlrb_plugins.neural_routers.objectives import Objective
from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.neural_routers.samples import Batch, Samples, ahead, parts
from vlrb_plugins.neural_routers.schedule import rate_factor
from vlrb_plugins.shared.early_stopping import EarlyStopping

logger = logging.getLogger("vlrb")

POINTS = 20
"""Points of the curve of the loss per epoch."""


@attrs.frozen(eq=False)
class Task:
    """A training: what is trained on what, where, and what it tells of itself.

    ``sources`` are what identifies the weights that the network begins with, by parameter.  ``order`` int64[k] decides between
    equal logits.
    """

    name: str
    network: Network
    objective: Objective
    train: Samples
    dev: Samples
    params: NeuralParams
    where: Machine
    seed: int
    context: FitContext
    sources: dict[str, str]
    order: Array

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of steps of the optimizer in an epoch."""
        return -(-len(self.objective.rows) // (self.params.batch_size * self.params.accumulate))

    @property
    def steps(self) -> int:
        """Return the number of steps, early stopping aside."""
        return self.steps_per_epoch * self.params.epochs

    def identity(self) -> str:
        """Return what tells this training's checkpoints from another's."""
        rows = self.objective.rows.tolist()
        parts = [self.name, unstructure(self.params), self.seed, len(self.train), rows, self.sources]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def train(task: Task) -> EarlyStopping:
    """Train the network and leave it at its best epoch; go on from the last checkpoint, if there is one.

    :raises DataError: when the loss or its gradient is not finite
    :raises ConfigError: when the memory does not suffice
    """
    checkpoints = Checkpoints(task.context.work_directory / "checkpoints", task.identity())
    network = task.network.to(task.where.device)
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad], lr=task.params.rate, weight_decay=task.params.decay
    )
    monitor = EarlyStopping(task.params.patience, task.params.min_delta)
    reached = checkpoints.last(network, optimizer) or Reached(0, monitor)
    if reached.epoch:
        logger.info("%s goes on after epoch %d of %d", task.name, reached.epoch, task.params.epochs)
    while reached.epoch < task.params.epochs and not reached.monitor.stop:
        loss = _epoch(task, optimizer, reached.epoch, checkpoints)
        reached = _judged(task, reached, loss)
        checkpoints.save(reached, network, optimizer)
    best = reached.monitor.best_epoch
    if not best:
        logger.warning("%s: the dev score is undefined in every epoch; the last one's weights are kept", task.name)
    elif best != reached.epoch:
        checkpoints.weights(best, network)
    return reached.monitor


def _judged(task: Task, before: Reached, loss: float) -> Reached:
    """Return how far the training is after one more epoch."""
    epoch = before.epoch + 1
    logits = logits_of(task.network, task.dev, task.where, task.params.route_batch_size)
    score: MetricValue = task.context.dev_score(chosen(logits, task.order))
    values = {"epoch_loss": loss, **({"dev_score": float(score)} if isinstance(score, float | int) else {})}
    task.context.log(epoch * task.steps_per_epoch, values)
    logger.info("%s: epoch %d of %d: loss %.4f, dev score %s", task.name, epoch, task.params.epochs, loss, score)
    return Reached(epoch, before.monitor.after(epoch, score))


def _epoch(task: Task, optimizer: torch.optim.Optimizer, number: int, checkpoints: Checkpoints) -> float:
    """Train for an epoch and return its mean loss."""
    rng = np.random.default_rng([task.seed, number])
    torch.manual_seed(int(rng.integers(2**62)))
    rows = rng.permutation(task.objective.rows)
    task.network.train()
    every = max(1, task.steps_per_epoch // POINTS)
    total, recent, since = 0.0, [0.0, 0.0], time.perf_counter()
    with memory("batch_size", task.params.batch_size, task.where.device):
        for index, group in enumerate(_prepared(task, rows)):
            step = number * task.steps_per_epoch + index
            rate = task.params.rate * rate_factor(step, task.steps, task.params.warmup)
            loss, size = _step(task, optimizer, group, rate, rng)
            if np.isnan(loss):
                raise _diverged(task, number + 1, step, checkpoints.latest())
            total, recent = total + loss * size, [recent[0] + loss * size, recent[1] + size]
            task.context.progress(step + 1, task.steps)
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
    """Return the batches of each step, put together ahead of time."""
    size, many = task.params.batch_size, task.params.accumulate
    groups = [
        [rows[i + j : min(i + j + size, len(rows))] for j in range(0, min(size * many, len(rows) - i), size)]
        for i in range(0, len(rows), size * many)
    ]
    return ahead(groups, lambda group: [(part, task.train.batch(part)) for part in group])


def _step(
    task: Task, optimizer: torch.optim.Optimizer, group: Group, rate: float, rng: np.random.Generator
) -> tuple[float, int]:
    """Make one step and return its loss, the mean over the samples, and their number.

    Where the loss or its gradient is not finite, no weight is changed, and NaN is returned.
    """
    count = sum(len(rows) for rows, _ in group)
    whole: Tensor | float = 0.0
    for rows, batch in group:
        with task.where.precision():
            logits, query = task.network(batch.to(task.where.device))
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
    kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no epoch was finished before"
    return DataError(
        f"the loss or its gradient is not a finite number at step {step + 1} of {task.steps} (epoch {epoch}); {kept}",
        where=task.name,
        fix=f'lower learning_rate (it is {task.params.rate:g}), or set precision = "float32"',
    )


@torch.no_grad()
def logits_of(network: Network, samples: Samples, where: Machine, size: int) -> Array:
    """Return logits float32[n, k]."""
    return _over(samples, where, size, network, lambda batch: network(batch)[0])


@torch.no_grad()
def pretrained_of(network: Network, samples: Samples, where: Machine, size: int) -> tuple[Array, Array]:
    """Return what the pretrained encoders make of the texts, float32[n, d], and of the images, float32[n, e]."""
    both = _over(samples, where, size, network, network.pretrained)
    text, images = np.split(both, [network.body.width], axis=1)
    return text, images


def _over(samples: Samples, where: Machine, size: int, network: Network, make: Callable[[Batch], Tensor]) -> Array:
    network.eval()
    with memory("route_batch_size", size, where.device):
        found = [forward(batch, where, make) for batch in ahead(parts(len(samples), size), samples.batch)]
    return np.concatenate(found) if found else np.empty((0, 0), np.float32)


def forward(batch: Batch, where: Machine, make: Callable[[Batch], Tensor]) -> Array:
    """Return what the network makes of one batch."""
    with where.precision():
        made = make(batch.to(where.device))
    return np.asarray(made.float().cpu().numpy())
