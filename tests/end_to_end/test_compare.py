"""`vlrb compare`, `vlrb verify` and the forms of `vlrb report`, by the command line."""

from __future__ import annotations

import json
import re
import sys
import webbrowser
from pathlib import Path
from typing import Any

import pytest

import vlrb

CHEAPEST = '[[router]]\nuse = "cheapest"\n'
RANDOM = '[[router]]\nuse = "random"\nlabel = "cheapest"\n'


@pytest.fixture
def runs(project: Any) -> Any:
    """Return a project with two finished runs, `t` and `u`, whose routers of one label choose differently."""
    assert project.vlrb("run", project.experiment(CHEAPEST)).status == 0
    text = project.experiment(RANDOM).read_text(encoding="utf-8").replace('name = "t"', 'name = "u"')
    assert project.vlrb("run", project.file(text)).status == 0
    return project


def test_two_runs_are_compared(runs: Any) -> None:
    """On the terminal, as JSON, as Markdown on stdout, as a page in a file; the newest run of a name is meant."""
    shown = runs.vlrb("compare", "t", "u")
    assert shown.status == 0, shown.err
    assert re.search(r"A: t/\d{8}-\d{6}-\w{8}, best router cheapest\nB: u/", shown.out)
    assert "B against A: 24 test samples" in shown.out
    found = runs.vlrb("compare", "t", "u", "--json").json
    cheapest = next(r for r in found["pairs"][0]["rows"] if r["name"] == "cheapest")
    assert (found["schema"], found["pairs"][0]["paired"]) == (1, True)
    assert [r["leader"] for r in found["runs"]] == ["cheapest", "cheapest"]
    assert cheapest["choices"]["compared"] == 24
    uses = ["baselines/cheapest", "baselines/random"]
    assert {"section": "experiment", "key": "router.cheapest.use", "values": uses} in found["differing"]
    assert runs.vlrb("compare", "t", "u", "--format", "md").out.startswith("# Comparison of runs\n\n- A: t/")
    written = runs.vlrb("compare", "t", "u", "--output", "page.html")
    assert (written.status, written.out) == (0, "comparison: page.html\n")
    assert "<h1>Comparison of runs</h1>" in (runs.folder / "page.html").read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_said(runs: Any) -> None:
    """One run, an unknown, an unfinished, an old one, the same twice, an option that fits nothing: exit status 4, no traceback."""
    unfinished, old = runs.folder / "runs" / "v" / "1", runs.folder / "runs" / "w" / "1"
    for folder, files in ((unfinished, {"plan.json": "{}"}), (old, {"results.json": '{"schema": 1}'})):
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    for arguments, said in (
        (("t",), "a comparison needs two runs or more"),
        (("t", "x"), "there is no finished run 'x'"),
        (("t", "runs/v/1"), "the run 'runs/v/1' is not finished"),
        (("t", "w"), "has schema version 1, this vlrb reads"),
        (("t", "t"), "the same run was given twice"),
        (("t", "u", "--json", "--format", "md"), "--json prints everything"),
        (("t", "u", "--output", "x.pdf"), "--output writes one of these: md, html"),
    ):
        shown = runs.vlrb("compare", *arguments)
        assert shown.status == 4, shown
        assert said in shown.err
        assert "Traceback" not in shown.err
    blocked = runs.vlrb("-p", "no:comparison", "compare", "t", "u")
    assert "no plugin is loaded that reports on comparisons" in blocked.err


def test_a_run_is_verified_without_cache_and_logs(runs: Any) -> None:
    """What agrees is counted; a changed value and a changed choice lead to exit status 4 and are named, in JSON too."""
    shown = runs.vlrb("--cache", "elsewhere", "verify", "t")
    assert shown.status == 0, shown.err
    assert re.match(r"[\d,]+ of [\d,]+ values agree, [\d,]+ of them to the last bit\n", shown.out)
    assert "taken as stored: requests-per-second" in shown.out
    file = next(runs.folder.glob("runs/t/*/results.json"))
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["routers"][0]["test"]["scores"]["overall"]["accuracy"] = 0.123
    file.write_text(json.dumps(tree), encoding="utf-8")
    broken = runs.vlrb("verify", "t")
    assert broken.status == 4
    assert "error: router, cheapest, test, scores, overall, accuracy: stored 0.123, computed " in broken.err
    found = runs.vlrb("verify", "t", "--json")
    assert (found.status, found.json["agrees"], len(found.json["disagreements"])) == (4, False, 1)
    assert found.json["disagreements"][0]["place"] == ["router", "cheapest", "test", "scores", "overall", "accuracy"]


def test_a_run_is_reported_in_other_forms(runs: Any) -> None:
    """Markdown and CSV are made again and printed, so that old runs get new forms; nothing else is on stdout."""
    assert runs.vlrb("report", "t", "--format", "md").out.startswith("# t: test\n")
    assert runs.vlrb("report", "t", "--format", "csv").out.startswith("kind,name,router,")
    assert runs.vlrb("report", "t").out == runs.vlrb("report", "t", "--format", "terminal").out
    table = runs.vlrb("report", "t", "--format", "latex")
    run = next(runs.folder.glob("runs/t/2*/"))
    assert (table.status, table.out) == (0, (run / "reports" / "leaderboard.tex").read_text(encoding="utf-8"))
    assert "\\begin{tabular}" in table.out
    for arguments in (("--json", "--format", "md"), ("--json", "--open"), ("--open", "--format", "csv")):
        assert runs.vlrb("report", "t", *arguments).status == 4


def test_the_bundled_page_of_a_run_is_made_again(runs: Any) -> None:
    """It is where the run wrote it, and the same; only its path is printed."""
    page = next(runs.folder.glob("runs/t/*/reports/report.html"))
    before = page.read_bytes()
    page.unlink()
    shown = runs.vlrb("report", "t", "--format", "html")

    assert (shown.status, shown.out) == (0, f"page: {page.relative_to(runs.folder)}\n"), shown.err
    assert page.read_bytes() == before


LACKING = {
    "results.json": ["report t", "report t --format csv", "report t --format html", "report t --json", "verify t"],
    "evaluated.parquet": ["report t --format html", "verify t", "compare t u"],
}


@pytest.mark.parametrize(("name", "command"), [(n, c) for n, commands in LACKING.items() for c in commands])
def test_a_broken_run_directory_is_named(runs: Any, name: str, command: str) -> None:
    """Exit status 4, a fix, no traceback; of an older version the folder is named, all of which is, of a lost file the file."""
    file = next(runs.folder.glob(f"runs/t/*/{name}"))
    if name == "results.json":
        file.write_text('{"schema": 1}', encoding="utf-8")
        said = f"{file.parent}: has schema version 1"
    else:
        file.unlink()
        said = f"{file}: cannot be read"
    shown = runs.vlrb(*command.split())

    assert shown.status == 4, shown
    assert f"error: {said}" in shown.err
    assert "fix: " in shown.err
    assert "Traceback" not in shown.out + shown.err


def test_python_names_a_broken_run_directory_too(runs: Any) -> None:
    """With the errors of the command line: results when the run is loaded, other files when they are asked for."""
    folder = next(runs.folder.glob("runs/t/2*/"))
    run = vlrb.load_run("t", plugins="no:mlflow")
    (folder / "evaluated.parquet").unlink()
    with pytest.raises(vlrb.DataError, match="evaluated.parquet"):
        _ = run.samples
    (folder / "results.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(vlrb.DataError, match=f"{folder.name}: has schema version 1"):
        vlrb.load_run("t", plugins="no:mlflow")


def test_what_a_plugin_prints_at_import_is_not_on_stdout(runs: Any) -> None:
    """Protects programs that read stdout: JSON, CSV and Markdown hold nothing else."""
    runs.file("print('hello from the plugin')\n", "loud.py")
    shown = runs.vlrb("-p", "loud.py", "report", "t", "--format", "csv")
    assert shown.out.startswith("kind,name,router,")
    assert "hello from the plugin" in shown.err
    assert runs.vlrb("-p", "loud.py", "report", "t", "--json").json["schema"]
    assert runs.vlrb("-p", "loud.py", "compare", "t", "u", "--json").json["schema"] == 1
    assert runs.vlrb("-p", "loud.py", "compare", "t", "u", "--format", "md").out.startswith("# Comparison of runs\n")


PAGE = """
from vlrb import ReporterSpec, hookimpl, param, write_text
import attrs


@attrs.frozen
class Params:
    samples: bool = param(default=True)
    new: int = param(default=7)


class Report:
    def __init__(self, params):
        self.params = params

    def __call__(self, run, directory):
        write_text(directory / "page.html", f"samples {self.params.samples}, new {self.params.new}")
        return [directory / "page.html"]


@hookimpl
def vlrb_reporters():
    return [ReporterSpec(name="NAME", summary="s", factory=Report, params=Params)]
"""


def test_the_page_of_a_run_opens(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report named html writes it into the run's directory, with the parameters of the run's experiment."""
    text = (
        (runs.folder / "experiment.toml").read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "paged.py"]')
    )
    runs.file(PAGE.replace("NAME", "html"), "paged.py")
    runs.file(text.replace('name = "u"', 'name = "p"') + '[[report]]\nuse = "paged/html"\nsamples = false\n')
    run = runs.vlrb("-p", "no:reports", "run", "experiment.toml")
    assert run.status == 0, run.err
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or False)
    page = next(Path("runs/p").glob("*/results.json")).parent / "reports" / "page.html"
    page.unlink()
    shown = runs.vlrb("-p", "no:reports", "-p", "paged.py", "report", "p", "--format", "html")
    assert (shown.status, shown.out) == (0, f"page: {page}\n")
    assert page.read_text(encoding="utf-8") == "samples False, new 7"
    assert not opened
    monkeypatch.setenv("BROWSER", "some-browser")
    shown = runs.vlrb("-p", "no:reports", "-p", "paged.py", "report", "p", "--open")
    assert opened == [page.absolute().as_uri()]
    assert f"no browser was found: open {page.absolute()}" in shown.err
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    shown = runs.vlrb("-p", "no:reports", "-p", "paged.py", "report", "p", "--open")
    assert len(opened) == 1, "a browser without a display would take the terminal"
    assert f"no browser was found: open {page.absolute()}" in shown.err


def test_forms_without_a_report_are_refused(runs: Any) -> None:
    """A form whose report is missing or blocked is an error that says so."""
    shown = runs.vlrb("-p", "no:reports", "report", "t", "--format", "html")
    assert (shown.status, shown.out) == (4, "")
    assert "there is no reporter 'html'" in shown.err
