"""A plugin with small made-up logs, ``use = "small"``: two datasets with images, and three models with prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.components import LogSourceSpec, RouterSpec, param
from vlrb.api.decide import decide
from vlrb.api.frozen import Array
from vlrb.api.hookspecs import hookimpl
from vlrb.api.logs import Catalog, Listing, Part
from vlrb.api.records import Dataset, Model
from vlrb.api.routing import Estimate, FitContext, Labelled, Queries
from vlrb.api.schemas import OUTCOMES, SAMPLES
from vlrb.errors import DataError
from vlrb.testing.samples import PRICES, make_labelled

DATASETS = (Dataset(name="SmallCharts", group="charts"), Dataset(name="SmallPhotos", group="photos"))
MODELS = tuple(
    Model(name=f"small-{name}", input_price_per_million=price, output_price_per_million=2 * price, parameters=size)
    for name, price, size in (("large", PRICES[0], 70.0), ("middle", PRICES[1], 7.0), ("tiny", PRICES[2], 1.0))
)


@attrs.frozen
class SmallParams:
    """Parameters of ``small``."""

    samples: int = param(default=60, help="questions of each dataset")
    seed: int = param(default=0)


@attrs.frozen
class SmallLogs:
    """Makes questions, images and answers up, the same for the same parameters."""

    params: SmallParams

    def list(self, catalog: Catalog) -> Listing:
        """List a part of samples for each dataset, and a part of outcomes for each of its models."""
        data, models = catalog.wanted_datasets, catalog.wanted_models
        datasets = [d.name for d in DATASETS if data is None or d.name in data]
        names = [m.name for m in MODELS if models is None or m.name in models]
        parts = [Part(f"samples/{d}", "samples", (), d) for d in datasets]
        parts += [Part(f"outcomes/{d}/{m}", "outcomes", (), d, m) for d in datasets for m in names]
        return Listing(tuple(parts), synthetic="made up for tests of plugins")

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Yield the rows of a part as one batch."""
        place = [d.name for d in DATASETS].index(part.dataset)
        made = make_labelled(self.params.samples, seed=2 * self.params.seed + place)
        samples = part.kind == "samples"
        rows = _samples(made) if samples else _outcomes(made, part.model)
        rows = [{"dataset": part.dataset, "key": str(i), **row} for i, row in enumerate(rows)]
        yield pa.RecordBatch.from_pylist(rows, schema=SAMPLES if samples else OUTCOMES)


def _samples(made: Labelled) -> list[dict[str, Any]]:
    queries = made.queries
    return [
        {
            "question": text,
            "options": [{"letter": letter, "text": shown} for letter, shown in options],
            "hint": "",
            "answer": "A",
            "images": list(queries.images.encoded(i)),
        }
        for i, (text, options) in enumerate(zip(queries.texts, queries.options, strict=True))
    ]


def _outcomes(made: Labelled, model: str) -> list[dict[str, Any]]:
    column = [m.name for m in MODELS].index(model)
    tokens = np.random.default_rng(column).integers(5, 50, len(made)).tolist()
    right = made.quality[:, column].tolist()
    return [
        {
            "prediction": "A" if r else "B",
            "score": float(r),
            "input_tokens": 200 + 10 * i,
            "output_tokens": t,
            "cost": None,
        }
        for i, (r, t) in enumerate(zip(right, tokens, strict=True))
    ]


@attrs.frozen
class ByWordParams:
    """Parameters of ``by-word``."""

    lambda_: float = param(default=0.0, when="route", help="weight of the cost")
    fault: bool = param(default=False, help="whether the fit fails")


@attrs.frozen(eq=False)
class FittedByWord:
    """Estimates by the first word of a question."""

    params: ByWordParams
    known: Mapping[str, Array]
    mean: Array
    cost: Array

    def estimate(self, queries: Queries) -> Estimate:
        """Return how often each model was right on questions with this first word, and its mean cost."""
        right = np.array([self.known.get(_word(t), self.mean) for t in queries.texts]).reshape(-1, len(self.mean))
        return Estimate(right, np.tile(self.cost, (len(queries), 1)))

    def route(self, queries: Queries) -> Array:
        """Return the best expected utility."""
        return decide(self.estimate(queries), lambda_=self.params.lambda_)


@attrs.frozen
class ByWord:
    """Learns which model is right on questions with which first word."""

    params: ByWordParams

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> FittedByWord:  # noqa: ARG002
        """Count.

        :raises DataError: when the parameters say so
        """
        if self.params.fault:
            raise DataError("the fit fails, as it was asked to", where="fault", fix="set fault = false")
        words = np.array([_word(t) for t in train.queries.texts], dtype=np.str_)
        known = {w: train.quality[words == w].mean(axis=0) for w in np.unique(words).tolist()}
        return FittedByWord(self.params, known, train.quality.mean(axis=0), train.cost.mean(axis=0))


def _word(text: str) -> str:
    return text.partition(" ")[0]


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the router of the runs that reports are tried on."""
    return [RouterSpec(name="by-word", summary="for tests of plugins", factory=ByWord, params=ByWordParams)]


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the source of the logs."""
    return [LogSourceSpec(name="small", summary="made up for tests of plugins", factory=SmallLogs, params=SmallParams)]


@hookimpl
def vlrb_datasets() -> tuple[Dataset, ...]:
    """Return the datasets."""
    return DATASETS


@hookimpl
def vlrb_models() -> tuple[Model, ...]:
    """Return the models."""
    return MODELS
