"""``vlrb report``: a finished run on the terminal, or in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlrb.cli.completion import complete_run
from vlrb.cli.output import (
    echo,
    echo_json,
    exit_status,
    has_display,
    prints_to_stderr,
    progress_bars,
    relative_path,
    show_reports,
)
from vlrb.cli.root import Given, as_json, vlrb
from vlrb.errors import ConfigError, ExitCode
from vlrb.executor import stage

if TYPE_CHECKING:
    from vlrb.plugins.registry import Registry
    from vlrb.running.finished import FinishedRun
    from vlrb.running.reports import Reports

FORMS = {"md": ".md", "latex": ".tex", "csv": ".csv"}
"""Form -> ending of the file of the leaderboard that has it."""


@vlrb.command()
@click.argument("run_name", metavar="RUN", shell_complete=complete_run)
@click.option(
    "--format", "form", type=click.Choice(["terminal", "html", *FORMS]),
    help="html writes the report's page and prints its path; md, latex and csv print the leaderboard in that form.",
)  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Write the page and open it in the browser.")
@as_json
@click.pass_obj
def report(given: Given, run_name: str, form: str | None, opens: bool, as_json: bool) -> int:
    """Print the leaderboard of a finished RUN: its folder, or an experiment's name for its newest run."""
    from vlrb.running.results import find_run, read_result, result_to_json

    if as_json and (opens or form):
        raise click.UsageError("--json prints the results: it goes with neither --format nor --open")
    if opens and form not in (None, "html"):
        raise click.UsageError(f"--open shows the page: it does not go with --format {form}")
    directory = find_run(given.places.runs, run_name)
    if as_json:
        echo_json({**result_to_json(read_result(directory)), "run_directory": str(directory)})
        return ExitCode.OK
    with prints_to_stderr(), progress_bars() as progress, stage(progress, "loading plugins"):
        from vlrb.running.finished import FinishedRun

        registry = given.registry()
        finished = FinishedRun.read(directory, given.places.cache, registry)
    if opens or form == "html":
        return _write_page(registry, finished, opens)
    if form in FORMS:
        return _print_file(registry, finished, FORMS[form])
    reports = _reports(registry, finished, "leaderboard")
    show_reports(reports, finished)
    echo(f"results: {relative_path(directory)}")
    return exit_status(reports)


def _write_page(registry: Registry, finished: FinishedRun, opens: bool) -> int:
    """Write the page of a run, print its path, and open it if asked to."""
    reports = _reports(registry, finished, "html")
    with prints_to_stderr(), progress_bars() as progress, stage(progress, "writing reports"):
        reports.write(finished, finished.directory / "reports")
    if (page := reports.written(".html")) is not None:
        echo(f"page: {relative_path(page)}")
        if opens and not _opened(page):
            echo(f"no browser was found: open {page}", err=True)
    return exit_status(reports)


def _opened(page: Path) -> bool:
    import webbrowser

    with prints_to_stderr():
        return has_display() and webbrowser.open(page.absolute().as_uri())


def _print_file(registry: Registry, finished: FinishedRun, ending: str) -> int:
    """Print the file of the leaderboard with an ending, made again."""
    reports = _reports(registry, finished, "leaderboard")
    with prints_to_stderr():
        text = reports.content(finished, ending)
    if text is None and not reports.errors:
        raise ConfigError(f"the report 'leaderboard' writes no {ending} file", fix="use another --format")
    click.echo(text or "", nl=False)
    return exit_status(reports)


def _reports(registry: Registry, finished: FinishedRun, name: str) -> Reports:
    """Return a report on runs by its name, as the run's experiment has configured it.

    :raises ConfigError: when no plugin has it
    """
    from vlrb.running.reports import Reports, report_of_run

    with prints_to_stderr():
        found = registry.find("reporter", name)
        return Reports.on("run", [report_of_run(finished, found)])
