"""Running a cell: a router is fitted and routes dev and test, and its checked choices go into the cache."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api import returned, routing
from vlrb.api.components import toml_name
from vlrb.api.decide import decide
from vlrb.api.frozen import Array, frozen
from vlrb.api.results import CellInfo
from vlrb.api.returned import FIX
from vlrb.api.routing import FitContext, Fitted, MetricValue, Timing, Undefined
from vlrb.errors import PluginError
from vlrb.evaluation.features import Encoded
from vlrb.evaluation.metrics import Chosen, EvaluatedRows
from vlrb.evaluation.splits import Split
from vlrb.executor import Progress
from vlrb.experiment.plan import DECISIONS, ConfiguredComponent
from vlrb.experiment.strict import unstructure
from vlrb.locks import locked
from vlrb.plugins.blame import blame
from vlrb.plugins.sources import check_sources
from vlrb.plugins.surroundings import restore_surroundings
from vlrb.running.cell_files import CURVE, JOURNAL, ROUTED, Log, estimate_in, journaling_log, write_curve
from vlrb.running.cell_keys import DEVICE, SCHEMA_VERSION
from vlrb.running.context import RunContext
from vlrb.storage import new_directory, read_json, read_parquet, remove_folder, write_json
from vlrb.texts import shorten_text


def hardware(device: object = None) -> str:
    """Return the machine in a few words, for throughput figures.

    :param device: of a fitted router, by name or as a mapping to names
    """
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    named = device.values() if isinstance(device, Mapping) else (device,)
    where = ", ".join(text for value in named if value is not None and (text := str(value)))
    return f"{name}, {os.cpu_count()} CPUs, {where or DEVICE}"


def run_cell(context: RunContext, cell: CellInfo, threads: int, log: Log, progress: Progress) -> None:
    """Fit a router, let it route dev and test, and keep the result; a cell that fails leaves nothing.

    :param threads: that BLAS and OpenMP may use
    :raises PluginError: when the router raises, or returns something invalid
    :raises VlrbError: when the weights that it starts from cannot be identified
    :raises ConfigError: when source files that count in its key have changed since the plan was made
    """
    if cell.fit_key:
        run_cell(context, attrs.evolve(cell, key=cell.fit_key, fit_key="", point={}), threads, log, progress)
    target = context.folder(cell)
    if context.finished(cell):  # perhaps in a cache that is read-only
        return
    with locked(target):
        if context.finished(cell):
            return
        work = _CellRun(context, cell, context.chosen(cell), threads, log, progress)
        if cell.fit_key:
            work.decide(target)
        else:
            work.fit_and_route(target)
            remove_folder(context.work_folder(cell))


@attrs.frozen(eq=False)
class _CellRun:
    context: RunContext
    cell: CellInfo
    chosen: ConfiguredComponent
    threads: int
    log: Log
    progress: Progress

    @property
    def split(self) -> Split:
        return self.context.split_of(self.cell)

    @property
    def who(self) -> str:
        return f"router {self.cell.router!r} of {self.chosen.plugin.label}"

    def blamed(self, doing: str) -> AbstractContextManager[None]:
        """Blame the plugin for exceptions in a block; ``{}`` in what it is doing stands for the router's label."""
        return blame(self.chosen.plugin, doing.format(repr(self.cell.label)))

    def check_sources(self) -> None:
        """Refuse a cell whose code may not be that of its key: modules are imported when they are first used."""
        used = [self.chosen, self.context.evaluator.selection]
        if self.cell.features:
            features = self.context.plan.feature_sets[self.cell.features]
            used += [*features.encoders, features.fusion]
        check_sources("cell", [(c.plugin, c.kind) for c in used], "the cell is")

    def fit_and_route(self, target: Path) -> None:
        import threadpoolctl

        self.check_sources()
        cell = self.cell
        encoded = self.context.encoded(cell.features, self.progress) if cell.features else None
        restored = restore_surroundings(f"{self.who}, {cell.name},")
        with new_directory(target) as aside, threadpoolctl.threadpool_limits(self.threads), restored:
            began = time.perf_counter()
            fitted = self.fit(encoded, aside)
            fit_seconds = time.perf_counter() - began + (self.borrowed_seconds(fitted) or 0.0)
            timings = {name: self.route(fitted, name, encoded, aside) for name in ROUTED}
            with self.blamed("telling what {} chose, and its device"):
                chosen = (
                    returned.checked_chosen(fitted.chosen, self.who) if isinstance(fitted, routing.WithChosen) else {}
                )
                machine = shorten_text(hardware(getattr(fitted, "device", None)), 500)
            with self.blamed("telling what {} keeps for a refit"):
                kept = returned.checked_chosen(fitted.kept, self.who) if isinstance(fitted, routing.WithKept) else {}
            about = {
                "schema": SCHEMA_VERSION,
                "cell": attrs.asdict(cell),
                "fit_seconds": fit_seconds,
                "chosen": unstructure({**self.first_chosen, **chosen}),
                "kept": unstructure(kept),
                "timing": {name: attrs.asdict(t) for name, t in timings.items() if t is not None},
                "threads": self.threads,
                "hardware": machine,
            }
            write_json(aside / "cell.json", about)
            self.check_sources()

    def fit(self, encoded: Encoded | None, folder: Path) -> Fitted:
        """Fit the router, and keep what it saves and its curve."""
        train, dev = (self.context.labelled(self.cell, name, encoded) for name in ("train", "dev"))
        work = self.context.work_folder(self.cell)
        (work / "router").mkdir(parents=True, exist_ok=True)
        self.chosen.revision()  # fails where the weights cannot be identified: the key would hold for any weights
        router = self.configured.make("fit")
        with self.blamed("fitting {}"):
            fitted: Fitted = router.fit(train, dev, self.fit_context(work))
            if not callable(getattr(fitted, "route", None)):
                what = f"{self.who}: fit returned {type(fitted).__name__}, which has no method route()"
                raise PluginError(what, fix="end fit with `return self`, or return another object that has it")
        with self.blamed("saving {}"):
            if callable(getattr(fitted, "save", None)):
                (folder / "router").mkdir()
                fitted.save(folder / "router")
                returned.check_saved(folder, self.who)
        write_curve(work / JOURNAL, folder)
        return fitted

    def fit_context(self, work: Path) -> FitContext:
        cell, context = self.cell, self.context
        return FitContext(
            candidates=context.benchmark.candidates,
            bounds=self.dev.bounds,
            dev_score=self.dev_score,
            rng=np.random.default_rng(list(f"{cell.seed}:{cell.label}".encode())),
            seed=cell.seed,
            device=DEVICE,
            threads=self.threads,
            work_directory=work / "router",
            progress=lambda done, total: self.progress(f"fitting {cell.name}", _count(done), _count(total)),
            log=journaling_log(work / JOURNAL, cell.name, self.log),
            kept=frozen({k: number(v) for k, v in self.first["kept"].items()}) if cell.refit else None,
        )

    @cached_property
    def first(self) -> Mapping[str, Any]:
        """What ``cell.json`` says of the fit that a refit repeats; what a cell of a shared fit says is that of the fit."""
        cell = attrs.evolve(self.cell, refit=False)
        about: dict[str, Any] = read_json(
            self.context.folder(attrs.evolve(cell, key=self.context.key_of(cell))) / "cell.json"
        )
        return about

    @property
    def first_chosen(self) -> Mapping[str, Any]:
        """The parameters that the first fit chose; none in a first fit."""
        return {k: number(v) for k, v in self.first["chosen"].items()} if self.cell.refit else {}

    @property
    def configured(self) -> ConfiguredComponent:
        """The router; in a refit with the parameters that the first fit chose, so that nothing is chosen again."""
        fields = {toml_name(f.name): f.name for f in attrs.fields(type(self.chosen.params))}
        taken = {fields[name]: value for name, value in self.first_chosen.items() if name in fields}
        return attrs.evolve(self.chosen, params=attrs.evolve(self.chosen.params, **taken)) if taken else self.chosen

    @cached_property
    def dev(self) -> EvaluatedRows:
        """The rows of dev in the order of routers."""
        order = self.context.benchmark.places(self.split.dev)
        return self.context.evaluated([self.context.scored_split(self.cell)], "dev").take(order)

    def dev_score(self, choices: object) -> MetricValue:
        """Return the selection metric on dev, with its sign turned where smaller is better."""
        evaluator, models = self.context.evaluator, len(self.context.benchmark.candidates)
        checked = returned.checked_choices(choices, self.dev.rows.size, models, self.who)
        value = evaluator.select(evaluator.evaluation(self.dev, Chosen(checked)))
        return value if isinstance(value, Undefined) or evaluator.selection.spec.higher_is_better else -value

    def route(self, fitted: Fitted, name: str, encoded: Encoded | None, folder: Path) -> Timing | None:
        """Route the rows of a split, check the choices, and write them with the sample ids; return the time if it is known."""
        context, who = self.context, self.who
        order = context.benchmark.places(self.split.rows(name))
        queries = context.labelled(self.cell, name, encoded).queries
        models = [c.name for c in queries.candidates]
        with self.blamed(f"routing {name} with {{}}"):
            began = time.perf_counter()
            routed = fitted.route(queries)
            seconds = time.perf_counter() - began
            choices = returned.checked_choices(routed, len(queries), len(models), who)
        borrowed = self.borrowed_seconds(fitted)
        matrices: dict[str, Array] = {}
        with self.blamed(f"scoring {name} with {{}}"):
            if isinstance(fitted, routing.WithScores):
                matrices["score"] = returned.checked_scores(fitted.scores(queries), choices, queries, who)
        with self.blamed(f"estimating {name} with {{}}"):
            if isinstance(fitted, routing.WithEstimate):
                estimate = returned.checked_estimate(fitted.estimate(queries), queries, who)
                matrices |= {"p_correct": estimate.p_correct, "cost": estimate.cost}
        back = np.argsort(order)  # files have the order of the benchmark's rows
        columns = {f"{kind}:{m}": matrix[back, j] for kind, matrix in matrices.items() for j, m in enumerate(models)}
        _write_routed(folder / f"{name}.parquet", context.ids(self.split, name), choices[back], models, columns)
        encode_seconds = encoded.seconds_per_sample * len(queries) if encoded is not None else 0.0
        return None if borrowed is None else Timing(len(queries), seconds + borrowed, encode_seconds)

    def borrowed_seconds(self, fitted: object) -> float | None:
        """Return the seconds of work for another router that the last fit or route reused; None where the time is unknown."""
        with self.blamed("telling the time that {} has borrowed"):
            if isinstance(fitted, routing.WithBorrowedTime):
                return returned.checked_seconds(fitted.borrowed_seconds, self.who)
        return 0.0

    def decide(self, target: Path) -> None:
        """Make the cell from the estimates in the cell of the shared fit."""
        cell = self.cell
        base = self.context.places.cache / "cells" / cell.fit_key[:20]
        about = read_json(base / "cell.json")
        models = [c.name for c in self.context.benchmark.candidates]
        asked = {k: float(v) for k, v in cell.parameters.items() if k in DECISIONS and v is not None}
        with new_directory(target) as aside:
            for name in ROUTED:
                table = read_parquet(base / f"{name}.parquet")
                if (read := estimate_in(base / f"{name}.parquet", models)) is None:
                    raise PluginError(f"{self.who}: its decision parameters are swept without an estimate", fix=FIX)
                choices = decide(read(), lambda_=asked.get("lambda"), budget=asked.get("budget"))
                kept = {c: table.column(c) for c in table.column_names if c.startswith(("p_correct:", "cost:"))}
                _write_routed(aside / f"{name}.parquet", table.column("id"), choices, models, kept)
            chosen = {k: v for k, v in about["chosen"].items() if k not in DECISIONS}
            if (base / CURVE).is_file():
                shutil.copy2(base / CURVE, aside / CURVE)
            write_json(aside / "cell.json", {**about, "cell": attrs.asdict(cell), "chosen": chosen})
            self.check_sources()


def _write_routed(file: Path, ids: Any, choices: Array, models: list[str], columns: Mapping[str, Any]) -> None:
    table = pa.table({"id": ids, "choice": choices, "model": pa.array(np.asarray(models)[choices]), **columns})
    pq.write_table(table, file, compression="zstd")


def number(value: Any) -> Any:
    """Return a scalar of a file as it was: infinite numbers are texts there."""
    return float(value) if value in ("inf", "-inf") else value


def _count(value: Any) -> int:
    count = int(value)
    if count not in range(2**31):
        raise ValueError(f"progress must be integers from 0 to 2^31 - 1, not {count}")
    return count
