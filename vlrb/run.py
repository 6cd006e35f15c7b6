"""Runs: an experiment's cells, its reference points, its results on disk, its observers and reports."""

from __future__ import annotations

import logging
import os
import platform
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import __version__
from vlrb.benchmark import MATRICES
from vlrb.build import build, quiet
from vlrb.cache import Places, locked, new_file, remove, write_json, write_text
from vlrb.cells import ROUTED, Bench, read_cell, run_cell
from vlrb.errors import ConfigError, DataError, ExitCode, PluginError, VlrbError, did_you_mean
from vlrb.evaluate import FAILED_METRIC, Evaluator, choice_counts, cost_bounds
from vlrb.observers import Observers
from vlrb.plan import Plan, digest_of, versions
from vlrb.plugins import blame
from vlrb.reference import SUMMARIES, reference_choices
from vlrb.resolve import plan_document
from vlrb.results import (
    adopt_cell,
    now,
    read_result,
    run_directory,
    write_plan,
    write_result,
)
from vlrb.secrets import without_secrets
from vlrb.sources import core_digest
from vlrb.split import NAMES, make_split, write_split
from vlrb.types import (
    CellInfo,
    CellResult,
    ReferenceResult,
    RunInfo,
    RunResult,
    Timing,
    Undefined,
)
from vlrb.winners import select_winners
from vlrb.workers import Progress

logger = logging.getLogger("vlrb")


@attrs.frozen(eq=False)
class Outcome:
    """What came of ``vlrb run``: the result, what observers and reports failed at, and the exit status."""

    result: RunResult
    errors: tuple[VlrbError, ...]
    already_finished: bool

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit status: failed cells weigh more than a plugin that failed, and that more than tracking."""
        if any(c.status == "failed" for c in self.result.cells):
            return ExitCode.CELLS_FAILED
        if any(isinstance(e, PluginError) for e in self.errors):
            return ExitCode.PLUGIN
        return ExitCode.TRACKING if self.errors else ExitCode.OK


def prepare(plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet) -> Bench:
    """Build the benchmark, split it, and set up the metrics.

    :raises DataError: with everything that is wrong with the logs
    """
    benchmark = build(plan, places, jobs, progress)
    split = make_split(benchmark, plan.split)
    bounds = cost_bounds(benchmark, split, plan.general.cost_bounds)
    return Bench(plan, places, benchmark, split, Evaluator(benchmark, split, bounds, plan.metrics, plan.selection()))


def execute(
    plan: Plan,
    places: Places,
    *,
    jobs: int | None = None,
    fresh: Sequence[str] | None = None,
    progress: Progress = quiet,
) -> Outcome:
    """Run an experiment, or go on with it where it stopped; an identical finished run is not run again.

    :param jobs: processes; default: one per CPU to read logs, and one cell at a time, so that cells do not slow each other
    :param fresh: labels of routers to fit again although their results are known; an empty list means all
    :raises VlrbError: for what makes the whole run impossible; a cell that fails is part of the result
    """
    if not plan.routers:
        raise ConfigError("there is no router", where=plan.document.where(("router",)), fix="add a table [[router]]")
    _check_labels(plan, fresh)
    bench = prepare(plan, places, jobs, progress)
    cells = bench.cells()
    key = _run_key(bench, cells)
    with locked(places.runs / plan.general.name / f".{key[:8]}"):
        if fresh is not None:
            for cell in cells:
                if not fresh or cell.label in fresh:
                    bench.forget(cell)
        directory = run_directory(places.runs, plan.general.name, key, fresh=fresh is not None)
        run = _run_info(bench, cells, key, directory)
        observers = Observers(plan.registry)
        known = _finished_result(run)
        if known is not None:
            errors = _write_reports(plan, known)
            _replay(known, observers)
            return Outcome(known, (*observers.errors, *errors), already_finished=True)
        write_plan(run, plan.document.text, bench.uses(cells))
        write_json(directory / "benchmark.json", without_secrets(bench.benchmark.manifest))
        write_split(bench.split, bench.benchmark, directory / "split.parquet")
        _write_evaluated(bench, directory / "evaluated.parquet")
        return _execute(bench, run, observers, jobs or 1, progress)


def _write_evaluated(bench: Bench, path: Path) -> None:
    """Write what is known of every model on all samples, so that a run directory suffices to compute every metric and test."""
    benchmark = bench.benchmark
    columns = _row_columns(bench, NAMES)
    rows = np.concatenate([bench.split.rows(n) for n in NAMES])
    columns |= {"dataset": benchmark.datasets[rows], "group": bench.split.groups[rows]}
    for name in MATRICES:
        matrix = getattr(benchmark, name)[rows]
        columns |= {f"{name}:{c.name}": matrix[:, j] for j, c in enumerate(benchmark.candidates)}
    with new_file(path) as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")


def _row_columns(bench: Bench, splits: Sequence[str]) -> dict[str, Any]:
    """Return the sample id and the split of every row of some splits, one split after the other."""
    rows = [bench.split.rows(n) for n in splits]
    names = np.repeat(np.array(splits), [r.size for r in rows])
    return {"id": [bench.benchmark.ids[i] for i in np.concatenate(rows).tolist()], "split": names}


def _check_labels(plan: Plan, fresh: Sequence[str] | None) -> None:
    labels = {r.label for r in plan.routers}
    for label in fresh or ():
        if label not in labels:
            raise ConfigError(f"there is no router {label!r}", where="--fresh", fix=did_you_mean(label, labels))


def _run_key(bench: Bench, cells: Sequence[CellInfo]) -> str:
    plan = bench.plan
    # what observers are told changes no result, so that a run may be tracked elsewhere later
    experiment = {k: v for k, v in plan.resolved().items() if k not in ("plugin", "requires")}
    return digest_of(
        {
            "vlrb": [__version__, core_digest("run")],
            "experiment": experiment,
            "benchmark": bench.benchmark.fingerprint,
            # what the fingerprint of the content leaves out, and tables show: task groups, slugs, sizes, what was left out
            "records": [bench.benchmark.manifest[k] for k in ("datasets", "models", "excluded", "synthetic")],
            "split": bench.split.digest,
            "cells": [c.key for c in cells],
            "metrics": [m.identity() for m in plan.metrics],
            "reports": [r.identity() for r in plan.reports],
        }
    )


def _run_info(bench: Bench, cells: tuple[CellInfo, ...], key: str, directory: Path) -> RunInfo:
    plan = bench.plan
    return RunInfo(
        name=plan.general.name,
        key=key,
        directory=directory,
        protocol=plan.general.protocol,
        experiment=without_secrets(plan.resolved()),
        benchmark=bench.benchmark.info(),
        split=bench.split.about,
        bounds=bench.evaluator.bounds,
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
    failed_metric = any(
        isinstance(value, Undefined) and value.reason.startswith(FAILED_METRIC)
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


def _execute(bench: Bench, run: RunInfo, observers: Observers, jobs: int, progress: Progress) -> Outcome:
    started = now()
    observers.call("vlrb_run_start", run=run)
    results: dict[str, CellResult] = {}

    def finish(cell: CellInfo, error: str, reused: bool) -> None:
        results[cell.name] = _cell_result(bench, run, cell, error, reused)
        observers.call("vlrb_cell_end", run=run, result=results[cell.name])
        progress("cells", len(results), len(run.cells))

    waiting = []
    for cell in run.cells:
        with locked(bench.folder(cell)):  # nobody may remove it while it is taken over
            if bench.finished(cell):
                remove(bench.work_folder(cell))  # a kill may have come before it was gone
                finish(cell, "", reused=True)
            else:
                waiting.append(cell)
    ready = _with_features(bench, waiting, lambda cell, error: finish(cell, error, reused=False), progress)
    runner = _one_by_one if jobs < 2 else _side_by_side
    runner(bench, run, ready, observers, jobs, lambda cell, error: finish(cell, error, reused=False), progress)
    cells = tuple(results[c.name] for c in run.cells)
    result = _result(bench, run, cells, started)
    errors = _write_reports(bench.plan, result)
    write_result(result)
    observers.call("vlrb_run_end", result=result)
    return Outcome(result, (*bench.evaluator.errors, *observers.errors, *errors), already_finished=False)


def _result(bench: Bench, run: RunInfo, cells: tuple[CellResult, ...], started: str) -> RunResult:
    selected, split = bench.evaluator.selection.spec.name, bench.plan.general.select_on
    winners = select_winners(cells, run.metrics, selected, split)
    return RunResult(
        run,
        cells,
        _references(bench, run.directory),
        started,
        now(),
        winners={label: w.point for label, w in winners.items()},
        decided_by={label: w.metric for label, w in winners.items() if w.metric != selected},
    )


def _cell_result(bench: Bench, run: RunInfo, cell: CellInfo, error: str, reused: bool) -> CellResult:
    directory = run.directory / "cells" / cell.name
    if error:
        write_text(directory / "error.txt", error + "\n")
        return CellResult(cell, "failed", False, directory, {}, error.splitlines()[0])
    adopt_cell(bench.folder(cell), directory)
    (directory / "error.txt").unlink(missing_ok=True)
    ids = {n: [bench.benchmark.ids[i] for i in bench.split.rows(n).tolist()] for n in ROUTED}
    about, routed = read_cell(directory, ids, [c.name for c in bench.benchmark.candidates])
    timing = {name: Timing(**t) for name, t in about["timing"].items()}
    return CellResult(
        cell=cell,
        status="done",
        reused=reused,
        directory=directory,
        scores={n: bench.evaluator.scores(n, routed[n].choices, timing[n], routed[n].estimate) for n in ROUTED},
        fit_seconds=about["fit_seconds"],
        timing=timing["test"],
        choices={n: choice_counts(bench.benchmark, routed[n].choices) for n in ROUTED},
        hardware=about["hardware"],
        chosen=about.get("chosen", {}),
    )


def _references(bench: Bench, directory: Path) -> tuple[ReferenceResult, ...]:
    """Evaluate the reference points, and write their choices to ``references.parquet``."""
    choices = {n: reference_choices(bench.benchmark, bench.split, bench.split.rows(n)) for n in ROUTED}
    columns = _row_columns(bench, ROUTED)
    columns |= {name: np.concatenate([choices[n][name] for n in ROUTED]) for name in SUMMARIES}
    with new_file(directory / "references.parquet") as aside:
        pq.write_table(pa.table(columns), aside, compression="zstd")
    return tuple(
        ReferenceResult(name, summary, {n: bench.evaluator.scores(n, choices[n][name]) for n in ROUTED})
        for name, summary in SUMMARIES.items()
    )


def _write_reports(plan: Plan, result: RunResult) -> list[VlrbError]:
    errors: list[VlrbError] = []
    for chosen in plan.reports:
        try:
            report = chosen.make("__call__")
            with blame(chosen.plugin, f"writing report {chosen.registered.id!r}"):
                report(result, result.run.directory / "reports")
        except VlrbError as error:
            logger.warning("%s", error)
            errors.append(error)
    return errors


# --- running cells --------------------------------------------------------------------------------------------------------

Finish = Callable[[CellInfo, str], None]


def _with_features(bench: Bench, cells: Sequence[CellInfo], finish: Finish, progress: Progress) -> list[CellInfo]:
    """Make the features that cells need, once; cells whose features cannot be made have failed. Return the others."""
    failed: dict[str, str] = {}
    for name in dict.fromkeys(c.features for c in cells if c.features):
        try:
            bench.encoded(name, progress)
        except VlrbError as error:
            failed[name] = _error_text(error)
    for cell in cells:
        if cell.features in failed:
            finish(cell, f"feature set {cell.features!r}: {failed[cell.features]}")
    return [c for c in cells if c.features not in failed]


def _error_text(error: BaseException) -> str:
    """Return an error as its message, followed by where it came from if it was not foreseen."""
    if isinstance(error, VlrbError) and error.__cause__ is None:
        return str(error)
    first = str(error) if isinstance(error, VlrbError) else f"{type(error).__name__}: {error}"
    return f"{first}\n\n{''.join(traceback.format_exception(error))}"


def _one_by_one(
    bench: Bench,
    run: RunInfo,
    cells: Sequence[CellInfo],
    observers: Observers,
    _jobs: int,
    finish: Finish,
    progress: Progress,
) -> None:
    for cell in cells:
        observers.call("vlrb_cell_start", run=run, cell=cell)

        def log(step: int, values: Mapping[str, float], cell: CellInfo = cell) -> None:
            observers.call("vlrb_cell_log", run=run, cell=cell, step=step, values=values)

        finish(cell, _attempt(bench, cell, os.cpu_count() or 1, log, progress))


def _attempt(bench: Bench, cell: CellInfo, threads: int, log: Any, progress: Progress) -> str:
    """Run a cell; return what went wrong, or an empty text."""
    try:
        run_cell(bench, cell, threads, log, progress)
    except DataError as error:
        return _error_text(bench.benchmark.naming(error))
    except (Exception, SystemExit) as error:
        return _error_text(error)
    return ""


def _side_by_side(
    bench: Bench,
    run: RunInfo,
    cells: Sequence[CellInfo],
    observers: Observers,
    jobs: int,
    finish: Finish,
    progress: Progress,
) -> None:
    """Run each cell in a spawned process of its own; what routers log comes through a pipe."""
    import multiprocessing
    from multiprocessing.connection import wait

    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    arguments = (bench.plan.document, bench.plan.options, bench.places, threads)
    waiting = list(cells)
    running: dict[Any, tuple[CellInfo, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                cell = waiting.pop(0)
                observers.call("vlrb_cell_start", run=run, cell=cell)
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_cell_process, args=(*arguments, cell, there), name=cell.name)
                process.start()
                there.close()
                running[here] = (cell, process)
            for pipe in wait(list(running)):
                cell, process = running[pipe]
                error = _receive(pipe, process, cell, run, observers, progress)
                if error is not None:
                    del running[pipe]
                    finish(cell, error)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _receive(
    pipe: Any, process: Any, cell: CellInfo, run: RunInfo, observers: Observers, progress: Progress
) -> str | None:
    """Take one message of a cell's process; return its error text (empty: none) when it has ended, else None."""
    try:
        kind, *content = pipe.recv()
    except (EOFError, OSError):
        process.join()
        code = process.exitcode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
        return str(PluginError(f"the process of {cell.name!r} died ({name}) while running router {cell.router!r}"))
    if kind == "log":
        observers.call("vlrb_cell_log", run=run, cell=cell, step=content[0], values=content[1])
    elif kind == "progress":
        progress(*content)
    else:
        process.join()
        return str(content[0])
    return None


def _cell_process(
    document: Any, options: tuple[str, ...], places: Places, threads: int, cell: CellInfo, pipe: Any
) -> None:
    """Run a cell in this process, which was started for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its processes
    places.use()
    try:
        bench = prepare(plan_document(document, options), places, jobs=1)
        if cell not in bench.cells():
            raise ConfigError(f"{cell.name!r} is no longer what it was: a file changed while the run was going on")
    except VlrbError as error:
        pipe.send(("end", _error_text(error)))
        return
    pipe.send(
        (
            "end",
            _attempt(
                bench,
                cell,
                threads,
                lambda step, values: pipe.send(("log", step, values)),
                lambda *what: pipe.send(("progress", *what)),
            ),
        )
    )
