"""The commands that work with experiments and runs: ``run``, ``check``, ``build``, ``report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from vlrb.cli.output import echo, echo_json, echo_styled, passed_over, print_problems, prints_to_stderr
from vlrb.cli.root import as_json, registry_of, vlrb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vlrb.api.logs import Listing
    from vlrb.experiment.plan import ConfiguredComponent, Plan
    from vlrb.running.reports import Reports

experiment_file = click.argument("file", type=click.Path(path_type=Path))


optional_file = click.argument("file", required=False, metavar="FILE", type=click.Path(path_type=Path))


jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="Processes. Default: one per CPU to read logs, and one router at a time, so that their timings hold.",
)  # fmt: skip


def _plan(ctx: click.Context, file: Path, *, weights: bool = False) -> Plan:
    from vlrb.experiment.resolve import make_plan

    return make_plan(file, ctx.obj[0], weights=weights)


@vlrb.command()
@optional_file
@jobs_option
@click.option(
    "--fresh", is_flag=False, flag_value="", multiple=True, metavar="[LABEL]",
    help="Fit routers again although their results are known: all, or the one with this label (may be repeated).",
)  # fmt: skip
@as_json
@click.pass_context
def run(ctx: click.Context, file: Path | None, jobs: int | None, fresh: tuple[str, ...], as_json: bool) -> int:
    """Run an experiment: build, split, fit, evaluate, report and track.

    A run that was stopped goes on where it stopped; an identical finished run prints its result.
    """
    from vlrb.cli.progress import progress_bars
    from vlrb.running.results import result_to_json
    from vlrb.running.run import execute

    if file is None and fresh and fresh[-1].endswith(".toml"):  # --fresh FILE: the option has taken the argument
        file, fresh = Path(fresh[-1]), (*fresh[:-1], "")
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.", ctx)
    labels = None if not fresh else [f for f in fresh if f]
    ctx.obj[1].check()
    with prints_to_stderr(), progress_bars() as progress:
        outcome = execute(_plan(ctx, file, weights=True), ctx.obj[1], jobs=jobs, fresh=labels, progress=progress)
    result = outcome.result
    if as_json:
        echo_json({**result_to_json(result), "run_directory": str(result.run.directory)})
    else:
        _show(outcome.reports, result)
        if outcome.already_finished:
            echo("finished before; --fresh runs it again")
        echo(f"results: {_relative(result.run.directory)}")
    for cell in result.cells:
        if cell.status == "failed":
            echo(f"error: {cell.cell.name} failed: {cell.error}", err=True)
            echo(f"    see {_relative(cell.directory / 'error.txt')}", err=True)
    for error in outcome.errors:
        print_problems(error)
    return outcome.exit_code


@vlrb.command()
@experiment_file
@as_json
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> int:
    """Check an experiment file, the names of its logs, the weights that it needs and where it is tracked; run nothing."""
    from vlrb.benchmark.read import PartBuilder
    from vlrb.errors import ExitCode, PluginError
    from vlrb.plugins.observers import Observers
    from vlrb.redact import without_secrets

    with prints_to_stderr():
        plan = _plan(ctx, file, weights=True)
        builder = PartBuilder(plan, ctx.obj[1])
        listing = builder.list()
        builder.keys(listing)  # a file that cannot be looked at is told now
        observers = Observers(plan.registry)
        observers.call("vlrb_check", settings=plan.settings)
    status = ExitCode.PLUGIN if any(isinstance(e, PluginError) for e in observers.errors) else ExitCode.OK
    about = _checked(plan, listing)
    if as_json:
        about["warnings"] = [str(e) for e in observers.errors]
        echo_json({**about, "ignored_files": dict(listing.ignored), "experiment": without_secrets(plan.resolved())})
        return status
    echo(f"{file}: OK (names checked; `vlrb build` reads the contents)")
    echo("  " + _counted(about, len(plan.routers)))
    for line in passed_over(listing.ignored):
        echo(f"  {line}")
    if not plan.routers:
        echo("  there is no [[router]]: enough for `vlrb build`, not for `vlrb run`")
    if listing.synthetic:
        echo(f"  {listing.synthetic}")
    return status


def _checked(plan: Plan, listing: Listing) -> dict[str, Any]:
    """Return what the names of the logs tell; parts of several datasets or models tell only when they are read."""
    return {
        "datasets": sorted({p.dataset for p in listing.parts if p.dataset}),
        "models": sorted({p.model for p in listing.parts if p.model}),
        "parts_of_several": sum(not p.dataset or (p.kind == "outcomes" and not p.model) for p in listing.parts),
        "cells": sum(len(r.points) for r in plan.routers) * len(plan.general.seeds),
        "synthetic": listing.synthetic,
    }


def _counted(about: Mapping[str, Any], routers: int) -> str:
    counts = {"dataset": len(about["datasets"]), "model": len(about["models"])}
    several = about["parts_of_several"]
    if several:
        counts = {k: n for k, n in counts.items() if n} | {"file of several datasets or models": several}
    counts |= {"cell": about["cells"], "router": routers}
    words = {"file of several datasets or models": "files of several datasets or models"}
    return ", ".join(f"{n} {word if n == 1 else words.get(word, word + 's')}" for word, n in counts.items())


@vlrb.command()
@experiment_file
@jobs_option
@click.option("--no-review", is_flag=True, help="Do not compare the logs' verdicts with our own scoring.")
@click.option(
    "--report", "report_to", type=click.Path(path_type=Path), metavar="DIR",
    help="Folder for data_report.json and data_report.html (default: beside the benchmark).",
)  # fmt: skip
@click.option(
    "--export", nargs=2, type=(str, click.Path(path_type=Path)), metavar="FORM DIR",
    help="Also write the benchmark in the form of a log source that can, such as records, into a new folder.",
)  # fmt: skip
@as_json
@click.pass_context
def build(
    ctx: click.Context,
    file: Path,
    jobs: int | None,
    no_review: bool,
    report_to: Path | None,
    export: tuple[str, Path] | None,
    as_json: bool,
) -> int:
    """Build an experiment's benchmark and report on its data."""
    from vlrb.benchmark.build import build as build_benchmark
    from vlrb.benchmark.built import BuiltBenchmark, find_exporter
    from vlrb.cli.progress import progress_bars
    from vlrb.plugins.blame import blame
    from vlrb.running.reports import Reports

    ctx.obj[1].check()
    exported: list[Path] = []
    with prints_to_stderr(), progress_bars() as progress:
        plan = _plan(ctx, file)
        form = find_exporter(plan, *export) if export else None
        built = BuiltBenchmark(build_benchmark(plan, ctx.obj[1], jobs, progress), plan, ctx.obj[1], jobs, progress)
        reports = Reports.on("benchmark", map(_without_review, plan.reports) if no_review else plan.reports)
        written = reports.write(built, report_to or built.benchmark.directory)
        if form and export:
            with blame(form.plugin, f"exporting to {export[1]}"):
                exported += form.record.export(built.benchmark, export[1], built.answers())
    if as_json:
        echo_json({**_documents(written), "exported": [str(f) for f in exported]})
    else:
        _show(reports, built)
        for name, files in written.items():
            for first in files[:1]:
                echo(f"{name.replace('-', ' ')}: {_relative(first)}")
        for path in exported:
            echo(f"exported: {_relative(path)}")
    for error in reports.errors:
        print_problems(error)
    return reports.exit_code


def _without_review(report: ConfiguredComponent) -> ConfiguredComponent:
    """Return a report that compares no verdicts, if it has a choice."""
    fields = {"review": False} if hasattr(report.params, "review") else {}
    return attrs.evolve(report, params=attrs.evolve(report.params, **fields))


def _documents(written: Mapping[str, list[Path]]) -> dict[str, Any]:
    """Return what reports wrote as JSON, in one document, with the file to open first."""
    from vlrb.storage import read_json

    files = [f for those in written.values() for f in those]
    document = {k: v for f in files if f.suffix == ".json" for k, v in read_json(f).items()}
    return {**document, "page": str(files[0]) if files else ""}


@vlrb.command()
@click.argument("run_name", metavar="RUN")
@as_json
@click.pass_context
def report(ctx: click.Context, run_name: str, as_json: bool) -> int:
    """Print the leaderboard of a finished RUN: its folder, or an experiment's name for its newest run."""
    from vlrb.errors import ExitCode
    from vlrb.experiment.plan import ConfiguredComponent
    from vlrb.experiment.resolve import DEFAULT_REPORTS
    from vlrb.running.reports import Reports
    from vlrb.running.results import find_run, read_result, result_to_json

    directory = find_run(ctx.obj[1].runs, run_name)
    result = read_result(directory)
    if as_json:
        echo_json({**result_to_json(result), "run_directory": str(directory)})
        return ExitCode.OK
    with prints_to_stderr():
        registry = registry_of(ctx)
        found = [registry.find("reporter", name) for name in DEFAULT_REPORTS]
        reports = Reports.on("run", [ConfiguredComponent("reporter", r, r.record.params()) for r in found])
    _show(reports, result)
    echo(f"results: {_relative(directory)}")
    for error in reports.errors:
        print_problems(error)
    return reports.exit_code


def _show(reports: Reports, subject: Any) -> None:
    for text in reports.texts(subject):
        if text:
            echo_styled(text)


def _relative(path: Path) -> str:
    """Return a path as seen from the working directory, if it is below it."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
