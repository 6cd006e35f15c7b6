"""Fitted tree routers, and their files: boosters in the library's own format, all else as JSON with a schema version."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import (
    Array,
    Column,
    DataError,
    Estimate,
    Queries,
    Scalar,
    decide,
    new_file,
    restore_value,
    restructure,
    unstructure,
    write_json,
)
from vlrb_plugins.shared.fitted import read_saved, refuse_other_models, write_saved
from vlrb_plugins.shared.messages import first_line
from vlrb_plugins.tree_routers.boosters import Booster, Library, threads_for
from vlrb_plugins.tree_routers.calibration import Calibration
from vlrb_plugins.tree_routers.libraries import library
from vlrb_plugins.tree_routers.models import Chance, Cost
from vlrb_plugins.tree_routers.params import PARAMS, TreeParams
from vlrb_plugins.tree_routers.selection import shrunken, utilities
from vlrb_plugins.tree_routers.table import Table

SCHEMA_VERSION = 1
DIGITS = 6
"""Significant digits of importances, which are to be read."""


@attrs.frozen(eq=False)
class FittedTrees:
    """Chance and cost of every model, how far chances are shrunken, and the lambda to decide by (None: the budget decides).

    ``kept`` is what a refit needs to know; it is not saved.
    """

    params: TreeParams
    library: Library
    table: Table
    models: tuple[str, ...]
    chances: tuple[Chance, ...]
    costs: tuple[Cost, ...]
    shrinkage: float
    lambda_: float | None
    threads: int = 1
    kept: Mapping[str, Scalar] = attrs.field(factory=dict)

    @property
    def chosen(self) -> Mapping[str, float]:
        """Return the parameters that the fit chose on dev, by their names in an experiment file.

        ``lambda`` where neither lambda nor a budget was given, ``shrinkage`` where it was "auto".
        """
        found = {}
        if self.lambda_ is not None and self.params.lambda_ is None:
            found["lambda"] = self.lambda_
        if self.params.shrinkage == "auto":
            found["shrinkage"] = self.shrinkage
        return found

    def estimate(self, queries: Queries) -> Estimate:
        """Return the probability of being right and the expected cost in USD per sample, both float64[n, k].

        :raises DataError: for other features or candidates than in the fit
        """
        refuse_other_models(queries, self.models, self.library.name)
        rows, n = self.table.matrix(queries, self.library.name), len(queries)
        threads = threads_for(rows.size, self.threads)
        prepared = self.library.prepare(rows, self.table, threads) if n else None
        p = np.column_stack([c.probabilities(prepared, n, threads) if n else np.empty(0) for c in self.chances])
        cost = np.column_stack([c.predict(prepared, n, threads) if n else np.empty(0) for c in self.costs])
        means = np.array([c.mean for c in self.chances])
        return Estimate(shrunken(p, means, self.shrinkage), cost)

    def route(self, queries: Queries) -> Array:
        """Return what ``decide`` makes of the estimate, int64[n]."""
        return decide(self.estimate(queries), lambda_=self.lambda_, budget=self.params.budget)

    def scores(self, queries: Queries) -> Array:
        """Return what the decision maximises, float64[n, k]: see ``utilities``."""
        return utilities(self.estimate(queries), self.lambda_, self.params.budget)

    def save(self, directory: Path) -> None:
        """Write boosters in the library's own format, the rest as JSON, and how much each column is worth."""
        models = []
        for i, (name, chance, cost) in enumerate(zip(self.models, self.chances, self.costs, strict=True)):
            models.append(
                {
                    "name": name,
                    "mean": chance.mean,
                    "calibration": _calibration(chance.calibration),
                    "trees": self._write(chance.trees, directory, f"right-{i}"),
                    "cost": {
                        **attrs.asdict(cost, filter=attrs.filters.exclude("trees")),
                        "trees": self._write(cost.trees, directory, f"cost-{i}"),
                    },
                }
            )
        content = {
            "library": self.library.name,
            "parameters": unstructure(self.params),
            "shrinkage": self.shrinkage,
            "lambda": unstructure(self.lambda_),
            "columns": [attrs.asdict(c) for c in self.table.columns],
            "categories": {str(j): values.tolist() for j, values in self.table.categories.items()},
            "models": models,
        }
        write_saved(directory, SCHEMA_VERSION, content)
        write_json(directory / "importances.json", importances(self))

    def _write(self, booster: Booster | None, directory: Path, stem: str) -> str | None:
        if booster is None:
            return None
        name = f"{stem}.{self.library.suffix}"
        with new_file(directory / name) as aside:
            aside.write_bytes(booster.content)
        return name


def importances(fitted: FittedTrees) -> dict[str, Any]:
    """Return the share of the gain that each column has: per model, and the mean over the models that have trees.

    Columns that no tree uses are left out; the most valuable come first.
    """
    gains = {n: c.trees.gain() for n, c in zip(fitted.models, fitted.chances, strict=True) if c.trees is not None}
    shares = {name: gain / gain.sum() for name, gain in gains.items() if gain.sum() > 0}
    mean = np.mean(list(shares.values()), axis=0) if shares else np.zeros(len(fitted.table.columns))
    order = [j for j in np.argsort(-mean, kind="stable").tolist() if mean[j] > 0]
    return {
        "schema": SCHEMA_VERSION,
        "unit": "share of the gain of a model's trees",
        "columns": [
            {
                "column": fitted.table.columns[j].name,
                "mean": _rounded(mean[j]),
                "models": {name: _rounded(share[j]) for name, share in shares.items() if share[j] > 0},
            }
            for j in order
        ],
    }


def load(name: str, directory: Path) -> FittedTrees:
    """Bring back what ``save`` wrote; it predicts with one thread.

    :raises DataError: when it is of another schema version or library, or a file is missing or broken
    :raises ConfigError: when the library cannot be loaded
    """
    content = read_saved(directory, SCHEMA_VERSION, name, key="library")
    used = library(name)
    table = Table(
        tuple(Column(**c) for c in content["columns"]),
        {int(j): np.array(values, dtype=np.float64) for j, values in content["categories"].items()},
    )
    models = content["models"]
    costs = []
    for m in models:
        cost = dict(m["cost"])
        costs.append(Cost(trees=_read(used, directory, cost.pop("trees")), **cost))
    return FittedTrees(
        params=restructure(content["parameters"], PARAMS[name]),
        library=used,
        table=table,
        models=tuple(m["name"] for m in models),
        chances=tuple(
            Chance(m["mean"], _calibration_of(m["calibration"]), _read(used, directory, m["trees"])) for m in models
        ),
        costs=tuple(costs),
        shrinkage=content["shrinkage"],
        lambda_=restore_value(content["lambda"]),
    )


load_lightgbm, load_xgboost = partial(load, "lightgbm"), partial(load, "xgboost")


def _read(used: Library, directory: Path, name: str | None) -> Booster | None:
    if name is None:
        return None
    try:
        return used.load((directory / name).read_bytes())
    except Exception as error:  # the libraries raise errors of their own
        what = f"cannot be read: {first_line(error)}"
        raise DataError(what, where=str(directory / name), fix="fit the router again") from None


def _calibration(calibration: Calibration) -> dict[str, Any]:
    content = attrs.asdict(calibration)
    return content | {"points": None if calibration.points is None else calibration.points.tolist()}


def _calibration_of(content: dict[str, Any]) -> Calibration:
    points = content["points"]
    return Calibration(**content | {"points": None if points is None else np.array(points, dtype=np.float64)})


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
