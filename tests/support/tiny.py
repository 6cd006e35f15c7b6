"""A plugin for the tests: a small log source with faults to order, and routers that count, sleep, log or misbehave."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
from PIL import Image

from vlrb import hookimpl
from vlrb.schemas import OUTCOMES, SAMPLES
from vlrb.specs import Dataset, EncoderSpec, LogSourceSpec, MetricSpec, Model, NoParams, RouterSpec, param
from vlrb.types import Column, Features, Listing, Part

DATASETS = (Dataset(name="TinyA", group="general"), Dataset(name="TinyB", group="stem"))
MODELS = tuple(
    Model(name=f"tiny-{n}", input_price_per_million=p, output_price_per_million=2 * p)
    for n, p in (("large", 8.0), ("middle", 2.0), ("small", 0.5))
)


@attrs.frozen
class Params:
    samples: int = param(default=60)
    images: bool = param(default=True)
    fault: str = param(default="")
    synthetic: str = param(default="made up for the tests")


def png(number: int) -> bytes:
    """Return a small image, different for every number."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), ((number * 37) % 256, (number * 91) % 256, number % 256)).save(file, "PNG")
    return file.getvalue()


@attrs.frozen
class Tiny:
    params: Params

    def list(self, catalog: Any) -> Listing:
        parts = [Part(f"samples/{d.name}", "samples", (), d.name) for d in DATASETS]
        parts += [Part(f"outcomes/{d.name}/{m.name}", "outcomes", (), d.name, m.name) for d in DATASETS for m in MODELS]
        if self.params.fault == "no-samples":
            parts = parts[1:]
        return Listing(tuple(parts), synthetic=self.params.synthetic)

    def read(self, part: Part, catalog: Any) -> Any:
        fault = self.params.fault
        if fault == "raise" and part.model == "tiny-small":
            raise RuntimeError("the reader broke")
        keys = [str(i) for i in range(self.params.samples)]
        if part.kind == "samples":
            yield pa.RecordBatch.from_pylist([self._sample(part, k) for k in keys], schema=SAMPLES)
            return
        rows = [self._outcome(part, k) for k in keys]
        if part.model == "tiny-small" and part.dataset == "TinyB":
            rows = faulty(rows, fault)
        batch = pa.RecordBatch.from_pylist(rows, schema=OUTCOMES)
        yield batch.drop_columns(["score"]) if fault == "no-score-column" else batch

    def _sample(self, part: Part, key: str) -> dict[str, Any]:
        number = int(key)
        options = [{"letter": "A", "text": "yes"}, {"letter": "B", "text": "no"}]
        files = [png(number // 2)] if self.params.images else []
        if self.params.fault == "no-image" and number == 3:
            files = [b"this is no image"]
        return {
            "dataset": part.dataset,
            "key": key,
            "question": f"question {number % 7} of {'charts' if number % 2 else 'maths'} {number}",
            "options": options,
            "hint": "",
            "answer": "A",
            "images": files,
        }

    def _outcome(self, part: Part, key: str) -> dict[str, Any]:
        rng = np.random.default_rng([len(part.model), DATASETS[0].name == part.dataset, int(key)])
        skill = {"tiny-large": 0.8, "tiny-middle": 0.6, "tiny-small": 0.4}[part.model]
        return {
            "dataset": part.dataset,
            "key": key,
            "prediction": "A",
            "score": float(rng.random() < skill),
            "input_tokens": 100 + int(key),
            "output_tokens": 10,
            "cost": None,
        }


def faulty(rows: list[dict[str, Any]], fault: str) -> list[dict[str, Any]]:
    if fault == "missing":
        return rows[2:]
    if fault == "extra":
        return [*rows, {**rows[0], "key": "9999"}]
    if fault == "twice":
        return [*rows, rows[0]]
    if fault == "empty":
        return []
    changes: dict[str, dict[str, Any]] = {
        "unknown": {"score": None},
        "score-2": {"score": 2.0},
        "no-tokens": {"output_tokens": None},
        "negative-cost": {"cost": -1.0},
        "cost": {"cost": 0.25},
    }
    return [{**row, **changes.get(fault, {})} if i < 3 else row for i, row in enumerate(rows)]


# --- routers --------------------------------------------------------------------------------------------------------------


@attrs.frozen
class CountParams:
    """``file`` gets a line for every fit; ``wait`` seconds pass in each."""

    file: str = param(default="")
    wait: float = param(default=0.0)
    choice: int = param(default=0)


@attrs.frozen
class Always:
    value: Any

    def route(self, queries: Any) -> Any:
        return self.value(len(queries)) if callable(self.value) else np.full(len(queries), self.value)


@attrs.frozen
class Counting:
    params: CountParams

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        if self.params.file:
            with Path(self.params.file).open("a", encoding="utf-8") as file:
                file.write(f"{context.seed}\n")
        time.sleep(self.params.wait)
        return Always(self.params.choice)


@attrs.frozen
class FaultParams:
    fault: str = param()


@attrs.frozen
class Scored:
    matrix: Any

    def route(self, queries: Any) -> Any:
        return np.zeros(len(queries), dtype=int)

    def scores(self, queries: Any) -> Any:
        return self.matrix(len(queries), len(queries.candidates))


@attrs.frozen
class Faulty:
    params: FaultParams

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        fault = self.params.fault
        if fault == "raise":
            raise ValueError("cannot learn this")
        if fault == "exit":
            raise SystemExit(3)
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "write":
            train.quality[0, 0] = True
        if fault == "log-nan":
            context.log(0, {"loss": float("nan")})
        returned = {
            "no-route": object(),
            "shape": Always(lambda n: np.zeros(n + 1, dtype=int)),
            "float": Always(lambda n: np.zeros(n)),
            "range": Always(3),
            "negative": Always(-1),
            "scores-shape": Scored(lambda n, k: np.zeros((n, k + 1))),
            "scores-nan": Scored(lambda n, k: np.full((n, k), np.nan)),
            "scores-argmax": Scored(lambda n, k: np.tile(np.arange(k, dtype=float), (n, 1))),
        }
        return returned.get(fault, Always(0))


@attrs.frozen
class Peeking:
    """Writes down what a router can see."""

    params: Any

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        context.log(1, {"dev": context.dev_score(np.zeros(len(dev), dtype=int)), "draw": context.rng.random()})
        context.log(2, {"names": float(len(vars(type(train.queries)).get("__slots__", ())))})
        return Always(int(context.rng.integers(3)))


# --- other components -----------------------------------------------------------------------------------------------------


@attrs.frozen
class OddEncoder:
    params: FaultParams

    def encode(self, queries: Any) -> Any:
        n = len(queries)
        if self.params.fault == "raise":
            raise RuntimeError("no memory")
        matrix = {
            "shape": np.zeros((n + 1, 2), np.float32),
            "dtype": np.zeros((n, 2)),
            "nan": np.full((n, 2), np.nan, np.float32),
        }.get(self.params.fault, np.zeros((n, 2), np.float32))
        return matrix if self.params.fault == "type" else Features(matrix, (Column("a"), Column("b")))


@hookimpl
def vlrb_datasets() -> Any:
    return DATASETS


@hookimpl
def vlrb_models() -> Any:
    return MODELS


@hookimpl
def vlrb_log_sources() -> Any:
    return [LogSourceSpec(name="tiny", summary="for tests", factory=Tiny, params=Params)]


@hookimpl
def vlrb_routers() -> Any:
    return [
        RouterSpec(name="counting", summary="for tests", factory=Counting, params=CountParams),
        RouterSpec(name="faulty", summary="for tests", factory=Faulty, params=FaultParams),
        RouterSpec(name="peeking", summary="for tests", factory=Peeking),
    ]


@hookimpl
def vlrb_encoders() -> Any:
    return [EncoderSpec(name="odd", summary="for tests", factory=OddEncoder, params=FaultParams)]


@hookimpl
def vlrb_metrics() -> Any:
    def nan(_: NoParams) -> Any:
        return lambda evaluation: float("nan")

    return [MetricSpec(name="nan", summary="for tests", factory=nan)]
