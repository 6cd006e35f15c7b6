"""What routers by neighbours have in common: which train rows they keep, what decides between equals, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import numpy as np

from vlrb import Array, DataError, FitContext, Labelled, Queries, solved_rows
from vlrb_plugins.feature_routers.deciding import each_row, settled
from vlrb_plugins.feature_routers.inputs import features_of
from vlrb_plugins.feature_routers.neighbours import Found, Index, index_of
from vlrb_plugins.feature_routers.storage import store, stored


@attrs.define(eq=False)
class FittedNeighbours:
    """An index of train rows, with what is known of the models on them [n, k] and who is right bool[n, k]; mean costs float64[k].

    ``borrowed_seconds`` is the work that other routers did and the last ``fit`` or ``route`` made use of.
    """

    router: ClassVar[str]
    known_as: ClassVar[str]
    """What is known of the models, as the file calls it."""
    params_class: ClassVar[type]

    params: Any
    index: Index
    known: Array
    quality: Array
    cost: Array
    borrowed_seconds: float = 0.0

    @staticmethod
    def learn(params: Any, train: Labelled, kept: Array) -> Array:
        """Return what is known of the models on the kept rows."""
        raise NotImplementedError

    def count(self, found: Found) -> Array:
        """Return the score that the neighbours give each model, float64[n, k]."""
        raise NotImplementedError

    @classmethod
    def fit(cls, params: Any, train: Labelled) -> Self:
        """Keep the train samples that some model answers rightly.

        :raises DataError: when there is none, or fewer than k
        """
        features, kept = features_of(train.queries, cls.router), solved_rows(train, cls.router)
        if params.k > kept.size:
            what = f"k is {params.k:,}, but only {kept.size:,} train samples have a model that is right"
            raise DataError(what, where=cls.router, fix=f"set k to at most {kept.size}")
        index, borrowed = index_of(features, kept, params.metric)
        known = cls.learn(params, train, kept)
        return cls(params, index, known, train.quality[kept], train.cost.mean(axis=0), borrowed)

    def route(self, queries: Queries) -> Array:
        """Return the model of highest score."""
        scores, self.borrowed_seconds = self._scores(queries)
        return np.asarray(scores.argmax(axis=1))

    def scores(self, queries: Queries) -> Array:
        """Return the score of each model, float64[n, k]."""
        return self._scores(queries)[0]

    def _scores(self, queries: Queries) -> tuple[Array, float]:
        features = features_of(queries, self.router, self.index.rows.shape[1])
        found, borrowed = self.index.find(features, self.params.k)
        scores = self.count(found)
        if self.params.variant == "published":
            scores = settled(scores, lambda r: self.quality[found.rows[r]].mean(axis=1), each_row(-self.cost))
        return scores, borrowed

    def save(self, directory: Path) -> None:
        """Write an npz file of plain arrays, and the parameters as JSON."""
        known = {self.known_as: self.known, "quality": self.quality, "cost": self.cost}
        store(directory, self.router, self.params, {**self.index.arrays(), **known})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Bring back what ``save`` wrote.

        :raises DataError: when it is of another router or schema version
        """
        found = stored(directory, cls.router)
        params: Any = found.parameters(cls.params_class)
        a = found.arrays
        return cls(params, Index.restored(params.metric, a), a[cls.known_as], a["quality"], a["cost"])


@attrs.frozen
class NeighbourRouter:
    """A router by neighbours: fits ``fitted``, which holds its rule."""

    fitted: type[FittedNeighbours]
    params: Any

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedNeighbours:  # noqa: ARG002
        """Keep the train samples.

        :raises DataError: when no model is right on any train sample, or on fewer samples than k
        """
        return self.fitted.fit(self.params, train)
