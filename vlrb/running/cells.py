"""Cells: one router with one set of parameters and one seed, fitted, routed, checked and kept in the cache by its key."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.decide import decide
from vlrb.api.frozen import Array
from vlrb.api.results import CellInfo
from vlrb.api.returned import (
    FIX,
    check_saved,
    checked_choices,
    checked_chosen,
    checked_estimate,
    checked_scores,
    checked_seconds,
)
from vlrb.api.routing import (
    FitContext,
    Fitted,
    MetricValue,
    Timing,
    Undefined,
    WithBorrowedTime,
    WithChosen,
    WithEstimate,
    WithScores,
)
from vlrb.errors import ConfigError, PluginError, Problem
from vlrb.evaluation.features import Encoded
from vlrb.executor import Progress
from vlrb.experiment.plan import DECISIONS
from vlrb.experiment.strict import unstructure
from vlrb.faults import shorten_text
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.sources import KEY_OF, core_sources
from vlrb.plugins.surroundings import restore_surroundings
from vlrb.running.cell_files import ROUTED, estimate_of, hardware
from vlrb.running.context import DEVICE, SCHEMA_VERSION, Bench
from vlrb.running.curves import CURVE, Log, journaling_log, write_curve
from vlrb.storage import locked, new_directory, read_json, read_parquet, remove_folder, write_json

CHANGED = "has changed since the run began, so that the cell may be of other code than its key says: it is not kept"


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
        remove_folder(bench.work_folder(cell))


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
            estimate = estimate_of(table, models)
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


def _plugin(bench: Bench, cell: CellInfo) -> Plugin:
    return bench.routers[cell.label].chosen.plugin


def _who(bench: Bench, cell: CellInfo) -> str:
    return f"router {cell.router!r} of {_plugin(bench, cell).label}"


def _broken(bench: Bench, cell: CellInfo, what: str) -> PluginError:
    return PluginError(f"{_who(bench, cell)}: {what}", fix=FIX)
