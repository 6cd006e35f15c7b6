"""Random, strongest and cheapest (VL-RouterBench's baselines), fitted on train."""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs
import numpy as np

from vlrb import Array, FitContext, Labelled, NoParams, Queries, cheapest_model, strongest_model
from vlrb_plugins.shared.fitted import read_saved, write_saved

SCHEMA_VERSION = 1


@attrs.frozen
class Constant:
    """Chooses one model, given by its column."""

    choice: int

    def route(self, queries: Queries) -> Array:
        """Return the same choice for every query."""
        return np.full(len(queries), self.choice)

    def save(self, directory: Path) -> None:
        """Write the choice as JSON."""
        write_saved(directory, SCHEMA_VERSION, {"kind": "constant", "choice": self.choice})


@attrs.frozen
class HashedChoice:
    """Chooses by a hash of seed and sample id, so that a choice does not depend on the batch it stands in."""

    seed: int
    models: int

    def route(self, queries: Queries) -> Array:
        """Return a choice per query, all models equally likely."""
        digests = (hashlib.sha256(f"{self.seed}:{i}".encode()).digest() for i in queries.ids)
        return np.array([int.from_bytes(d[:8]) % self.models for d in digests], dtype=np.int64)

    def save(self, directory: Path) -> None:
        """Write seed and number of models as JSON."""
        write_saved(directory, SCHEMA_VERSION, {"kind": "hashed", "seed": self.seed, "models": self.models})


@attrs.frozen
class Random:
    """A model drawn by a hash of the sample id."""

    params: NoParams = NoParams()

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> HashedChoice:  # noqa: ARG002
        """Learn nothing."""
        return HashedChoice(context.seed, len(context.candidates))


@attrs.frozen
class Strongest:
    """The most accurate model on train; ties as in :mod:`vlrb.evaluation.reference`."""

    params: NoParams = NoParams()

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Constant:  # noqa: ARG002
        """Find the model."""
        return Constant(strongest_model(train.quality, train.cost))


@attrs.frozen
class Cheapest:
    """The model with the smallest mean cost on train; ties as in :mod:`vlrb.evaluation.reference`."""

    params: NoParams = NoParams()

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Constant:  # noqa: ARG002
        """Find the model."""
        return Constant(cheapest_model(train.quality, train.cost))


def load(directory: Path) -> Constant | HashedChoice:
    """Bring back what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    content = read_saved(directory, SCHEMA_VERSION)
    if content["kind"] == "constant":
        return Constant(content["choice"])
    return HashedChoice(content["seed"], content["models"])
