"""Runs: an experiment's cells, its reference points, its results on disk, its observers and reports."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from vlrb import __version__, interrupts
from vlrb.api.json_data import to_json
from vlrb.api.results import CellInfo, CellResult, ReferenceResult, RouterResult, RunInfo, RunResult
from vlrb.api.routing import Undefined
from vlrb.api.statistics import Statistics
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import ConfigError, ExitCode, PluginError, VlrbError, did_you_mean
from vlrb.evaluation.drawn_values import OfDraws
from vlrb.evaluation.metrics import Evaluator, cost_bounds
from vlrb.evaluation.splits import limited_benchmark, make_splits
from vlrb.executor import Failure, Progress, quiet, stage
from vlrb.experiment.plan import Plan, digest_of, versions
from vlrb.locks import locked, sweep_cache
from vlrb.plugins.observers import Observers
from vlrb.plugins.sources import core_digest
from vlrb.redact import without_secrets
from vlrb.running import results
from vlrb.running.context import RunContext
from vlrb.running.drawing import SharedDraws
from vlrb.running.execution import CellsInProgress
from vlrb.running.finished import FinishedRun
from vlrb.running.reports import Reports
from vlrb.running.routers import reference_choices_of, reference_results, router_results
from vlrb.running.selection import Selected, is_chosen, select_points
from vlrb.running.statistics import run_statistics, with_intervals_of_curves
from vlrb.storage import Places, sweep_run

TRACKING = "tracking"
"""What observers do, as progress calls it."""


@attrs.frozen(eq=False)
class RunOutcome:
    """The outcome of ``vlrb run``: the result, its reports, the errors of metrics and observers, and the exit status."""

    finished: FinishedRun
    reports: Reports
    _errors: tuple[VlrbError, ...]
    already_finished: bool

    @property
    def result(self) -> RunResult:
        """Return the run's result."""
        return self.finished.result

    @property
    def errors(self) -> tuple[VlrbError, ...]:
        """Return the errors of metrics, observers and reports; those of reports are their plugins' fault."""
        return (*self._errors, *(PluginError(e.problems) for e in self.reports.errors))

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit status: failed cells weigh more than a plugin that failed, and that more than tracking."""
        if any(c.status == "failed" for c in self.result.cells):
            return ExitCode.CELLS_FAILED
        if any(isinstance(e, PluginError) for e in self.errors):
            return ExitCode.PLUGIN
        return ExitCode.TRACKING if self.errors else ExitCode.OK


def prepare(
    plan: Plan,
    places: Places,
    jobs: int | None = None,
    progress: Progress = quiet,
    benchmark: Benchmark | None = None,
) -> RunContext:
    """Build the benchmark unless it is given, split it, and set up the metrics.

    :raises DataError: with everything that is wrong with the logs
    """
    benchmark = build(plan, places, jobs, progress) if benchmark is None else benchmark
    with stage(progress, "splitting"):
        limited, section = limited_benchmark(benchmark, plan.limit), plan.split
        if limited is benchmark:  # it has no more samples than that
            plan = attrs.evolve(plan, limit=0)
        else:
            section = attrs.evolve(section, expect="")  # what is expected is the split of all samples
        benchmark = limited
        splitting = make_splits(benchmark, plan.splitter, section)
        evaluator = Evaluator(benchmark, plan.metrics, plan.selection_metric(), plan.statistics.by)
    return RunContext(plan, places, benchmark, splitting, evaluator)


def execute(
    plan: Plan,
    places: Places,
    *,
    jobs: int | None = None,
    fresh: Sequence[str] | None = None,
    progress: Progress = quiet,
    failed: Callable[[str, Failure], None] = quiet,
    benchmark: Benchmark | None = None,
) -> RunOutcome:
    """Run an experiment, or resume it; an identical finished run is not run again.

    :param jobs: processes; default: one per CPU to read logs, and one cell at a time, so that cells do not slow each other
    :param fresh: labels of routers to fit again although their results are known; an empty list means all
    :param failed: called with the name of a cell or feature set that has failed, at once
    :param benchmark: in place of the one that the experiment's logs make
    :raises VlrbError: for what makes the whole run impossible; a cell that fails is part of the result
    """
    _check_routers(plan, fresh or ())
    context = prepare(plan, places, jobs, progress, benchmark)
    with stage(progress, "planning cells"):
        cells = context.cells()
        key = _run_key(context, cells)
    with locked(places.runs / plan.general.name / f".{key[:8]}"):
        again = [context.refit(c) for c in cells if not c.inner] if plan.selection.refit else []
        if fresh is not None:
            _forget(context, [*cells, *again], fresh)
        directory = results.run_directory(places.runs, plan.general.name, key, fresh=fresh is not None)
        run = _run_info(context, cells, key, directory)
        observers = Observers(plan.registry)
        sweep_cache(places.cache)
        sweep_run(directory)
        known = _finished_result(run)
        if known is None:
            results.write_plan(run, plan.document.text, context.uses([*cells, *again]))
            results.write_benchmark(context, directory)
        try:
            return (
                _replay(plan, places, known, observers, progress)
                if known
                else _run_cells(context, run, observers, jobs or 1, progress, failed)
            )
        except BaseException:
            with interrupts.held():  # further interrupts wait until the observers know
                observers.call("vlrb_run_interrupted", run=run)
            raise


def _forget(context: RunContext, cells: Sequence[CellInfo], fresh: Sequence[str]) -> None:
    """Remove from the cache the cells of some routers, or all."""
    for cell in cells:
        if not fresh or cell.label in fresh:
            context.forget(cell)


def _check_routers(plan: Plan, fresh: Sequence[str]) -> None:
    if not plan.routers:
        raise ConfigError("there is no router", where=plan.document.where(("router",)), fix="add a table [[router]]")
    labels = {r.label for r in plan.routers}
    for label in fresh:
        if label not in labels:
            raise ConfigError(f"there is no router {label!r}", where="--fresh", fix=did_you_mean(label, labels))


def _run_key(context: RunContext, cells: Sequence[CellInfo]) -> str:
    plan, manifest = context.plan, context.benchmark.manifest
    # where a run is tracked, which processes do the work and which plugins may load changes no result; reports stand below
    aside = ("plugin", "requires", "only_plugins", "report", "executor")
    experiment = {k: v for k, v in plan.resolved().items() if k not in aside}
    for section in ("benchmark", "split"):  # what a file expects only refuses
        experiment[section] = {k: v for k, v in experiment[section].items() if k != "expect"}
    parts = {
        "vlrb": [__version__, core_digest("run")],
        "experiment": experiment,
        "benchmark": context.benchmark.fingerprint,
        # what the fingerprint of the content leaves out, and tables show: task groups, slugs, sizes, what was left out
        "records": to_json(
            [manifest.datasets, manifest.models, manifest.task_groups, manifest.excluded, manifest.synthetic]
        ),
        # what tables and files say of the split, and of the groups that its digest leaves out
        "split": [to_json(context.splitting.info), hashlib.sha256(context.splitting.groups.tobytes()).hexdigest()],
        "cells": [c.key for c in cells],
        "metrics": [m.identity() for m in plan.metrics],
        "reports": [r.identity() for r in plan.reports if r.spec.on == "run"],
    }
    return digest_of(parts)


def _run_info(context: RunContext, cells: tuple[CellInfo, ...], key: str, directory: Path) -> RunInfo:
    plan = context.plan
    used = [r.chosen for r in plan.routers] + [e for s in plan.feature_sets.values() for e in s.encoders]
    packages = ["numpy", "pyarrow", "scikit-learn", "scipy", "mlflow", "pluggy", "attrs"]
    packages += sorted({p for c in used for p in c.spec.requires})
    loaded = [p for p in plan.registry.plugins if p.object is not None]
    environment = {
        "vlrb": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **versions(packages),
        **{f"plugin {p.name}": f"{p.dist} {p.version}".strip() for p in loaded},
    }
    return RunInfo(
        name=plan.general.name,
        key=key,
        directory=directory,
        protocol=plan.general.protocol,
        experiment=without_secrets(plan.resolved()),
        benchmark=context.benchmark.info(),
        split=context.splitting.info,
        bounds=cost_bounds(context.benchmark, [s.train for s in context.splitting.splits], plan.general.cost_bounds),
        metrics=plan.metric_infos(),
        cells=cells,
        settings=plan.settings,
        environment=environment,
    )


def _finished_result(run: RunInfo) -> RunResult | None:
    """Return the result of this very run if it is finished and no cell or metric failed."""
    if not (run.directory / "results.json").is_file():
        return None
    result = results.read_result(run.directory)
    scores = [s for c in result.cells for s in c.scores.values()] + [r.test.scores for r in result.references]
    intervals = [row.intervals for row in result.statistics.rows.values()]
    values = [v for scopes in (*scores, *intervals) for metrics in scopes.values() for v in metrics.values()]
    failed = any(isinstance(v, Undefined) and v.kind == "failed" for v in values)
    # a folder's name holds the beginning of a key only
    if result.run.key != run.key or failed or any(c.status == "failed" for c in result.cells):
        return None
    return attrs.evolve(result, run=attrs.evolve(result.run, settings=run.settings))


def _replay(plan: Plan, places: Places, result: RunResult, observers: Observers, progress: Progress) -> RunOutcome:
    """Show a finished run to the observers, so that they complete what they lack."""
    with stage(progress, TRACKING):
        observers.call("vlrb_run_start", run=result.run)
        for cell in result.cells:
            observers.call("vlrb_cell_end", run=result.run, result=attrs.evolve(cell, reused=True))
    finished = FinishedRun(result, places.cache, plan.registry)
    reports = _write_reports(plan, finished, progress)
    with stage(progress, TRACKING):
        observers.call("vlrb_run_end", result=result)
    return RunOutcome(finished, reports, tuple(observers.errors), already_finished=True)


def _run_cells(
    context: RunContext,
    run: RunInfo,
    observers: Observers,
    jobs: int,
    progress: Progress,
    failed: Callable[[str, Failure], None],
) -> RunOutcome:
    started = _now()
    with stage(progress, TRACKING):
        observers.call("vlrb_run_start", run=run)
    in_progress = CellsInProgress(context, run, observers, progress, failed)
    cells = in_progress.finish(run.cells, jobs)
    selected = select_points(context, cells)
    if context.plan.selection.refit:
        again = [context.refit(c.cell) for c in cells if c.status == "done" and is_chosen(c.cell, selected)]
        cells += in_progress.finish(again, jobs)
    results.check_directory(run.directory)
    with stage(progress, "statistics"):
        routers, references, found = _compared(
            context, cells, selected, run.directory, SharedDraws(context, jobs, progress)
        )
    result = RunResult(run, cells, routers, references, found, started, _now())
    finished = FinishedRun(result, context.places.cache, context.plan.registry)
    reports = _write_reports(context.plan, finished, progress)
    interrupts.check()
    results.write_result(result)
    with stage(progress, TRACKING):
        observers.call("vlrb_run_end", result=result)
    return RunOutcome(finished, reports, (*context.evaluator.errors, *observers.errors), already_finished=False)


def _compared(
    context: RunContext,
    cells: Sequence[CellResult],
    selected: Mapping[str, Mapping[str, Selected]],
    directory: Path,
    of_draws: OfDraws,
) -> tuple[tuple[RouterResult, ...], tuple[ReferenceResult, ...], Statistics]:
    """Return the results of routers and reference points, and their statistics; write what the latter chose."""
    choices = reference_choices_of(context)
    results.write_references(context, choices, directory)
    routers, seen, curves = router_results(context, cells, selected)
    references, seen_references = reference_results(context, choices["test"])
    found = run_statistics(context, {**seen, **seen_references}, tuple(seen), of_draws)
    return with_intervals_of_curves(context, routers, curves, found, of_draws), references, found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_reports(plan: Plan, finished: FinishedRun, progress: Progress) -> Reports:
    reports = Reports.on("run", plan.reports)
    with stage(progress, "writing reports"):
        reports.write(finished, finished.directory / "reports")
    return reports
