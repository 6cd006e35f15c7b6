"""Runs: an experiment's cells, its reference points, its results on disk, its observers and reports."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import __version__, interrupts
from vlrb.api.json_data import to_json
from vlrb.api.results import CellInfo, CellResult, ReferenceResult, RunInfo, RunResult
from vlrb.api.routing import Timing, Undefined
from vlrb.api.splits import SPLITS
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import MATRICES
from vlrb.errors import ConfigError, DataError, ExitCode, PluginError, VlrbError, did_you_mean
from vlrb.evaluation.metrics import Evaluator, choice_counts, cost_bounds
from vlrb.evaluation.reference import SUMMARIES, reference_choices
from vlrb.evaluation.splits import make_split, write_split
from vlrb.executor import (
    Progress,
    quiet,
)
from vlrb.experiment.plan import Plan, digest_of, versions
from vlrb.plugins.observers import Observers
from vlrb.plugins.sources import core_digest
from vlrb.redact import without_secrets
from vlrb.running.cell_files import ROUTED, read_cell
from vlrb.running.context import RunContext
from vlrb.running.execution import run_cells, with_features
from vlrb.running.reports import Reports
from vlrb.running.results import adopt_cell, now, read_result, run_directory, write_plan, write_result
from vlrb.running.winners import select_winners
from vlrb.storage import Places, locked, new_file, remove_folder, sweep_cache, sweep_run, write_json, write_text

logger = logging.getLogger("vlrb")


@attrs.frozen(eq=False)
class RunOutcome:
    """What came of ``vlrb run``: the result, its reports, what metrics and observers failed at, and the exit status."""

    result: RunResult
    reports: Reports
    _errors: tuple[VlrbError, ...]
    already_finished: bool

    @property
    def errors(self) -> tuple[VlrbError, ...]:
        """Return what metrics, observers and reports failed at; whatever a report fails at is its plugin's fault."""
        return (*self._errors, *(PluginError(e.problems) for e in self.reports.errors))

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit status: failed cells weigh more than a plugin that failed, and that more than tracking."""
        if any(c.status == "failed" for c in self.result.cells):
            return ExitCode.CELLS_FAILED
        if any(isinstance(e, PluginError) for e in self.errors):
            return ExitCode.PLUGIN
        return ExitCode.TRACKING if self.errors else ExitCode.OK


def prepare(plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet) -> RunContext:
    """Build the benchmark, split it, and set up the metrics.

    :raises DataError: with everything that is wrong with the logs
    """
    benchmark = build(plan, places, jobs, progress)
    split = make_split(benchmark, plan.splitter, plan.split.expect)
    bounds = cost_bounds(benchmark, split, plan.general.cost_bounds)
    return RunContext(
        plan, places, benchmark, split, Evaluator(benchmark, split, bounds, plan.metrics, plan.selection_metric())
    )


def execute(
    plan: Plan,
    places: Places,
    *,
    jobs: int | None = None,
    fresh: Sequence[str] | None = None,
    progress: Progress = quiet,
) -> RunOutcome:
    """Run an experiment, or go on with it where it stopped; an identical finished run is not run again.

    :param jobs: processes; default: one per CPU to read logs, and one cell at a time, so that cells do not slow each other
    :param fresh: labels of routers to fit again although their results are known; an empty list means all
    :raises VlrbError: for what makes the whole run impossible; a cell that fails is part of the result
    """
    if not plan.routers:
        raise ConfigError("there is no router", where=plan.document.where(("router",)), fix="add a table [[router]]")
    _check_labels(plan, fresh)
    context = prepare(plan, places, jobs, progress)
    cells = context.cells()
    key = _run_key(context, cells)
    with locked(places.runs / plan.general.name / f".{key[:8]}"):
        if fresh is not None:
            for cell in cells:
                if not fresh or cell.label in fresh:
                    context.forget(cell)
        directory = run_directory(places.runs, plan.general.name, key, fresh=fresh is not None)
        run = _run_info(context, cells, key, directory)
        observers = Observers(plan.registry)
        sweep_cache(places.cache)
        sweep_run(directory)
        known = _finished_result(run)
        if known is not None:
            reports = _write_reports(plan, known)
            with _told_of_an_end(run, observers):
                _replay(known, observers)
            return RunOutcome(known, reports, tuple(observers.errors), already_finished=True)
        write_plan(run, plan.document.text, context.uses(cells))
        write_json(directory / "benchmark.json", without_secrets(to_json(context.benchmark.manifest)))
        write_split(context.split, context.benchmark, directory / "split.parquet")
        _write_evaluated(context, directory / "evaluated.parquet")
        with _told_of_an_end(run, observers):
            return _execute(context, run, observers, jobs or 1, progress)


@contextlib.contextmanager
def _told_of_an_end(run: RunInfo, observers: Observers) -> Iterator[None]:
    """Tell the observers if a run ends before it is complete; further interrupts wait until they know."""
    try:
        yield
    except BaseException:
        with interrupts.held():
            observers.call("vlrb_run_interrupted", run=run)
        raise


def _write_evaluated(context: RunContext, path: Path) -> None:
    """Write what is known of every model on all samples, so that a run directory suffices to compute every metric and test."""
    benchmark = context.benchmark
    columns = _row_columns(context, SPLITS)
    rows = np.concatenate([context.split.rows(n) for n in SPLITS])
    columns |= {"dataset": benchmark.datasets[rows], "group": context.split.groups[rows]}
    for name in MATRICES:
        matrix = getattr(benchmark, name)[rows]
        columns |= {f"{name}:{c.name}": matrix[:, j] for j, c in enumerate(benchmark.candidates)}
    with new_file(path) as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")


def _row_columns(context: RunContext, splits: Sequence[str]) -> dict[str, Any]:
    """Return the sample id and the split of every row of some splits, one split after the other."""
    rows = [context.split.rows(n) for n in splits]
    names = np.repeat(np.array(splits), [r.size for r in rows])
    return {"id": [context.benchmark.ids[i] for i in np.concatenate(rows).tolist()], "split": names}


def _check_labels(plan: Plan, fresh: Sequence[str] | None) -> None:
    labels = {r.label for r in plan.routers}
    for label in fresh or ():
        if label not in labels:
            raise ConfigError(f"there is no router {label!r}", where="--fresh", fix=did_you_mean(label, labels))


def _run_key(context: RunContext, cells: Sequence[CellInfo]) -> str:
    plan, manifest = context.plan, context.benchmark.manifest
    # where a run is tracked and which processes do the work changes no result; reports stand below
    experiment = {k: v for k, v in plan.resolved().items() if k not in ("plugin", "requires", "report", "executor")}
    for section in ("benchmark", "split"):  # what a file expects only refuses
        experiment[section] = {k: v for k, v in experiment[section].items() if k != "expect"}
    return digest_of(
        {
            "vlrb": [__version__, core_digest("run")],
            "experiment": experiment,
            "benchmark": context.benchmark.fingerprint,
            # what the fingerprint of the content leaves out, and tables show: task groups, slugs, sizes, what was left out
            "records": to_json([manifest.datasets, manifest.models, manifest.excluded, manifest.synthetic]),
            # what tables and files say of the split, and of the groups that its digest leaves out
            "split": [to_json(context.split.info), hashlib.sha256(context.split.groups.tobytes()).hexdigest()],
            "cells": [c.key for c in cells],
            "metrics": [m.identity() for m in plan.metrics],
            "reports": [r.identity() for r in plan.reports if r.spec.on == "run"],
        }
    )


def _run_info(context: RunContext, cells: tuple[CellInfo, ...], key: str, directory: Path) -> RunInfo:
    plan = context.plan
    return RunInfo(
        name=plan.general.name,
        key=key,
        directory=directory,
        protocol=plan.general.protocol,
        experiment=without_secrets(plan.resolved()),
        benchmark=context.benchmark.info(),
        split=context.split.info,
        bounds=context.evaluator.bounds,
        metrics=plan.metric_infos(),
        cells=cells,
        settings=plan.settings,
        environment=_environment(plan),
    )


def _environment(plan: Plan) -> dict[str, str]:
    """Return what the figures were made with."""
    packages = ["numpy", "pyarrow", "scikit-learn", "scipy", "mlflow", "pluggy", "attrs"]
    packages += sorted({p for r in plan.routers for p in r.chosen.spec.requires})
    packages += sorted({p for s in plan.feature_sets.values() for e in s.encoders for p in e.spec.requires})
    plugins = {
        f"plugin {p.name}": f"{p.dist} {p.version}".strip() for p in plan.registry.plugins if p.object is not None
    }
    return {
        "vlrb": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **versions(packages),
        **plugins,
    }


def _finished_result(run: RunInfo) -> RunResult | None:
    """Return the result of this very run if it is finished and no cell failed."""
    if not (run.directory / "results.json").is_file():
        return None
    result = read_result(run.directory)
    if result.run.key != run.key:  # a folder's name holds the beginning of a key only
        return None
    failed_metric = any(
        isinstance(value, Undefined) and value.kind == "failed"
        for scores in (*(c.scores for c in result.cells), *(r.scores for r in result.references))
        for scopes in scores.values()
        for values in scopes.values()
        for value in values.values()
    )
    if failed_metric or any(c.status == "failed" for c in result.cells):
        return None
    return attrs.evolve(result, run=attrs.evolve(result.run, settings=run.settings))


def _replay(result: RunResult, observers: Observers) -> None:
    """Show a finished run to the observers, so that they complete what they lack."""
    observers.call("vlrb_run_start", run=result.run)
    for cell in result.cells:
        observers.call("vlrb_cell_end", run=result.run, result=attrs.evolve(cell, reused=True))
    observers.call("vlrb_run_end", result=result)


def _execute(context: RunContext, run: RunInfo, observers: Observers, jobs: int, progress: Progress) -> RunOutcome:
    started = now()
    observers.call("vlrb_run_start", run=run)
    results: dict[str, CellResult] = {}

    def finish(cell: CellInfo, error: str, reused: bool) -> None:
        results[cell.name] = _cell_result(context, run, cell, error, reused)
        observers.call("vlrb_cell_end", run=run, result=results[cell.name])
        progress("cells", len(results), len(run.cells))

    waiting = []
    for cell in run.cells:
        with locked(context.folder(cell)):  # nobody may remove it while it is taken over
            if context.finished(cell):
                remove_folder(context.work_folder(cell))  # a kill may have come before it was gone
                finish(cell, "", reused=True)
            else:
                waiting.append(cell)
    ready = with_features(context, waiting, lambda cell, error: finish(cell, error, reused=False), progress)
    run_cells(context, run, ready, observers, jobs, lambda cell, error: finish(cell, error, reused=False), progress)
    _check_directory(run)
    cells = tuple(results[c.name] for c in run.cells)
    result = _result(context, run, cells, started)
    reports = _write_reports(context.plan, result)
    interrupts.check()
    write_result(result)
    observers.call("vlrb_run_end", result=result)
    return RunOutcome(result, reports, (*context.evaluator.errors, *observers.errors), already_finished=False)


def _result(context: RunContext, run: RunInfo, cells: tuple[CellResult, ...], started: str) -> RunResult:
    selected, split = context.evaluator.selection.spec.name, context.plan.selection.on
    winners = select_winners(cells, run.metrics, selected, split)
    return RunResult(
        run,
        cells,
        _references(context, run.directory),
        started,
        now(),
        winners={label: w.point for label, w in winners.items()},
        decided_by={label: w.metric for label, w in winners.items() if w.metric != selected},
    )


def _check_directory(run: RunInfo) -> None:
    """Look whether a run's folder is still there: writing would make it again, without what was in it.

    :raises DataError: when it is not
    """
    if not (run.directory / "plan.json").is_file():
        raise DataError(
            "the run's folder, or what was in it, has vanished during the run",
            where=str(run.directory),
            fix="run again: what has been fitted is in the cache",
        )


def _cell_result(context: RunContext, run: RunInfo, cell: CellInfo, error: str, reused: bool) -> CellResult:
    _check_directory(run)
    directory = run.directory / "cells" / cell.name
    if error:
        write_text(directory / "error.txt", error + "\n")
        return CellResult(cell, "failed", False, directory, {}, error.splitlines()[0])
    adopt_cell(context.folder(cell), directory)
    (directory / "error.txt").unlink(missing_ok=True)
    ids = {n: [context.benchmark.ids[i] for i in context.split.rows(n).tolist()] for n in ROUTED}
    about, routed = read_cell(directory, ids, [c.name for c in context.benchmark.candidates])
    timing = {name: Timing(**t) for name, t in about["timing"].items()}
    return CellResult(
        cell=cell,
        status="done",
        reused=reused,
        directory=directory,
        scores={n: context.evaluator.scores(n, routed[n].choices, timing[n], routed[n].estimate) for n in ROUTED},
        fit_seconds=about["fit_seconds"],
        timing=timing["test"],
        choices={n: choice_counts(context.benchmark, routed[n].choices) for n in ROUTED},
        hardware=about["hardware"],
        chosen=about.get("chosen", {}),
    )


def _references(context: RunContext, directory: Path) -> tuple[ReferenceResult, ...]:
    """Evaluate the reference points, and write their choices to ``references.parquet``."""
    choices = {n: reference_choices(context.benchmark, context.split, context.split.rows(n)) for n in ROUTED}
    columns = _row_columns(context, ROUTED)
    columns |= {name: np.concatenate([choices[n][name] for n in ROUTED]) for name in SUMMARIES}
    with new_file(directory / "references.parquet") as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")
    return tuple(
        ReferenceResult(name, summary, {n: context.evaluator.scores(n, choices[n][name]) for n in ROUTED})
        for name, summary in SUMMARIES.items()
    )


def _write_reports(plan: Plan, result: RunResult) -> Reports:
    reports = Reports.on("run", plan.reports)
    reports.write(result, result.run.directory / "reports")
    return reports
