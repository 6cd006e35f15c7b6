"""A multilayer perceptron on hard labels or soft targets (VL-RouterBench, MLP), trained with torch.

Adam on batches, stopped early on dev; without early stopping, when the train loss no longer falls.  The penalty is part of the
gradient: in the variant ``published`` that of the weights, in the variant ``reference`` that of the biases too, and there the mean
loss of an epoch is its sum over one batch too many where the batches fill it evenly.  The fitted router needs no torch.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from vlrb import Array, ConfigError, FitContext, Labelled, Queries, Scalar, solved_rows
from vlrb_plugins.feature_routers.deciding import HighestScore
from vlrb_plugins.feature_routers.epochs import run_epochs
from vlrb_plugins.feature_routers.inputs import features_of, scaled_dev, targets_of
from vlrb_plugins.feature_routers.params import MlpParams
from vlrb_plugins.feature_routers.scaling import ZScore, blocks
from vlrb_plugins.feature_routers.solver import softmax
from vlrb_plugins.feature_routers.storage import store, stored
from vlrb_plugins.shared.early_stopping import EarlyStopping

if TYPE_CHECKING:
    import torch

Layers = tuple[tuple[Array, Array], ...]

LOSS_DELTA = 1e-4
"""By how much the train loss must fall to count as falling (without early stopping)."""


@attrs.frozen
class Mlp:
    """The router ``mlp``."""

    params: MlpParams

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedMlp:
        """Train the network.

        :raises DataError: when no model is right on any train sample, or the selection metric is undefined on dev
        :raises ConfigError: when there is no such device
        """
        features, rows = features_of(train.queries, "mlp"), solved_rows(train, "mlp")
        scaler = ZScore.fit(features.matrix, rows)
        targets = targets_of(train, rows, self.params.lambda_, self.params.variant)
        matrix = scaler.apply(features.matrix, rows)
        asked = scaled_dev(dev, scaler, "mlp") if self.params.early_stopping else matrix[:0]
        with _threads(context.threads):
            layers, kept = Training(self.params, context).run(matrix, targets, asked)
        return FittedMlp(self.params, scaler, layers, kept)


@attrs.frozen(eq=False)
class FittedMlp(HighestScore):
    """Weights float32[out, in] and biases float32[out] of every layer; ``kept`` is not saved."""

    params: MlpParams
    scaler: ZScore
    layers: Layers
    kept: Mapping[str, Scalar] = attrs.field(factory=dict)

    def scores(self, queries: Queries) -> Array:
        """Return the predicted target, a distribution over the models, float64[n, k]."""
        matrix = features_of(queries, "mlp", self.layers[0][0].shape[1]).matrix
        scores = np.empty((len(matrix), len(self.layers[-1][1])))
        for part in blocks(len(matrix), max(w.shape[1] for w, _ in self.layers)):
            values = self.scaler.apply(matrix[part])
            for i, (weight, bias) in enumerate(self.layers):
                values = (np.maximum(values, 0) if i else values) @ weight.T + bias
            scores[part] = softmax(values.astype(np.float64))
        return scores

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        arrays = self.scaler.arrays()
        for i, (weight, bias) in enumerate(self.layers):
            arrays |= {f"weight{i}": weight, f"bias{i}": bias}
        store(directory, "mlp", self.params, arrays)


def load(directory: Path) -> FittedMlp:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    found = stored(directory, "mlp")
    params, a = found.parameters(MlpParams), found.arrays
    layers = tuple((a[f"weight{i}"], a[f"bias{i}"]) for i in range(len(params.hidden) + 1))
    return FittedMlp(params, ZScore.restored(a), layers)


class Training:
    """One training run: all its randomness comes from one generator, seeded by the cell's seed."""

    def __init__(self, params: MlpParams, context: FitContext) -> None:
        import torch

        self.params, self.context = params, context
        self.generator = torch.Generator().manual_seed(context.seed)
        self.device = _device(params.device)

    def run(self, matrix: Array, targets: Array, dev: Array) -> tuple[Layers, Mapping[str, Scalar]]:
        """Train; return the layers of the best epoch, or without early stopping those of the last, and what a refit needs to know.

        :param matrix: scaled rows float32[n, d]
        """
        import torch

        layers = [
            torch.tensor(v, device=self.device, requires_grad=True)
            for pair in self._drawn(matrix.shape[1], targets.shape[1])
            for v in pair
        ]
        decayed = layers if self.params.variant == "reference" else layers[0::2]
        rest = [] if self.params.variant == "reference" else [{"params": layers[1::2], "weight_decay": 0.0}]
        groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": self.params.alpha}, *rest]
        optimiser = torch.optim.Adam(groups, lr=self.params.learning_rate)
        inputs, goals, asked = (
            torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32)).to(self.device) for v in (matrix, targets, dev)
        )

        def choices() -> Array:
            with torch.no_grad():
                return np.asarray(forward(layers, asked).argmax(dim=1).cpu().numpy())

        return run_epochs(
            lambda _: self._epoch(layers, optimiser, inputs, goals),
            choices,
            lambda: _arrays(layers),
            self.params,
            self.context,
            "mlp",
            EarlyStopping(self.params.loss_patience, LOSS_DELTA),
        )

    def _epoch(
        self,
        layers: list[torch.Tensor],
        optimiser: torch.optim.Optimizer,
        inputs: torch.Tensor,
        goals: torch.Tensor,
    ) -> float:
        """Make a step per batch, in a new order; return the mean loss."""
        import torch

        n = len(inputs)
        size = min(self.params.batch_size, n)
        order = torch.randperm(n, generator=self.generator).to(self.device)
        total = torch.zeros((), device=self.device)
        for rows in torch.split(order, size):
            optimiser.zero_grad()
            logits = forward(layers, inputs[rows])
            loss = -(goals[rows] * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
            torch.autograd.backward(loss)
            optimiser.step()
            total += loss.detach()
        batches = n // size + 1 if self.params.variant == "reference" else -(-n // size)
        return float(total) / batches

    def _drawn(self, width: int, models: int) -> list[tuple[Array, Array]]:
        """Return layers drawn as torch draws those of linear layers, in their order."""
        import torch

        sizes = (width, *self.params.hidden, models)
        layers = []
        for before, after in itertools.pairwise(sizes):
            bound = before**-0.5
            weight, bias = (
                torch.empty(shape).uniform_(-bound, bound, generator=self.generator).numpy()
                for shape in ((after, before), (after,))
            )
            layers.append((weight, bias))
        return layers


def forward(layers: Sequence[torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """Return the logits."""
    import torch

    for i in range(0, len(layers), 2):
        values = torch.addmm(layers[i + 1], values if not i else torch.relu(values), layers[i].T)
    return values


def _arrays(layers: Sequence[torch.Tensor]) -> Layers:
    copies = [v.detach().cpu().numpy().copy() for v in layers]
    return tuple(zip(copies[0::2], copies[1::2], strict=True))


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if available else "cpu"
    if name == "cuda" and not available:
        raise ConfigError("there is no CUDA device here", where="mlp.device", fix='set device = "cpu" or "auto"')
    return name


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use so many threads, and as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)
