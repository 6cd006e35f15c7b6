"""``vlrb compare``: how finished runs differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from vlrb.cli.completion import complete_run
from vlrb.cli.output import (
    echo,
    echo_json,
    exit_status,
    prints_to_stderr,
    progress_bars,
    relative_path,
    show_reports,
)
from vlrb.cli.root import Given, as_json, vlrb
from vlrb.errors import ConfigError, ExitCode
from vlrb.executor import stage

if TYPE_CHECKING:
    from vlrb.api.comparison import Comparison
    from vlrb.plugins.registry import Registry
    from vlrb.running.reports import Reports

FORMS = ("md", "html")


@vlrb.command()
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True, shell_complete=complete_run)
@click.option("--format", "form", type=click.Choice(["terminal", *FORMS]), help="Default: by the ending of --output.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write there.")
@as_json
@click.pass_obj
def compare(given: Given, names: tuple[str, ...], form: str | None, output: Path | None, as_json: bool) -> int:
    """Compare finished runs with the first of them: settings, choices, and paired differences on the same samples.

    A RUN is a folder, or an experiment's name for its newest run.
    """
    if as_json and (form or output):
        raise click.UsageError("--json prints everything: it goes with neither --format nor --output")
    form = form or (output.suffix.removeprefix(".") if output else "terminal")
    if output and form not in FORMS:
        raise click.UsageError(f"--output writes one of these: {', '.join(FORMS)}; name one with --format")
    with prints_to_stderr(), progress_bars() as progress:
        with stage(progress, "loading plugins"):
            from vlrb.running.comparison import compare_runs
            from vlrb.running.finished import FinishedRun
            from vlrb.running.results import find_run

            registry = given.registry()
        with stage(progress, "comparing"):
            directories = [find_run(given.places.runs, name) for name in names]
            found = compare_runs([FinishedRun.read(d, given.places.cache, registry) for d in directories])
    if as_json:
        echo_json(comparison_to_json(found))
        return ExitCode.OK
    reports = _reports(registry)
    if form == "terminal":
        show_reports(reports, found)
    else:
        _write_form(reports, found, form, output)
    return exit_status(reports)


def comparison_to_json(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON data: of the runs what identifies them, of the rows everything."""
    from vlrb.api.json_data import to_json
    from vlrb.redact import without_secrets

    runs = [
        {
            "name": name,
            "directory": str(run.directory),
            "key": run.key,
            "leader": leader,
            "benchmark": run.benchmark.fingerprint,
            "split": run.split.digest,
        }
        for name, leader, run in zip(found.names, found.leaders, found.runs, strict=True)
    ]
    tree = to_json(attrs.evolve(found, runs=(), names=(), leaders=()))
    del tree["names"], tree["leaders"]
    return {"schema": 1, **without_secrets(tree), "runs": runs}


def _write_form(reports: Reports, found: Comparison, form: str, output: Path | None) -> None:
    """Print a comparison as one of the files that reports make of it, or write it."""
    from vlrb.storage import write_text

    with prints_to_stderr():
        text = reports.content(found, f".{form}")
    if text is None:
        if not reports.errors:
            raise ConfigError(f"no report on comparisons writes a file .{form}", fix="use another --format")
    elif output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        echo(f"comparison: {relative_path(output)}")


def _reports(registry: Registry) -> Reports:
    """Return the reports on comparisons of all plugins.

    :raises ConfigError: when there is none
    """
    from vlrb.experiment.plan import ConfiguredComponent
    from vlrb.running.reports import Reports

    with prints_to_stderr():
        every = [r for r in registry.all("reporter") if r.record.on == "comparison"]
        chosen = [ConfiguredComponent("reporter", r, r.record.params()) for r in every]
    if not chosen:
        raise ConfigError(
            "no plugin is loaded that reports on comparisons", fix="do not leave out the plugin comparison"
        )
    return Reports.on("comparison", chosen)
