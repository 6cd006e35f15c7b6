"""What the cells of a run share, and their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from vlrb import __version__
from vlrb.api.frozen import frozen
from vlrb.api.results import CellInfo
from vlrb.api.routing import Labelled
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.features import Encoded, encode, feature_folders
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.splits import Split
from vlrb.executor import Progress
from vlrb.experiment.plan import ConfiguredComponent, Plan, PlannedRouter, Point, digest_of
from vlrb.experiment.strict import unstructure
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, remove_folder

SCHEMA_VERSION = 1
DEVICE = "cpu"


@attrs.frozen(eq=False)
class RunContext:
    """Everything that the cells of a run share."""

    plan: Plan
    places: Places
    benchmark: Benchmark
    split: Split
    evaluator: Evaluator
    _encoded: dict[str, Encoded] = attrs.field(factory=dict, init=False)
    _labelled: dict[tuple[str, str | None], Labelled] = attrs.field(factory=dict, init=False)

    @cached_property
    def _routers(self) -> dict[str, PlannedRouter]:
        return {r.label: r for r in self.plan.routers}

    def chosen(self, cell: CellInfo) -> ConfiguredComponent:
        """Return a cell's router with its parameters; a cell without a point of the sweep has those of the shared fit."""
        points = self._routers[cell.label].points
        return next((p.chosen for p in points if frozen(p.swept) == cell.point), points[0].base)

    def cells(self) -> tuple[CellInfo, ...]:
        """Return a cell for every point of every router's sweep with every seed."""
        seeds = self.plan.general.seeds
        return tuple(self._cell(r, point, seed) for r in self.plan.routers for point in r.points for seed in seeds)

    def _cell(self, router: PlannedRouter, point: Point, seed: int) -> CellInfo:
        chosen = point.chosen
        return CellInfo(
            key=self._key(router, chosen, seed, point.swept),
            label=router.label,
            router=chosen.registered.id,
            parameters=unstructure(chosen.params),
            seed=seed,
            features=router.features,
            plugin=chosen.plugin.name,
            dist=f"{chosen.plugin.dist} {chosen.plugin.version}".strip(),
            sources=chosen.plugin.sources_digest("cell"),
            point=point.swept,
            fit_key=self._key(router, point.base, seed, {}) if point.base is not chosen else "",
        )

    def key_of(self, cell: CellInfo) -> str:
        """Return the key that a cell has now."""
        return self._key(self._routers[cell.label], self.chosen(cell), cell.seed, cell.point)

    def _key(self, router: PlannedRouter, chosen: ConfiguredComponent, seed: int, swept: Mapping[str, Any]) -> str:
        sets = self.plan.feature_sets
        identity = {
            "schema": SCHEMA_VERSION,
            "vlrb": [__version__, core_digest("cell")],
            "benchmark": self.benchmark.fingerprint,
            # the fingerprint holds the models' names; routers see their prices and sizes too
            "candidates": [attrs.asdict(c) for c in self.benchmark.candidates],
            "split": self.split.info.digest,
            "features": sets[router.features].identity() if router.features else None,
            "router": {**chosen.identity(), "revision": chosen.known_revision},
            "label": router.label,
            "seed": seed,
            "bounds": attrs.asdict(self.evaluator.bounds),
            "selection": self.evaluator.selection.identity(),
            "device": DEVICE,
            "point": dict(swept),
        }
        return digest_of(identity)

    def folder(self, cell: CellInfo) -> Path:
        """Return the folder of a cell in the cache."""
        return self.places.cache / "cells" / cell.key[:20]

    def work_folder(self, cell: CellInfo) -> Path:
        """Return the folder from which a killed fit resumes: the router's ``router/`` and the journal of its curve."""
        return self.places.cache / "work" / cell.key[:20]

    def ids(self, split: str) -> list[str]:
        """Return the sample ids of a split, in the order of its rows."""
        return [self.benchmark.ids[i] for i in self.split.rows(split).tolist()]

    def uses(self, cells: Sequence[CellInfo]) -> dict[str, list[str]]:
        """Return kind -> names of the entries of the cache that some cells need, and of their own."""
        sets = [self.plan.feature_sets[n] for n in {c.features for c in cells} if n]
        keys = [key[:20] for key in dict.fromkeys(k for c in cells for k in (c.key, c.fit_key) if k)]
        features = sorted({n for s in sets for n in feature_folders(s)})
        return {"benchmarks": [self.benchmark.directory.name], "features": features, "cells": keys, "work": keys}

    def forget(self, cell: CellInfo) -> None:
        """Remove a cell and its work from the cache; runs that have it keep their own copies."""
        if cell.fit_key:
            self.forget(attrs.evolve(cell, key=cell.fit_key, fit_key=""))
        with locked(self.folder(cell)):
            remove_folder(self.folder(cell))
            remove_folder(self.work_folder(cell))

    def finished(self, cell: CellInfo) -> bool:
        """Tell whether the cell's result is in the cache."""
        return mark_used(self.folder(cell)) and (self.folder(cell) / "cell.json").is_file()

    def encoded(self, name: str, progress: Progress) -> Encoded:
        """Return a feature set of all samples; the last one asked for is kept in memory."""
        if name not in self._encoded:
            self._encoded.clear()
            self._labelled.clear()
            self._encoded[name] = encode(self.plan.feature_sets[name], self.benchmark, self.places, progress)
        return self._encoded[name]

    def labelled(self, split: str, encoded: Encoded | None, name: str | None) -> Labelled:
        """Return a split's samples in the order of routers; the same object each time, so that routers may share work."""
        if (split, name) not in self._labelled:
            rows = self.benchmark.unordered(self.split.rows(split))
            features = encoded.features.take(rows) if encoded is not None else None
            self._labelled[split, name] = self.benchmark.labelled(rows, features)
        return self._labelled[split, name]
