"""Fitted neural routers, and their files: safetensors, JSON, the tokenizer; nothing is fetched to bring one back."""

from __future__ import annotations

import logging
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
    DataError,
    Queries,
    new_file,
    read_json,
    restructure,
    shorten_list,
    unstructure,
    write_json,
)
from vlrb_plugins.neural_routers import ROUTERS, backbones
from vlrb_plugins.neural_routers.bodies import BODIES, Network, Sight
from vlrb_plugins.neural_routers.checkpoint import all_weights, restore
from vlrb_plugins.neural_routers.heads import chosen
from vlrb_plugins.neural_routers.loop import forward
from vlrb_plugins.neural_routers.machine import Machine, machine, memory
from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.neural_routers.pixels import Resizing
from vlrb_plugins.neural_routers.samples import Reading, ahead, parts, passing_samples

logger = logging.getLogger("vlrb")

SCHEMA_VERSION = 3


@attrs.frozen(eq=False)
class Made:
    """A network with its tokenizer, how it reads samples, and what identifies the weights it began with, by parameter."""

    network: Network
    tokenizer: Any
    reading: Reading
    body: str
    sources: dict[str, str]


@attrs.frozen(eq=False)
class FittedNeural:
    """A trained network.

    ``models`` are the candidates it was trained on, ``order`` their numbers in the order in which equal logits are decided, and
    ``history`` what is recorded of the training.
    """

    name: str
    params: NeuralParams
    made: Made = attrs.field(repr=False)
    where: Machine
    models: tuple[str, ...]
    order: tuple[int, ...]
    history: dict[str, Any]
    _last: WeakKeyDictionary[Queries, Array] = attrs.field(factory=WeakKeyDictionary, init=False, repr=False)

    @property
    def device(self) -> dict[str, str]:
        """Return what the network runs on."""
        return self.where.described()

    def route(self, queries: Queries) -> Array:
        """Return the model with the highest logit, of equals the first in ``order``, int64[n].

        Images are decoded here, every time.

        :raises DataError: naming the sample whose image cannot be decoded, or for other candidates than in the fit
        :raises ConfigError: when the memory does not suffice, naming ``route_batch_size``
        """
        self._last.clear()
        self._last[queries] = self._logits(queries)
        return chosen(self._last[queries], np.array(self.order))

    def scores(self, queries: Queries) -> Array:
        """Return the logits, float64[n, k]; those of the queries that were routed last are at hand."""
        return self._last[queries] if queries in self._last else self._logits(queries)

    def _logits(self, queries: Queries) -> Array:
        names = tuple(c.name for c in queries.candidates)
        if names != self.models:
            what = f"was fitted for the models {shorten_list(self.models)}, not {shorten_list(names)}"
            raise DataError(what, where=self.name, fix="fit it for these models")
        network, size = self.made.network.eval(), self.params.route_batch_size
        with torch.no_grad(), ThreadPoolExecutor(torch.get_num_threads()) as pool:

            def prepared(rows: Array) -> Any:
                some = queries.take(rows)
                samples = passing_samples(some, self.made.tokenizer, self.made.reading, pool)
                return samples.batch(np.arange(len(samples)))

            with memory("route_batch_size", size, self.where.device):
                batches = ahead(parts(len(queries), size), prepared)
                found = [forward(b, self.where, lambda batch: network(batch)[0]) for b in batches]
        return np.concatenate(found).astype(np.float64) if found else np.empty((0, len(self.models)))

    def save(self, directory: Path) -> None:
        """Write the network, what it reads with, and how it came about."""
        made = self.made
        with new_file(directory / "weights.safetensors") as aside:
            save_file(all_weights(made.network), aside)
        made.tokenizer.save_pretrained(directory / "tokenizer")
        for part, config in (("vision", made.network.sight.model.config), ("cross", made.network.body.config)):
            write_json(directory / part / "config.json", config.to_dict())
        content = {
            "schema": SCHEMA_VERSION,
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
        write_json(directory / "router.json", content)


def load(name: str, directory: Path) -> FittedNeural:
    """Bring back what ``save`` wrote; where the GPU it was asked to run on is missing, it runs on the CPU.

    :raises DataError: when it is of another router or schema version, or broken
    """
    from vlrb_plugins.neural_routers.routers import RECIPES

    content = read_json(directory / "router.json")
    if content.get("schema") != SCHEMA_VERSION:
        what = f"has schema version {content.get('schema')!r}, not {SCHEMA_VERSION}"
        raise DataError(what, where=str(directory), fix="fit the router again")
    if content.get("router") != name:
        what = f"holds a router {content.get('router')!r}, not {name!r}"
        raise DataError(what, where=str(directory), fix=f"name a folder that a {name} was saved in")
    params = restructure(content["parameters"], ROUTERS[name][0])
    reading = Reading(**{**content["reading"], "resizing": Resizing(**content["reading"]["resizing"])})
    models = tuple(content["models"])
    with torch.random.fork_rng(devices=[]):
        vision = backbones.from_config(backbones.config(str(directory / "vision"), "vision"))
        body = make_body(content["body"], backbones.config(str(directory / "cross"), "cross"), None)
        sight = Sight(vision, body.visual_width, tuple(reading.mean), tuple(reading.deviation), frozen=True)
        network = Network(sight, body, RECIPES[name].head(body.width, len(models), params))
    restore(network, directory / "weights.safetensors", everything=True)
    where = _machine(params)
    tokenizer = backbones.tokenizer(str(directory / "tokenizer"))
    made = Made(network.to(where.device), tokenizer, reading, content["body"], content["sources"])
    return FittedNeural(name, params, made, where, models, tuple(content["order"]), content["history"])


def make_body(kind: str, config: Any, model: Any) -> Any:
    """Return a cross-modal body; without a model, its weights are random."""
    if kind.endswith("from-scratch"):
        return BODIES[kind](config)
    return BODIES[kind](model if model is not None else backbones.from_config(config))


def _machine(params: NeuralParams) -> Machine:
    try:
        return machine(params)
    except ConfigError:
        logger.warning("a router that was fitted with device = %r runs on the CPU: torch finds no GPU", params.device)
        return machine(attrs.evolve(params, device="cpu", precision="float32"))
