"""Fitting a neural router."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from vlrb import Array, ConfigError, FitContext, Labelled, cache_directory, read_json, write_json
from vlrb_plugins.neural_routers import backbones, heads
from vlrb_plugins.neural_routers.bodies import Network, Sight, body_of, check_fit
from vlrb_plugins.neural_routers.device import Device, chosen_device, isolated
from vlrb_plugins.neural_routers.fitted import FittedNeural, Made, make_body
from vlrb_plugins.neural_routers.loop import Task, pretrained_of, train
from vlrb_plugins.neural_routers.objectives import Known
from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.neural_routers.pixels import Resizing
from vlrb_plugins.neural_routers.recipes import RECIPES, Recipe
from vlrb_plugins.neural_routers.samples import Reading, Samples, kept_samples, prompts
from vlrb_plugins.neural_routers.sources import revisions

logger = logging.getLogger("vlrb")


@attrs.frozen(eq=False)
class NeuralRouter:
    """The router of a name."""

    name: str
    params: NeuralParams

    @property
    def recipe(self) -> Recipe:
        """Return what distinguishes this router from the others."""
        return RECIPES[self.name]

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedNeural:
        """Train on ``train``, stop early by ``dev``; in a refit, train as many epochs as the first fit chose.

        :raises ConfigError: when bodies cannot be loaded or do not fit together, the device is not available, or memory runs out
        :raises DataError: when weights are missing or the hub cannot be reached, an image cannot be decoded, no model is right on
            any train sample, or the loss is not finite
        """
        device = chosen_device(self.params)
        logger.info("%s runs on %s", self.name, device.described())
        seed = int(context.rng.integers(2**62))
        with isolated(device, context.threads):
            return self._fitted(train, dev, context, device, seed)

    def _fitted(
        self, train_on: Labelled, dev: Labelled, context: FitContext, device: Device, seed: int
    ) -> FittedNeural:
        torch.manual_seed(seed)
        made = self._made(len(context.candidates))
        train_samples = self._samples(train_on, made, context)
        dev_samples = self._samples(dev, made, context) if context.kept is None else None

        def embed() -> tuple[Array, Array]:
            network = made.network.to(device.kind)
            return pretrained_of(network, train_samples, device, self.params.route_batch_size)

        def computed_once(name: str, compute: Callable[[], Array]) -> Array:
            return _kept(context.work_directory / f"{name}.json", compute)

        texts = prompts(train_on.queries, with_options=False)
        known = Known(train_on, texts, seed % 2**32, embed, computed_once)
        objective = self.recipe.objective(known, self.params, self.name)
        order = heads.preference(train_on)
        task = Task(
            name=self.name,
            network=made.network,
            objective=objective,
            train=train_samples,
            dev=dev_samples,
            params=self.params,
            device=device,
            seed=seed,
            context=context,
            sources=made.sources,
            order=order,
        )
        reached = train(task)
        made.network.eval()
        monitor = reached.monitor
        kept = context.kept or {"epochs": monitor.best_epoch or reached.epoch}
        history = {"best_epoch": monitor.best_epoch, "best_dev_score": monitor.best_score}
        models = tuple(c.name for c in context.candidates)
        return FittedNeural(self.name, self.params, made, device, models, tuple(order.tolist()), history, kept)

    def _samples(self, part: Labelled, made: Made, context: FitContext) -> Samples:
        folder = cache_directory() / "pixels"
        return kept_samples(part.queries, made.tokenizer, made.reading, folder, context.threads, context.progress)

    def _made(self, models: int) -> Made:
        """Load tokenizer, image encoder and body, and build the network for a number of candidate models."""
        params = self.params
        sources = revisions(params)
        tokenizer = backbones.tokenizer(params.text)
        config = backbones.config(params.cross_id, "cross")
        kind = body_of(config.model_type, params.cross_id, params.body)
        vision = backbones.vision_model(params.vision)
        reading = self._reading(vision)
        body = self._body(kind, config)
        frozen = params.freeze != "none"
        sight = Sight(vision, body.visual_width, reading.mean, reading.deviation, frozen)
        check_fit(tokenizer, body, sight, params.text_length, reading.resizing.size)
        network = Network(sight, body, self.recipe.head(body.width, models, params), params.freeze == "bodies")
        for part in [vision] * frozen + [body] * (params.freeze == "bodies"):
            part.requires_grad_(False)
        return Made(network, tokenizer, reading, kind, sources)

    def _body(self, kind: str, config: Any) -> Any:
        if not kind.endswith("from-scratch"):
            return make_body(kind, config, backbones.cross_model(self.params.cross_id))
        if self.params.freeze == "bodies":
            fix = 'set freeze = "vision"'
            raise ConfigError(f'is "bodies", and {kind} has nothing but random weights', where="freeze", fix=fix)
        return make_body(kind, config, None)

    def _reading(self, vision: Any) -> Reading:
        """Return how samples are read: as for the image encoder's own training, or as in the reference."""
        params = self.params
        if params.published:
            resizing, mean, deviation = backbones.preprocessing(params.vision)
        else:
            size = getattr(vision.config, "image_size", 224)
            size = int(size if isinstance(size, int) else size[0])  # some configurations have height and width
            edge = round(size * 256 / 224)
            resizing = Resizing(size, "crop-rounded", edge) if self.recipe.crop else Resizing(size)
            mean, deviation = self.recipe.statistics
        return Reading(
            params.text_length, params.with_options, params.most_images, resizing, mean, deviation, params.blind
        )


def _kept(file: Path, compute: Callable[[], Array]) -> Array:
    """Return an array of integers that is computed once and kept in a file."""
    if file.is_file():
        return np.array(read_json(file)["values"], dtype=np.int64)
    values = compute()
    write_json(file, {"schema": 1, "values": values.tolist()})
    return values
