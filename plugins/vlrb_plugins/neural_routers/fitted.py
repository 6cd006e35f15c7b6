"""Fitted neural routers and their files: safetensors, JSON and the tokenizer; loading one fetches nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import numpy as np
import torch
from safetensors.torch import save_file

from vlrb import (
    Array,
    ConfigError,
    Queries,
    Scalar,
    new_file,
    restructure,
    unstructure,
    write_json,
)
from vlrb_plugins.neural_routers import backbones
from vlrb_plugins.neural_routers.bodies import BODIES, Network, Sight
from vlrb_plugins.neural_routers.checkpoint import all_weights, restore
from vlrb_plugins.neural_routers.device import Device, chosen_device, memory
from vlrb_plugins.neural_routers.heads import chosen
from vlrb_plugins.neural_routers.loop import forward
from vlrb_plugins.neural_routers.params import ROUTERS, NeuralParams
from vlrb_plugins.neural_routers.pixels import Resizing
from vlrb_plugins.neural_routers.recipes import RECIPES
from vlrb_plugins.neural_routers.samples import Reading, batches_ahead, passing_samples, row_blocks
from vlrb_plugins.shared.fitted import read_saved, refuse_other_models, write_saved

logger = logging.getLogger("vlrb")

SCHEMA_VERSION = 3


@attrs.frozen(eq=False)
class Made:
    """A network with its tokenizer, how it reads samples, and the revisions of its pretrained weights by parameter."""

    network: Network
    tokenizer: Any
    reading: Reading
    body: str
    sources: dict[str, str]


@attrs.frozen(eq=False)
class FittedNeural:
    """A trained network.

    ``models`` are the candidates that it was trained on, ``order`` their columns in order of preference among equal logits, and
    ``history`` is the record of the training.  ``kept`` is what a refit needs to know; it is not saved.
    """

    name: str
    params: NeuralParams
    made: Made = attrs.field(repr=False)
    runs_on: Device
    models: tuple[str, ...]
    order: tuple[int, ...]
    history: dict[str, Any]
    kept: Mapping[str, Scalar] = attrs.field(factory=dict)
    _last: WeakKeyDictionary[Queries, Array] = attrs.field(factory=WeakKeyDictionary, init=False, repr=False)

    @property
    def device(self) -> dict[str, str]:
        """Return the description of the device that the network runs on."""
        return self.runs_on.described()

    def route(self, queries: Queries) -> Array:
        """Return the model with the highest logit, int64[n]; ties go to the first one in ``order``.

        Images are decoded here each time.

        :raises DataError: naming the sample whose image cannot be decoded, or for other candidates than in the fit
        :raises ConfigError: when memory runs out, naming ``route_batch_size``
        """
        self._last.clear()
        self._last[queries] = self._logits(queries)
        return chosen(self._last[queries], np.array(self.order))

    def scores(self, queries: Queries) -> Array:
        """Return the logits, float64[n, k]; those of the queries routed last are kept."""
        return self._last[queries] if queries in self._last else self._logits(queries)

    def _logits(self, queries: Queries) -> Array:
        refuse_other_models(queries, self.models, self.name)
        network, size = self.made.network.eval(), self.params.route_batch_size
        with torch.no_grad(), ThreadPoolExecutor(torch.get_num_threads()) as pool:

            def prepared(rows: Array) -> Any:
                some = queries.take(rows)
                samples = passing_samples(some, self.made.tokenizer, self.made.reading, pool)
                return samples.batch(np.arange(len(samples)))

            with memory("route_batch_size", size, self.runs_on.kind):
                batches = batches_ahead(row_blocks(len(queries), size), prepared)
                found = [forward(b, self.runs_on, lambda batch: network(batch)[0]) for b in batches]
        return np.concatenate(found).astype(np.float64) if found else np.empty((0, len(self.models)))

    def save(self, directory: Path) -> None:
        """Write the weights, the tokenizer and configurations, and the record of the fit."""
        made = self.made
        with new_file(directory / "weights.safetensors") as aside:
            save_file(all_weights(made.network), aside)
        made.tokenizer.save_pretrained(directory / "tokenizer")
        for part, config in (("vision", made.network.sight.model.config), ("cross", made.network.body.config)):
            write_json(directory / part / "config.json", config.to_dict())
        content = {
            "router": self.name,
            "parameters": unstructure(self.params),
            "models": list(self.models),
            "order": list(self.order),
            "body": made.body,
            "reading": attrs.asdict(made.reading),
            "sources": made.sources,
            "machine": self.device,
            "history": self.history,
        }
        write_saved(directory, SCHEMA_VERSION, content)


def load(name: str, directory: Path) -> FittedNeural:
    """Load what ``save`` wrote; without the GPU that its parameters ask for, it runs on the CPU.

    :raises DataError: when it is another router, has another schema version, or is broken
    """
    content = read_saved(directory, SCHEMA_VERSION, name)
    params = restructure(content["parameters"], ROUTERS[name][0])
    reading = Reading(**{**content["reading"], "resizing": Resizing(**content["reading"]["resizing"])})
    models = tuple(content["models"])
    with torch.random.fork_rng(devices=[]):
        vision = backbones.from_config(backbones.config(str(directory / "vision"), "vision"))
        body = make_body(content["body"], backbones.config(str(directory / "cross"), "cross"), None)
        sight = Sight(vision, body.visual_width, tuple(reading.mean), tuple(reading.deviation), frozen=True)
        network = Network(sight, body, RECIPES[name].head(body.width, len(models), params))
    restore(network, directory / "weights.safetensors", everything=True)
    device = _device_or_cpu(params)
    tokenizer = backbones.tokenizer(str(directory / "tokenizer"))
    made = Made(network.to(device.kind), tokenizer, reading, content["body"], content["sources"])
    return FittedNeural(name, params, made, device, models, tuple(content["order"]), content["history"])


def make_body(kind: str, config: Any, model: Any) -> Any:
    """Return a cross-modal body; without a model its weights are random."""
    if kind.endswith("from-scratch"):
        return BODIES[kind](config)
    return BODIES[kind](model if model is not None else backbones.from_config(config))


def _device_or_cpu(params: NeuralParams) -> Device:
    try:
        return chosen_device(params)
    except ConfigError:
        logger.warning("a router that was fitted with device = %r runs on the CPU: torch finds no GPU", params.device)
        return chosen_device(attrs.evolve(params, device="cpu", precision="float32"))
