"""Cells: one router with one set of parameters and one seed, fitted, routed, checked and kept in the cache by its key."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import __version__
from vlrb.api.decide import decide
from vlrb.api.types import (
    Array,
    CellInfo,
    Estimate,
    FitContext,
    Fitted,
    Labelled,
    MetricValue,
    Timing,
    Undefined,
    WithBorrowedTime,
    WithChosen,
    WithEstimate,
    WithScores,
    sealed,
)
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import ConfigError, DataError, PluginError, Problem
from vlrb.evaluation.features import Encoded, encode, feature_folders
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.splits import Split
from vlrb.executor import Progress
from vlrb.experiment.config import unstructure
from vlrb.experiment.plan import DECISIONS, Chosen, Plan, PlannedRouter, Point, digest_of
from vlrb.faults import shorten_text
from vlrb.plugins.loading import Plugin, blame
from vlrb.plugins.returned import (
    FIX,
    check_saved,
    checked_choices,
    checked_chosen,
    checked_estimate,
    checked_scores,
    checked_seconds,
)
from vlrb.plugins.sources import KEY_OF, core_digest, core_sources
from vlrb.plugins.surroundings import restore_surroundings
from vlrb.running.curves import CURVE, Log, journaling_log, write_curve
from vlrb.storage import Places, locked, mark_used, new_directory, read_json, read_parquet, remove, write_json

logger = logging.getLogger("vlrb")

SCHEMA_VERSION = 1
DEVICE = "cpu"
ROUTED = ("dev", "test")
CHANGED = "has changed since the run began, so that the cell may be of other code than its key says: it is not kept"


@attrs.frozen(eq=False)
class Bench:
    """Everything that the cells of a run share."""

    plan: Plan
    places: Places
    benchmark: Benchmark
    split: Split
    evaluator: Evaluator
    _encoded: dict[str, Encoded] = attrs.field(factory=dict, init=False)
    _labelled: dict[tuple[str, str | None], Labelled] = attrs.field(factory=dict, init=False)

    @cached_property
    def routers(self) -> dict[str, PlannedRouter]:
        """Return the routers by label."""
        return {r.label: r for r in self.plan.routers}

    def cells(self) -> tuple[CellInfo, ...]:
        """Return the cells: every point of every router's sweep with every seed."""
        seeds = self.plan.general.seeds
        return tuple(self._cell(r, point, seed) for r in self.plan.routers for point in r.points for seed in seeds)

    @cached_property
    def chosen(self) -> dict[str, Chosen]:
        """Return the router with its parameters, by the key of each cell."""
        found = {}
        for router in self.plan.routers:
            for point in router.points:
                for seed in self.plan.general.seeds:
                    found[self._key(router, point.chosen, seed, point.swept)] = point.chosen
                    found[self._key(router, point.base, seed, {})] = point.base
        return found

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

    def _key(self, router: PlannedRouter, chosen: Chosen, seed: int, swept: Mapping[str, Any]) -> str:
        sets = self.plan.feature_sets
        identity = {
            "schema": SCHEMA_VERSION,
            "vlrb": [__version__, core_digest("cell")],
            "benchmark": self.benchmark.fingerprint,
            # the fingerprint holds the models' names; routers see their prices and sizes too
            "candidates": [attrs.asdict(c) for c in self.benchmark.candidates],
            "split": self.split.digest,
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
        """Return what lets a fit go on after a kill: ``router/``, its own, and the journal of its curve; removed in the end."""
        return self.places.cache / "work" / cell.key[:20]

    def uses(self, cells: Sequence[CellInfo]) -> dict[str, list[str]]:
        """Return kind -> names of the entries of the cache that some cells are made of, and their own."""
        sets = [self.plan.feature_sets[n] for n in dict.fromkeys(c.features for c in cells) if n]
        keys = dict.fromkeys(k for c in cells for k in (c.key, c.fit_key) if k)
        return {
            "benchmarks": [self.benchmark.directory.name],
            "features": sorted({n for s in sets for n in feature_folders(s)}),
            "cells": [key[:20] for key in keys],
            "work": [key[:20] for key in keys],
        }

    def forget(self, cell: CellInfo) -> None:
        """Remove a cell and its work from the cache; runs that have it keep their own copies."""
        if cell.fit_key:
            self.forget(attrs.evolve(cell, key=cell.fit_key, fit_key=""))
        with locked(self.folder(cell)):
            remove(self.folder(cell))
            remove(self.work_folder(cell))

    def finished(self, cell: CellInfo) -> bool:
        """Tell whether the cell's result is in the cache."""
        return mark_used(self.folder(cell)) and (self.folder(cell) / "cell.json").is_file()

    def encoded(self, name: str, progress: Progress) -> Encoded:
        """Return a feature set of all samples; the last one asked for is at hand."""
        if name not in self._encoded:
            self._encoded.clear()
            self._labelled.clear()
            self._encoded[name] = encode(self.plan.feature_sets[name], self.benchmark, self.places, progress)
        return self._encoded[name]

    def labelled(self, split: str, encoded: Encoded | None, name: str | None) -> Labelled:
        """Return a split's samples in the order in which routers see them; the same object while the features are the same,
        so that routers may share work on them."""
        if (split, name) not in self._labelled:
            rows = self.benchmark.unordered(self.split.rows(split))
            features = encoded.features.take(rows) if encoded is not None else None
            self._labelled[split, name] = self.benchmark.labelled(rows, features)
        return self._labelled[split, name]


def run_cell(bench: Bench, cell: CellInfo, threads: int, log: Log, progress: Progress) -> None:
    """Fit a router, let it route dev and test, and keep what came of it; nothing is kept of a cell that fails.

    :param threads: that BLAS and OpenMP may use
    :raises PluginError: when the router raises or returns what it must not
    :raises VlrbError: when the weights that it begins with cannot be told
    :raises ConfigError: when source files that count in its key have changed since the plan was made
    """
    import threadpoolctl

    if cell.fit_key:
        run_cell(bench, attrs.evolve(cell, key=cell.fit_key, fit_key="", point={}), threads, log, progress)
    target = bench.folder(cell)
    with locked(target):
        if bench.finished(cell):
            return
        if cell.fit_key:
            _decide_cell(bench, cell, target)
            return
        _check_sources(bench, cell)
        encoded = bench.encoded(cell.features, progress) if cell.features else None
        shared = restore_surroundings(f"{_who(bench, cell)}, {cell.name},")
        with new_directory(target) as aside, threadpoolctl.threadpool_limits(threads), shared:
            began = time.perf_counter()
            fitted = _fit(bench, cell, encoded, aside, threads, log, progress)
            fit_seconds = time.perf_counter() - began + _borrowed(bench, cell, fitted)
            timings = {name: _route(bench, cell, encoded, fitted, name, aside) for name in ROUTED}
            about = {
                "schema": SCHEMA_VERSION,
                "cell": attrs.asdict(cell),
                "fit_seconds": fit_seconds,
                "chosen": unstructure(_chosen(bench, cell, fitted)),
                "timing": {name: attrs.asdict(t) for name, t in timings.items()},
                "threads": threads,
                "hardware": _hardware_of(bench, cell, fitted),
            }
            write_json(aside / "cell.json", about)
            _check_sources(bench, cell)
        remove(bench.work_folder(cell))


def _check_sources(bench: Bench, cell: CellInfo) -> None:
    """Refuse a cell whose code may not be that of its key: modules are imported when they are first used.

    :raises ConfigError: naming the files that have changed
    """
    encoders = bench.plan.feature_sets[cell.features].encoders if cell.features else ()
    used = (bench.chosen[cell.key], bench.evaluator.selection, *encoders)
    digests = (core_sources("cell"), *(c.plugin.sources(KEY_OF[c.kind]) for c in used))
    changed = sorted({path for digest in digests for path in digest.changed()})
    if changed:
        raise ConfigError([Problem(CHANGED, path, "run again") for path in changed])


def _fit(
    bench: Bench, cell: CellInfo, encoded: Encoded | None, folder: Path, threads: int, log: Log, progress: Progress
) -> Fitted:
    chosen = bench.chosen[cell.key]
    dev_rows = bench.benchmark.unordered(bench.split.dev)
    train, dev = (bench.labelled(split, encoded, cell.features) for split in ("train", "dev"))
    work, journal = bench.work_folder(cell) / "router", bench.work_folder(cell) / "curve.jsonl"
    work.mkdir(parents=True, exist_ok=True)
    context = FitContext(
        candidates=bench.benchmark.candidates,
        bounds=bench.evaluator.bounds,
        dev_score=lambda choices: _dev_score(
            dev_rows, checked_choices(choices, len(dev), len(bench.benchmark.candidates), _who(bench, cell)), bench
        ),
        rng=np.random.default_rng(list(f"{cell.seed}:{cell.label}".encode())),
        seed=cell.seed,
        device=DEVICE,
        threads=threads,
        work_directory=work,
        progress=lambda done, total: progress(f"fitting {cell.name}", _count(done), _count(total)),
        log=journaling_log(journal, cell.name, log),
    )
    chosen.revision()  # a fit from weights that cannot be told would be kept under a key that any have
    router = chosen.make("fit")
    with blame(chosen.plugin, f"fitting {cell.label!r}"):
        fitted: Fitted = router.fit(train, dev, context)
        if not callable(getattr(fitted, "route", None)):
            raise _broken(bench, cell, f"fit returned {type(fitted).__name__}, which has no method route()")
    with blame(chosen.plugin, f"saving {cell.label!r}"):
        if callable(getattr(fitted, "save", None)):
            (folder / "router").mkdir()
            fitted.save(folder / "router")
            check_saved(folder, _who(bench, cell))
    write_curve(journal, folder)
    return fitted


def _dev_score(rows: Array, choices: Array, bench: Bench) -> MetricValue:
    """Return the selection metric, with its sign turned where smaller is better."""
    value = bench.evaluator.select(rows, choices)
    return value if isinstance(value, Undefined) or bench.evaluator.selection.spec.higher_is_better else -value


def _route(bench: Bench, cell: CellInfo, encoded: Encoded | None, fitted: Fitted, name: str, folder: Path) -> Timing:
    """Route the rows of a split, check what comes back, and write it beside the sample ids."""
    rows = bench.benchmark.unordered(bench.split.rows(name))
    queries = bench.labelled(name, encoded, cell.features).queries
    plugin = bench.routers[cell.label].chosen.plugin
    with blame(plugin, f"routing {name} with {cell.label!r}"):
        began = time.perf_counter()
        routed = fitted.route(queries)
        seconds = time.perf_counter() - began
        choices = checked_choices(routed, len(queries), len(queries.candidates), _who(bench, cell))
    seconds += _borrowed(bench, cell, fitted)
    models = [c.name for c in queries.candidates]
    columns: dict[str, Any] = {
        "id": pa.array([bench.benchmark.ids[i] for i in rows.tolist()], pa.string()),
        "choice": choices,
        "model": pa.array(np.asarray(models)[choices]),
    }
    with blame(plugin, f"scoring {name} with {cell.label!r}"):
        if isinstance(fitted, WithScores):
            scores = checked_scores(fitted.scores(queries), choices, queries, _who(bench, cell))
            columns |= _by_model("score", scores, models)
    with blame(plugin, f"estimating {name} with {cell.label!r}"):
        if isinstance(fitted, WithEstimate):
            estimate = checked_estimate(fitted.estimate(queries), queries, _who(bench, cell))
            columns |= _by_model("p_correct", estimate.p_correct, models) | _by_model("cost", estimate.cost, models)
    table = pa.table(columns).take(np.argsort(rows))
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    encode_seconds = encoded.seconds_per_sample * len(queries) if encoded is not None else 0.0
    return Timing(len(queries), seconds, encode_seconds)


def _borrowed(bench: Bench, cell: CellInfo, fitted: object) -> float:
    """Return the seconds of work done before for another router that the last fit or route made use of."""
    with blame(_plugin(bench, cell), f"telling the time that {cell.label!r} has borrowed"):
        return (
            checked_seconds(fitted.borrowed_seconds, _who(bench, cell)) if isinstance(fitted, WithBorrowedTime) else 0.0
        )


def _chosen(bench: Bench, cell: CellInfo, fitted: object) -> dict[str, Any]:
    """Return the parameters that a fit chose itself; empty where it says nothing of any."""
    with blame(_plugin(bench, cell), f"telling the parameters that {cell.label!r} chose"):
        return checked_chosen(fitted.chosen, _who(bench, cell)) if isinstance(fitted, WithChosen) else {}


def _hardware_of(bench: Bench, cell: CellInfo, fitted: object) -> str:
    with blame(_plugin(bench, cell), f"telling the device of {cell.label!r}"):
        return shorten_text(hardware(getattr(fitted, "device", None)), 500)


def _count(value: object) -> int:
    """Return a count of progress.

    :raises ValueError: for one that is not a 32-bit integer
    """
    count = int(value)  # type: ignore[call-overload]
    if not 0 <= count < 2**31:
        raise ValueError(f"progress must be integers from 0 to 2^31 - 1, not {count}")
    return int(count)


def _decide_cell(bench: Bench, cell: CellInfo, target: Path) -> None:
    """Make a cell of the estimates that another one, which shares its fit, has left in the cache."""
    base = bench.places.cache / "cells" / cell.fit_key[:20]
    about = read_json(base / "cell.json")
    models = [c.name for c in bench.benchmark.candidates]
    asked = {k: float(v) for k, v in cell.parameters.items() if k in DECISIONS and v is not None}
    with new_directory(target) as aside:
        for name in ROUTED:
            table = read_parquet(base / f"{name}.parquet")
            estimate = _estimate_of(table, models)
            if estimate is None:
                raise _broken(bench, cell, "its decision parameters are swept, but it gives no estimate")
            choices = decide(estimate, lambda_=asked.get("lambda"), budget=asked.get("budget"))
            kept = table.select([c for c in table.column_names if c.startswith(("id", "p_correct:", "cost:"))])
            kept = kept.add_column(1, "choice", pa.array(choices)).add_column(
                2, "model", pa.array(np.asarray(models)[choices])
            )
            pq.write_table(kept, aside / f"{name}.parquet", compression="zstd")
        chosen = {k: v for k, v in about["chosen"].items() if k not in asked}
        if (base / CURVE).is_file():
            shutil.copy2(base / CURVE, aside / CURVE)
        write_json(aside / "cell.json", {**about, "cell": attrs.asdict(cell), "chosen": chosen})
        _check_sources(bench, cell)


def _by_model(kind: str, matrix: Array, models: list[str]) -> dict[str, Array]:
    return {f"{kind}:{name}": np.asarray(matrix)[:, j] for j, name in enumerate(models)}


# --- whom to blame --------------------------------------------------------------------------------------------------------


def _plugin(bench: Bench, cell: CellInfo) -> Plugin:
    return bench.routers[cell.label].chosen.plugin


def _who(bench: Bench, cell: CellInfo) -> str:
    return f"router {cell.router!r} of {_plugin(bench, cell).label}"


def _broken(bench: Bench, cell: CellInfo, what: str) -> PluginError:
    return PluginError(f"{_who(bench, cell)}: {what}", fix=FIX)


# --- what is kept ---------------------------------------------------------------------------------------------------------


def hardware(device: object = None) -> str:
    """Return the machine in a few words, for throughput figures.

    :param device: what a fitted router says of where it runs: its name, or a mapping that has one
    """
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    named = device.values() if isinstance(device, Mapping) else () if device is None else (device,)
    where = ", ".join(text for value in named if value is not None and (text := str(value)))
    return f"{name}, {os.cpu_count()} CPUs, {where or DEVICE}"


@attrs.frozen(eq=False)
class Routed:
    """A router's choices int64[n] on the rows of a split, and its estimates where it gives any."""

    choices: Array
    estimate: Estimate | None


def read_cell(
    folder: Path, ids: Mapping[str, Sequence[str]], models: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Routed]]:
    """Return what is known of a finished cell, and what it gave on dev and test.

    :param ids: the sample ids of dev and test, in the order of their rows
    :param models: the candidates' names, in the order of their columns
    :raises DataError: naming a file that is missing, broken, or of other samples
    """
    about = read_json(folder / "cell.json")
    return about, {name: _read_routed(folder / f"{name}.parquet", ids[name], models) for name in ROUTED}


def _read_routed(file: Path, ids: Sequence[str], models: Sequence[str]) -> Routed:
    try:
        table = read_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), fix="run again with --fresh") from None
    lacking = sorted({"id", "choice"} - set(table.column_names))
    if lacking or table.column("id").to_pylist() != list(ids):
        what = f"has no column {lacking[0]!r}" if lacking else f"holds other samples than {file.stem}"
        raise DataError(what, where=str(file), fix="run again with --fresh")
    return Routed(table.column("choice").to_numpy(), _estimate_of(table, models))


def _estimate_of(table: pa.Table, models: Sequence[str]) -> Estimate | None:
    """Return the estimates of a cell's table, float64[n, k] each; None where it has none."""
    if f"p_correct:{models[0]}" not in table.column_names:
        return None
    p, cost = (
        sealed(np.column_stack([table.column(f"{kind}:{m}").to_numpy() for m in models]))
        for kind in ("p_correct", "cost")
    )
    return Estimate(p, cost)
