"""A plugin for the tests of several splits: a router whose estimates differ between samples, and which writes down what it sees."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import Estimate, RouterSpec, decide, hookimpl, param


@attrs.frozen
class Params:
    """``file`` gets a line for every fit; ``fail`` is a number of train samples on which it fails."""

    file: str = param(default="")
    spread: float = param(default=0.8)
    fail: int = param(default=-1)
    lambda_: float | None = param(default=None, when="route")
    budget: float | None = param(default=None, when="route")


@attrs.frozen
class Keyed:
    params: Params

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        if len(train) == self.params.fail:
            raise ValueError("cannot learn from so many")
        if self.params.file:
            wrong = [context.dev_score(np.full(len(dev), j)) for j in range(3)]
            line = {"seed": context.seed, "train": train.queries.ids, "dev": dev.queries.ids, "dev_score": wrong}
            with Path(self.params.file).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, default=str) + "\n")
        return Fitted(self.params, context.seed, train.quality.mean(axis=0), train.cost.mean(axis=0))


@attrs.frozen
class Fitted:
    params: Params
    seed: int
    right: Any
    cost: Any

    def estimate(self, queries: Any) -> Any:
        digests = [hashlib.sha256(f"{self.seed}{text}".encode()).digest() for text in queries.texts]
        noise = np.array([[d[j] / 255 - 0.5 for j in range(len(self.cost))] for d in digests])
        p = np.clip(self.right + self.params.spread * noise, 0.01, 0.99)
        return Estimate(p.reshape(len(digests), -1), np.tile(self.cost, (len(digests), 1)))

    def route(self, queries: Any) -> Any:
        lambda_ = 0.0 if self.params.lambda_ is None and self.params.budget is None else self.params.lambda_
        return decide(self.estimate(queries), lambda_=lambda_, budget=self.params.budget)


@hookimpl
def vlrb_routers() -> Any:
    return [RouterSpec(name="keyed", summary="for tests", factory=Keyed, params=Params)]
