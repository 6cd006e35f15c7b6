"""The commands that work with experiments: ``run``, ``check``, ``build``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from vlrb.cli.completion import complete_label
from vlrb.cli.debugging import check_debugger, failure_shown
from vlrb.cli.output import (
    echo,
    echo_json,
    exit_status,
    passed_over,
    prints_to_stderr,
    progress_bars,
    relative_path,
    show_reports,
)
from vlrb.cli.root import Given, as_json, vlrb
from vlrb.errors import ExitCode, PluginError
from vlrb.executor import quiet, stage

if TYPE_CHECKING:
    from vlrb.experiment.plan import ConfiguredComponent
    from vlrb.running.run import RunOutcome

PATH = click.Path(path_type=Path)

jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="Processes. Default: one per CPU to read logs, and one router at a time, so that their timings hold.",
)  # fmt: skip


@vlrb.command()
@click.argument("file", required=False, metavar="FILE", type=PATH)
@jobs_option
@click.option(
    "--fresh", is_flag=False, flag_value="", multiple=True, metavar="[LABEL]", shell_complete=complete_label,
    help="Fit routers again although their results are known: all, or the one with this label (may be repeated).",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="LABEL", shell_complete=complete_label,
    help="Run the router with this label (may be repeated) as if the file had no others.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N",
    help="A first try on about N samples: whole groups, of each dataset the same share, always the same ones.",
)  # fmt: skip
@click.option(
    "--shard", metavar="I/N",
    help="Do what no other of N processes that share the cache is doing; auto: as the launcher (Slurm ...) numbers them. "
    "Only the cache is written: a run without --shard joins, reports and tracks.",
)  # fmt: skip
@click.option("--debug", is_flag=True, help="Print the traceback of a router that fails, as soon as it does.")
@click.option("--pdb", is_flag=True, help="Start Python's debugger where a router fails, and go on when it is left.")
@as_json
@click.pass_obj
def run(
    given: Given, file: Path | None, jobs: int | None, fresh: tuple[str, ...], only: tuple[str, ...], limit: int | None,
    shard: str | None, debug: bool, pdb: bool, as_json: bool,
) -> int:  # fmt: skip
    """Run an experiment: build, split, fit, evaluate, report and track.

    A run that was stopped is resumed; an identical finished run prints its result. Runs with --only or --limit are runs of
    their own, and every table of theirs says so; fitted routers and features are shared where they are the same.
    """
    if file is None and fresh and fresh[-1].endswith(".toml"):  # --fresh FILE: the option has taken the argument
        file, fresh = Path(fresh[-1]), (*fresh[:-1], "")
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.", click.get_current_context())
    labels = [f for f in fresh if f] if fresh else None
    if shard is not None:
        if fresh or pdb or jobs:
            raise click.UsageError("--shard goes with none of --fresh, --jobs and --pdb", click.get_current_context())
        return _run_shard(given, file, shard, debug, as_json, only=only, limit=limit or 0)
    if pdb:
        check_debugger(jobs)
    given.places.check()
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.running.run import execute

            plan = given.plan(file, weights=True, only=only, limit=limit or 0)
        failed = failure_shown(progress.paused, debugger=pdb) if debug or pdb else quiet
        outcome = execute(plan, given.places, jobs=jobs, fresh=labels, progress=progress, failed=failed)
    _show_outcome(outcome, as_json)
    return exit_status(outcome)


def _run_shard(given: Given, file: Path, shard: str, debug: bool, as_json: bool, **more: Any) -> int:
    from vlrb.cli.shard import shard_of, show_shard

    numbers = shard_of(shard, os.environ)
    given.places.check()
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.experiment.resolve import SHARDS
            from vlrb.running.shards import execute_shard

            plan = given.plan(file, weights=True, executor={"use": SHARDS, **numbers}, **more)
        failed = failure_shown(progress.paused, debugger=False) if debug else quiet
        outcome = execute_shard(plan, given.places, progress=progress, failed=failed)
    show_shard(numbers, outcome, file, as_json)
    return outcome.exit_code


def _show_outcome(outcome: RunOutcome, as_json: bool) -> None:
    """Print a run's results, and which cells failed."""
    from vlrb.running.results import result_to_json

    result = outcome.result
    if as_json:
        echo_json({**result_to_json(result), "run_directory": str(result.run.directory)})
    else:
        show_reports(outcome.reports, outcome.finished)
        if outcome.already_finished:
            echo("finished before; --fresh runs it again")
        if (page := outcome.reports.written(".html")) is not None:
            echo(f"page: {relative_path(page)}")
        echo(f"results: {relative_path(result.run.directory)}")
    for cell in result.cells:
        if cell.status == "failed":
            echo(f"error: {cell.cell.name} failed: {cell.error}", err=True)
            echo(f"    see {relative_path(cell.directory / 'error.txt')}", err=True)


@vlrb.command()
@click.argument("file", type=PATH)
@as_json
@click.pass_obj
def check(given: Given, file: Path, as_json: bool) -> int:
    """Check an experiment file, the names of its logs, the weights that it needs and where it is tracked; run nothing."""
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.benchmark.checks import unused_tables
            from vlrb.benchmark.read import PartBuilder
            from vlrb.plugins.observers import Observers
            from vlrb.redact import without_secrets

            plan = given.plan(file, weights=True)
        with stage(progress, "listing logs"):
            builder = PartBuilder(plan, given.places)
            listing = builder.list()
            builder.keys(listing)  # a file that cannot be read is refused now
        observers = Observers(plan.registry)
        observers.call("vlrb_check", settings=plan.settings)
    datasets, models = ({getattr(p, kind) for p in listing.parts} - {""} for kind in ("dataset", "model"))
    # their names are known only once they are read
    several = sum(not p.dataset or (p.kind == "outcomes" and not p.model) for p in listing.parts)
    unused = [] if several else unused_tables(plan, datasets, models)
    inner = plan.selection.inner_folds
    points = [len(r.points) * (1 + inner if len(r.points) > 1 else 1) for r in plan.routers]
    cells = sum(points) * len(plan.general.seeds)  # on each split: how many there are is known once the logs are read
    if as_json:
        found = {"datasets": sorted(datasets), "models": sorted(models), "parts_of_several": several, "cells": cells}
        found |= {"synthetic": listing.synthetic, "ignored_files": dict(listing.ignored)}
        found |= {"warnings": [*unused, *map(str, observers.errors)], "experiment": without_secrets(plan.resolved())}
        echo_json(found)
    else:
        counts = {"dataset{}": len(datasets), "model{}": len(models), "file{} of several datasets or models": several}
        counts = {word: n for word, n in counts.items() if n}
        counts |= {"cell{} on each split": cells, "router{}": len(plan.routers)}
        echo(f"{file}: OK (names checked; `vlrb build` reads the contents)")
        echo("  " + ", ".join(f"{n} {word.format('s' * (n != 1))}" for word, n in counts.items()))
        notes = [] if plan.routers else ["there is no [[router]]: enough for `vlrb build`, not for `vlrb run`"]
        notes += [f"warning: {warning}" for warning in unused]
        for line in (*passed_over(listing.ignored), *notes, *filter(None, [listing.synthetic])):
            echo(f"  {line}")
    return ExitCode.PLUGIN if any(isinstance(e, PluginError) for e in observers.errors) else ExitCode.OK


@vlrb.command()
@click.argument("file", type=PATH)
@jobs_option
@click.option("--no-review", is_flag=True, help="Do not compare the logs' verdicts with our own scoring.")
@click.option(
    "--report", "report_to", type=PATH, metavar="DIR",
    help="Folder for data_report.json and data_report.html (default: the benchmark's folder).",
)  # fmt: skip
@click.option(
    "--export", nargs=2, type=(str, PATH), metavar="FORM DIR",
    help="Also write the benchmark into a new folder: as records, a log source's tables, or as queries, for routers from outside.",
)  # fmt: skip
@as_json
@click.pass_obj
def build(
    given: Given, file: Path, jobs: int | None, no_review: bool, report_to: Path | None, export: Any, as_json: bool
) -> int:
    """Build an experiment's benchmark and report on its data."""
    given.places.check()
    exported: list[str] = []
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.api.returned import checked_files
            from vlrb.benchmark.build import build as build_benchmark
            from vlrb.evaluation.built import BuiltBenchmark, find_export
            from vlrb.plugins.blame import blame
            from vlrb.running.reports import Reports
            from vlrb.storage import read_json

            plan = given.plan(file)
        form = find_export(plan, *export) if export else None
        benchmark = build_benchmark(plan, given.places, jobs, progress)
        built = BuiltBenchmark(benchmark, plan, given.places, jobs, progress)
        reports = Reports.on("benchmark", map(_without_review, plan.reports) if no_review else plan.reports)
        written = reports.write(built, report_to or benchmark.directory)
        if form and export:
            with blame(form.plugin, f"exporting to {export[1]}"):
                files = form.make("__call__")(built, export[1])
                exported = [str(f) for f in checked_files(files, f"report {form.registered.id!r}")]
    if as_json:
        files = [f for those in written.values() for f in those]
        document = {k: v for f in files if f.suffix == ".json" for k, v in read_json(f).items()}
        echo_json({**document, "page": str(files[0]) if files else "", "exported": exported})
    else:
        show_reports(reports, built)
        pages = [(name.replace("-", " "), files[0]) for name, files in written.items() if files]
        for what, path in (*pages, *(("exported", Path(f)) for f in exported)):
            echo(f"{what}: {relative_path(path)}")
    return exit_status(reports)


def _without_review(report: ConfiguredComponent) -> ConfiguredComponent:
    """Return a report that compares no verdicts, if it has a choice."""
    fields = {"review": False} if hasattr(report.params, "review") else {}
    return attrs.evolve(report, params=attrs.evolve(report.params, **fields))
