"""What the cells of a run share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.results import CellInfo
from vlrb.api.routing import Labelled
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.features import Encoded, encode, feature_folders, fused_folder
from vlrb.evaluation.inner_splits import inner_splits, refit_split
from vlrb.evaluation.metrics import EvaluatedRows, Evaluator, is_large
from vlrb.evaluation.splits import Split, Splitting
from vlrb.executor import Progress
from vlrb.experiment.plan import ConfiguredComponent, Plan, PlannedRouter, Point
from vlrb.experiment.strict import unstructure
from vlrb.locks import locked
from vlrb.running.cell_keys import cell_key
from vlrb.storage import Places, mark_used, remove_folder


@attrs.frozen(eq=False)
class RunContext:
    """Everything that the cells of a run share."""

    plan: Plan
    places: Places
    benchmark: Benchmark
    splitting: Splitting
    evaluator: Evaluator
    _made_splits: dict[str, Split] = attrs.field(factory=dict, init=False)
    _evaluated: dict[tuple[str, ...], EvaluatedRows] = attrs.field(factory=dict, init=False)
    _encoded: dict[str, Encoded] = attrs.field(factory=dict, init=False)
    _labelled: dict[tuple[str, str, str | None], Labelled] = attrs.field(factory=dict, init=False)

    @cached_property
    def _routers(self) -> dict[str, PlannedRouter]:
        return {r.label: r for r in self.plan.routers}

    def test_sets(self, train_fraction: float = 1.0) -> list[tuple[Split, ...]]:
        """Return the splits whose test rows are evaluated together: all folds, or each of several repeated splits."""
        splits = tuple(s for s in self.splitting.each if s.info.train_fraction == train_fraction)
        return [splits] if self.splitting.pooled else [(split,) for split in splits]

    def split_of(self, cell: CellInfo) -> Split:
        """Return the split of a cell, made when it is first asked for."""
        name = cell.split_name
        if name not in self._made_splits:
            outer = next(s for s in self.splitting.each if s.name == cell.outer_name)
            if cell.inner:
                folds = inner_splits(self.benchmark, outer, self.plan.selection.folds)
                self._made_splits.update({s.name: s for s in folds})
            else:
                self._made_splits[name] = refit_split(self.benchmark, outer) if cell.refit else outer
        return self._made_splits[name]

    def scored_split(self, cell: CellInfo) -> Split:
        """Return the split whose cost bounds and rows a cell is evaluated with: a refit is compared with what was chosen."""
        return self.split_of(attrs.evolve(cell, refit=False))

    def evaluated(self, splits: Sequence[Split], name: str) -> EvaluatedRows:
        """Return the rows of train, dev or test of some splits, to be evaluated together."""
        key = (name, *(s.name for s in splits))
        if key not in self._evaluated:
            rows = EvaluatedRows.of(self.benchmark, splits, name, self.plan.general.cost_bounds)
            if is_large(rows):  # those of the split before
                for other in [k for k in self._evaluated if k[1:] != key[1:]]:
                    del self._evaluated[other]
            self._evaluated[key] = rows
        return self._evaluated[key]

    def chosen(self, cell: CellInfo) -> ConfiguredComponent:
        """Return a cell's router with its parameters; a cell without a point of the sweep has those of the shared fit."""
        points = self._routers[cell.label].points
        return next((p.chosen for p in points if frozen(p.swept) == cell.point), points[0].base)

    def cells(self) -> tuple[CellInfo, ...]:
        """Return a cell for every point of every router's sweep with every seed on every split, and the inner folds' cells.

        Where there is nothing to choose, there are no inner folds.
        """
        seeds, folds = self.plan.general.seeds, self.plan.selection.inner_folds
        return tuple(
            self._cell(router, point, seed, split, inner)
            for split in self.splitting.each  # first, so that routers may share work on its samples
            for inner in range(1 + folds)
            for router in self.plan.routers
            for point in (router.points if not inner or len(router.points) > 1 else ())
            for seed in seeds
        )

    def _cell(self, router: PlannedRouter, point: Point, seed: int, split: Split, inner: int) -> CellInfo:
        chosen = point.chosen
        cell = CellInfo(
            key="",
            label=router.label,
            router=chosen.registered.id,
            parameters=unstructure(chosen.params),
            seed=seed,
            features=router.features,
            plugin=chosen.plugin.name,
            dist=f"{chosen.plugin.dist} {chosen.plugin.version}".strip(),
            sources=chosen.plugin.sources_digest("cell"),
            point=point.swept,
            split=split.info.name,
            train_fraction=split.info.train_fraction,
            inner=inner,
        )
        fit_key = self._key(cell, router, point.base, {}) if point.base is not chosen else ""
        return attrs.evolve(cell, key=self._key(cell, router, chosen, point.swept), fit_key=fit_key)

    def refit(self, cell: CellInfo) -> CellInfo:
        """Return the cell that fits a chosen point again on train and dev."""
        again = attrs.evolve(cell, refit=True, fit_key="")
        return attrs.evolve(again, key=self.key_of(again))

    def key_of(self, cell: CellInfo) -> str:
        """Return the key that a cell has now."""
        return self._key(cell, self._routers[cell.label], self.chosen(cell), cell.point)

    def _key(self, cell: CellInfo, router: PlannedRouter, chosen: ConfiguredComponent, swept: Mapping[str, Any]) -> str:
        split, bounds = self.split_of(cell), self.evaluated([self.scored_split(cell)], "dev").bounds
        return cell_key(self.plan, self.benchmark, cell, router, chosen, swept, split.info.digest, bounds)

    def folder(self, cell: CellInfo) -> Path:
        """Return the folder of a cell in the cache."""
        return self.places.cache / "cells" / cell.key[:20]

    def fit_folder(self, cell: CellInfo) -> Path:
        """Return the folder in the cache of a cell's fit, which other points of its sweep may share."""
        return self.places.cache / "cells" / (cell.fit_key or cell.key)[:20]

    def work_folder(self, cell: CellInfo) -> Path:
        """Return the folder from which a killed fit resumes: the router's ``router/`` and the journal of its curve."""
        return self.places.cache / "work" / cell.key[:20]

    def ids(self, split: Split, name: str) -> list[str]:
        """Return the sample ids of train, dev or test of a split, in the order of its rows."""
        return [self.benchmark.ids[i] for i in split.rows(name).tolist()]

    def uses(self, cells: Sequence[CellInfo]) -> dict[str, list[str]]:
        """Return kind -> names of the entries of the cache that some cells need, and of their own."""
        sets = [self.plan.feature_sets[n] for n in {c.features for c in cells} if n]
        keys = [key[:20] for key in dict.fromkeys(k for c in cells for k in (c.key, c.fit_key) if k)]
        features = sorted({n for s in sets for n in feature_folders(s)})
        fused = sorted({fused_folder(s, self.benchmark) for s in sets})
        whole = {"benchmarks": [self.benchmark.directory.name], "features": features, "fused": fused}
        return {**whole, "cells": keys, "work": keys}

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

    def encoded(self, name: str, progress: Progress, jobs: int | None = None) -> Encoded:
        """Return a feature set of all samples; the last one asked for is kept.

        :param jobs: tasks at a time, by the experiment's executor; None: what is lacking is made in this process
        """
        if name not in self._encoded:
            self._encoded.clear()
            self._labelled.clear()
            self._encoded[name] = encode(self.plan, name, self.benchmark, self.places, progress, jobs)
        return self._encoded[name]

    def labelled(self, cell: CellInfo, name: str, encoded: Encoded | None) -> Labelled:
        """Return train, dev or test of a cell in the order of routers; the same object each time, so that routers may share work.

        Only those of the last split asked for are kept.
        """
        split, key = self.split_of(cell), (cell.split_name, name, cell.features)
        if key not in self._labelled:
            for other in [k for k in self._labelled if k[0] != cell.split_name]:
                del self._labelled[other]
            rows = self.benchmark.unordered(split.rows(name))
            features = encoded.features.take(rows) if encoded is not None else None
            self._labelled[key] = self.benchmark.labelled(rows, features)
        return self._labelled[key]
