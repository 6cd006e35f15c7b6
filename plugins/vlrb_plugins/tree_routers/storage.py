"""Fitted tree routers on disk: boosters in the library's own format, all else as JSON with a schema version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import Column, DataError, new_file, read_json, restore_value, restructure, unstructure, write_json
from vlrb_plugins.tree_routers import PARAMS
from vlrb_plugins.tree_routers.boosters import Booster, Library, library
from vlrb_plugins.tree_routers.calibration import Calibration
from vlrb_plugins.tree_routers.models import Chance, Cost
from vlrb_plugins.tree_routers.router import FittedTrees
from vlrb_plugins.tree_routers.table import Table

SCHEMA_VERSION = 1
DIGITS = 6
"""Significant digits of importances, which are to be read."""


def save(fitted: FittedTrees, directory: Path) -> None:
    """Write ``router.json``, ``importances.json`` and a file per booster."""
    suffix = fitted.library.suffix
    models = []
    for i, (chance, cost) in enumerate(zip(fitted.chances, fitted.costs, strict=True)):
        right_file = _write(chance.trees, directory, f"right-{i}.{suffix}")
        cost_file = _write(cost.trees, directory, f"cost-{i}.{suffix}")
        models.append(
            {
                "name": fitted.models[i],
                "mean": chance.mean,
                "calibration": _calibration(chance.calibration),
                "trees": right_file,
                "cost": {**attrs.asdict(cost, filter=attrs.filters.exclude("trees")), "trees": cost_file},
            }
        )
    content = {
        "schema": SCHEMA_VERSION,
        "library": fitted.library.name,
        "parameters": unstructure(fitted.params),
        "shrinkage": fitted.shrinkage,
        "lambda": unstructure(fitted.lambda_),
        "columns": [attrs.asdict(c) for c in fitted.table.columns],
        "categories": {str(j): values.tolist() for j, values in fitted.table.categories.items()},
        "models": models,
    }
    write_json(directory / "router.json", content)
    write_json(directory / "importances.json", importances(fitted))


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
    content = read_json(directory / "router.json")
    if content.get("schema") != SCHEMA_VERSION:
        what = f"has schema version {content.get('schema')!r}, not {SCHEMA_VERSION}"
        raise DataError(what, where=str(directory), fix="fit the router again")
    if content.get("library") != name:
        what = f"is a router of {content.get('library')!r}, not {name!r}"
        raise DataError(what, where=str(directory), fix=f"name a folder that {name} was saved in")
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


def _write(booster: Booster | None, directory: Path, name: str) -> str | None:
    if booster is None:
        return None
    with new_file(directory / name) as aside:
        aside.write_bytes(booster.content)
    return name


def _read(used: Library, directory: Path, name: str | None) -> Booster | None:
    if name is None:
        return None
    try:
        return used.load((directory / name).read_bytes())
    except Exception as error:  # the libraries raise errors of their own
        first = str(error).strip().splitlines()[:1]
        what = f"cannot be read: {''.join(first) or type(error).__name__}"
        raise DataError(what, where=str(directory / name), fix="fit the router again") from None


def _calibration(calibration: Calibration) -> dict[str, Any]:
    content = attrs.asdict(calibration)
    return content | {"points": None if calibration.points is None else calibration.points.tolist()}


def _calibration_of(content: dict[str, Any]) -> Calibration:
    points = content["points"]
    return Calibration(**content | {"points": None if points is None else np.array(points, dtype=np.float64)})


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
