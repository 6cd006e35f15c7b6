"""The commands."""

from __future__ import annotations

import copy
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlrb import __version__
from vlrb.api.specs import KINDS
from vlrb.cli.cache import cache as cache_commands
from vlrb.cli.output import echo, echo_json, print_problems, prints_to_stderr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vlrb.api.types import Listing
    from vlrb.experiment.plan import Plan
    from vlrb.plugins.loading import Plugin, Registered, Registry


class Root(click.Group):
    """The command group; plugins' commands are found only when one is asked for, or listed by ``--help``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, those of plugins last."""
        return [*super().list_commands(ctx), *self._of_plugins(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of this group or of a plugin."""
        from vlrb.errors import PluginError
        from vlrb.plugins.loading import blame

        own = super().get_command(ctx, cmd_name)
        registered = self._of_plugins(ctx).get(cmd_name) if own is None else None
        if registered is None:
            return own
        with blame(registered.plugin, f"loading command {cmd_name!r}"):
            command = registered.record.load()
        if not isinstance(command, click.Command):
            from vlrb.plugins.returned import FIX

            what = f"load() of command {cmd_name!r} returned {type(command).__name__} instead of a click command"
            raise PluginError(f"{registered.plugin.label}: {what}", fix=FIX)
        return _blamed_command(command, registered)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; of plugins' commands by their summaries, without loading them."""
        own = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        rows = [*sorted(own), *((name, r.record.summary) for name, r in self._of_plugins(ctx).items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a did-you-mean for a misspelt one."""
        from vlrb.errors import did_you_mean

        name = args[0]
        if self.get_command(ctx, name) is None:
            raise click.UsageError(f"there is no command {name!r}; {did_you_mean(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def _of_plugins(self, ctx: click.Context) -> dict[str, Registered]:
        from vlrb.plugins.loading import Selection, load

        registry = load(Selection.of(ctx.params.get("plugins") or ()), commands_only=True)
        return {r.name: r for r in registry.all("command") if r.name not in self.commands}


def _blamed_command(command: click.Command, registered: Registered) -> click.Command:
    """Return a plugin's command whose failures are the plugin's; what click raises to end a command passes."""
    from vlrb.plugins.loading import blame

    made = copy.copy(command)

    def invoke(ctx: click.Context) -> Any:
        ended: list[BaseException] = []
        with blame(registered.plugin, f"running command {registered.name!r}"):
            try:
                return command.invoke(ctx)
            except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit, BrokenPipeError) as error:
                ended.append(error)
        raise ended[0]

    made.invoke = invoke  # type: ignore[method-assign]
    return made


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p", "plugins", multiple=True, metavar="NAME", is_eager=True,
    help="Load plugin file or module NAME; no:NAME leaves out an installed plugin.",
)  # fmt: skip
@click.option("--runs", metavar="DIR", help="Folder of the runs (default: runs, or VLRB_RUNS).")
@click.option("--cache", metavar="DIR", help="Folder of the cache (default: .vlrb-cache, or VLRB_CACHE).")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
@click.version_option(__version__, prog_name="vlrb")
@click.pass_context
def vlrb(ctx: click.Context, plugins: tuple[str, ...], runs: str | None, cache: str | None, verbose: bool) -> None:
    """Benchmark routers between vision-language models."""
    from vlrb.printable import accept_any_text, print_records
    from vlrb.storage import Places

    accept_any_text()
    print_records(logging.INFO if verbose else logging.WARNING)
    ctx.obj = (plugins, Places.of(runs, cache))
    ctx.obj[1].use()


experiment_file = click.argument("file", type=click.Path(path_type=Path))
optional_file = click.argument("file", required=False, metavar="FILE", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="Processes. Default: one per CPU to read logs, and one router at a time, so that their timings hold.",
)  # fmt: skip


def _plan(ctx: click.Context, file: Path, *, weights: bool = False) -> Plan:
    from vlrb.experiment.resolve import make_plan

    return make_plan(file, ctx.obj[0], weights=weights)


def _registry(ctx: click.Context) -> Registry:
    from vlrb.plugins.loading import Selection, load

    return load(Selection.of(ctx.obj[0]))


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
    from vlrb.cli.show import print_leaderboard, progress_bars
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
        print_leaderboard(result)
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
    from vlrb.cli.show import passed_over
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
) -> None:
    """Build an experiment's benchmark and report on its data."""
    from vlrb.benchmark.build import build as build_benchmark
    from vlrb.benchmark.export import export_benchmark, exporter
    from vlrb.benchmark.review import agreement_of
    from vlrb.cli.show import print_benchmark, progress_bars
    from vlrb.evaluation.data_report import data_report, write_data_report

    ctx.obj[1].check()
    with prints_to_stderr(), progress_bars() as progress:
        plan = _plan(ctx, file)
        form = exporter(plan, *export) if export else None
        benchmark = build_benchmark(plan, ctx.obj[1], jobs, progress)
        agreement = {} if no_review else agreement_of(benchmark, plan, ctx.obj[1], jobs, progress)
        exported = export_benchmark(form, benchmark, plan, ctx.obj[1], export[1]) if form and export else ()
    report = data_report(benchmark, agreement)
    page = write_data_report(report, report_to or benchmark.directory)
    if as_json:
        echo_json({**report, "page": str(page), "exported": [str(f) for f in exported]})
        return
    print_benchmark(report)
    echo(f"data report: {_relative(page)}")
    for path in exported:
        echo(f"exported: {_relative(path)}")


@vlrb.command()
@click.argument("run_name", metavar="RUN")
@as_json
@click.pass_context
def report(ctx: click.Context, run_name: str, as_json: bool) -> None:
    """Print the leaderboard of a finished RUN: its folder, or an experiment's name for its newest run."""
    from vlrb.cli.show import print_leaderboard
    from vlrb.running.results import find_run, read_result, result_to_json

    directory = find_run(ctx.obj[1].runs, run_name)
    result = read_result(directory)
    if as_json:
        echo_json({**result_to_json(result), "run_directory": str(directory)})
        return
    print_leaderboard(result)
    echo(f"results: {_relative(directory)}")


class _KindType(click.ParamType):  # type: ignore[type-arg]
    """A kind of component; its plural is understood."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind's name.

        :raises click.BadParameter: with a did-you-mean
        """
        from vlrb.errors import did_you_mean

        known = {form: k for k in KINDS if k != "command" for form in (k, f"{k}s")}
        text = str(value).lower().replace("_", "-")
        if text not in known:
            self.fail(f"{value!r} is not a kind; {did_you_mean(text, set(known.values()))}", param, ctx)
        return known[text]


@vlrb.command(name="list")
@click.argument("kind", required=False, type=_KindType())
@click.argument("name", required=False)
@as_json
@click.pass_context
def list_(ctx: click.Context, kind: str | None, name: str | None, as_json: bool) -> None:
    """List what plugins offer: all, those of a KIND, or one component (KIND NAME) with its parameters."""
    with prints_to_stderr():
        registry = _registry(ctx)
        for plugin in registry.broken():
            echo(f"warning: {plugin.label} cannot be loaded and is not listed: {plugin.error}", err=True)
        kinds = [kind] if kind else [k for k in KINDS if k != "command"]
        found = {k: [registry.find(k, name)] if name else registry.all(k) for k in kinds}  # type: ignore[arg-type]
        described = {k: [_description(r) for r in registered] for k, registered in found.items()}
    if as_json:
        echo_json(described)
        return
    for each, entries in described.items():
        if not name:
            echo(f"{each}:")
        width = max((len(e["id"]) for e in entries), default=0)
        for entry in entries:
            missing = f"  [needs {entry['missing']}]" if entry["missing"] else ""
            echo(f"{'' if name else '  '}{entry['id']:<{width}}  {entry['summary']}{missing}")
            for line in _parameter_lines(entry) if name else ():
                echo(line)


def _parameter_lines(entry: dict[str, Any]) -> list[str]:
    """Return the parameters of a component, two lines each: name, type and default, and what it does."""
    if not entry["parameters"]:
        return ["  no parameters"]
    lines = []
    for parameter in entry["parameters"]:
        default = " (required)" if parameter["required"] else f" = {parameter['default']}"
        default = default if parameter["required"] or parameter["default"] is not None else ""
        lines.append(f"  {parameter['name']}: {parameter['type']}{default}")
        lines += [f"      {parameter['help']}"] if parameter["help"] else []
    return lines


def _description(registered: Registered) -> dict[str, Any]:
    from vlrb.api.specs import Component, Dataset
    from vlrb.plugins.loading import missing_requirements

    record = registered.record
    entry: dict[str, Any] = {"id": registered.id, "name": record.name, "plugin": registered.plugin.name}
    entry |= {"dist": registered.plugin.dist, "version": registered.plugin.version, "missing": "", "parameters": []}
    if isinstance(record, Component):
        lacking = missing_requirements(record)
        extra = f'pip install "vlrb[{record.extra}]"' if record.extra else ", ".join(lacking)
        return {
            **entry,
            "summary": record.summary,
            "missing": extra if lacking else "",
            "parameters": _parameters(record),
        }
    if isinstance(record, Dataset):
        return {**entry, "summary": f"{record.group}, {record.task}, {record.samples} samples, slug {record.slug}"}
    prices = (record.input_price_per_million, record.output_price_per_million)
    size = f"{record.parameters:g}B" if record.parameters else "size not published"
    shown = " / ".join("no price" if p is None else f"{p:g}" for p in prices)
    return {**entry, "summary": f"{shown} USD per million tokens in / out, {size}"}


def _parameters(record: Any) -> list[dict[str, Any]]:
    import attrs

    from vlrb.api.specs import toml_name

    parameters = []
    for field in attrs.fields(record.params):
        plain = field.default is None or isinstance(field.default, str | int | float | bool)
        parameters.append(
            {
                "name": toml_name(field.name),
                "type": field.type if isinstance(field.type, str) else _type_name(field.type),
                "required": field.default is attrs.NOTHING,
                "default": None if not plain or field.default is None else str(field.default),
                "help": field.metadata.get("help", ""),
            }
        )
    return parameters


def _type_name(kind: Any) -> str:
    """Return a type as it is written; attrs may have resolved it from its text."""
    return (
        kind.__name__
        if isinstance(kind, type) and not getattr(kind, "__args__", ())
        else str(kind).replace("typing.", "")
    )


@vlrb.command(name="plugins")
@as_json
@click.pass_context
def plugins_(ctx: click.Context, as_json: bool) -> None:
    """List the plugins: dist, version, and what is wrong with those that cannot be loaded."""
    with prints_to_stderr():
        registry = _registry(ctx)
    entries = [_plugin_entry(p, registry) for p in registry.plugins]
    if as_json:
        echo_json(entries)
        return
    for entry in entries:
        dist = f"{entry['dist']} {entry['version']}".strip()
        echo(f"{entry['name']:<18} {dist:<24} {entry['state']:<8} {entry['detail']}")


def _plugin_entry(plugin: Plugin, registry: Registry) -> dict[str, str]:
    state = "blocked" if plugin.blocked else "broken" if plugin.error else "loaded"
    counts = {k: sum(r.plugin is plugin for r in registry.all(k)) for k in KINDS}  # type: ignore[arg-type]
    offers = ", ".join(f"{n} {k}{'s' if n > 1 else ''}" for k, n in counts.items() if n)
    detail = plugin.error or ("" if plugin.blocked else offers or "observer")
    return {"name": plugin.name, "dist": plugin.dist, "version": plugin.version, "state": state, "detail": detail}


@vlrb.command()
@as_json
def hooks(as_json: bool) -> None:
    """List the hooks that a plugin may implement."""
    from vlrb.plugins.loading import hook_list

    rows = hook_list()
    if as_json:
        echo_json([{"name": n, "arguments": a, "summary": s} for n, a, s in rows])
        return
    for name, signature, summary in rows:
        echo(f"{name}{signature}\n    {summary}")


vlrb.add_command(cache_commands)


def _relative(path: Path) -> str:
    """Return a path as seen from the working directory, if it is below it."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
