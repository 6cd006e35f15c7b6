"""Reports on a run and on a benchmark: when they are written, what is shown, and one that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
import os
from pathlib import Path

from vlrb import ReporterSpec, hookimpl, write_json, write_text


class Report:
    def __init__(self, params):
        pass

    def __call__(self, built, directory):
        write_text(directory / "own.txt", str(len(built.benchmark)))
        write_json(directory / "own.json", {"own": sum(rows.num_rows for _, _, rows in built.verdicts())})
        return [directory / "own.txt", directory / "own.json"]

    def text(self, built):
        print("by the way")
        os.system("echo from a process")
        return "\\x1b[1mbold\\x1b[0m but \\x07 no bell\\n"


class Failing:
    def __init__(self, params):
        pass

    def __call__(self, subject, directory):
        return []

    def text(self, subject):
        raise ValueError("nothing to show")


@hookimpl
def vlrb_reporters():
    return [
        ReporterSpec(name="own-report", summary="s", on="benchmark", factory=Report),
        ReporterSpec(name="failing", summary="s", factory=Failing),
    ]
"""


@pytest.fixture
def experiment(project: Any) -> Any:
    """Return a function that writes an experiment with a report of the plugin's."""
    project.file(PLUGIN, "own.py")

    def of(name: str) -> Path:
        file = project.experiment(f'[[router]]\nuse = "cheapest"\n[[report]]\nuse = "{name}"\n')
        text = file.read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "own.py"]')
        path: Path = project.file(text)
        return path

    return of


def test_a_report_on_a_benchmark_is_made_by_build(project: Any, experiment: Any) -> None:
    """With the data report: shown, named, and in the JSON; `vlrb run` leaves it out, and it is not in the run's key."""
    file = experiment("own-report")
    shown = project.vlrb("build", file, "--report", "out")

    assert shown.status == 0, shown.err
    assert "\x1b[1mbold\x1b[0m but \\x07 no bell\n" in shown.out
    assert "data report: out/data_report.html\nown report: out/own.txt\n" in shown.out
    found = project.vlrb("build", file, "--report", "out", "--json").json
    assert found["page"] == "out/data_report.html"
    assert found["own"] == found["agreement"]["stored"]
    assert project.vlrb("run", file).status == 0
    assert not list(project.folder.glob("runs/**/own.*"))
    assert project.vlrb("run", experiment("data-report")).out.count("finished before") == 1


def test_the_review_can_be_switched_off_in_the_file(project: Any, experiment: Any) -> None:
    """`review = false` of the data report is what --no-review sets."""
    file = experiment("data-report")
    text = file.read_text(encoding="utf-8")
    project.vlrb("build", project.file(text + "review = false\n"))

    assert not list(project.folder.glob(".vlrb-cache/benchmarks/*/agreement.json"))
    assert list(project.folder.glob(".vlrb-cache/benchmarks/*/data_report.json"))


def test_a_report_that_cannot_be_shown_is_its_plugins_fault(project: Any, experiment: Any) -> None:
    """The results are there and the others are shown; the exit status says that a plugin failed."""
    shown = project.vlrb("run", experiment("failing"))

    assert shown.status == 5
    assert "best-single" in shown.out
    assert "results: " in shown.out
    assert "failed while showing report 'own/failing': ValueError: nothing to show" in shown.err
    assert len(project.results()) == 1


def test_what_a_report_prints_is_not_its_text(project: Any, experiment: Any) -> None:
    """Stdout holds the texts of reports, and nothing that a plugin or its processes print."""
    process = project.process("build", experiment("own-report"))
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert "bold" in out
    for text in ("by the way", "from a process"):
        assert text in err
        assert text not in out
