"""What the public face of an earlier version promised still holds: a plugin that was written for it loads and works."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from installed import install

import vlrb
from vlrb.api import hookspecs
from vlrb.api.components import KINDS
from vlrb.api.hookspecs import hookspec
from vlrb.errors import ExitCode
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.storage import read_json

OLD = Path(__file__).parent / "plugin_of_0_1"
DIGEST = "cf625e4553678180e5db1bceb7c55e345fc84bde3b99e0e813c788f6d0737924"

KINDS_OF_0_1 = {
    "dataset", "model", "log-source", "scorer", "token-counter", "splitter", "encoder", "fusion",
    "protocol", "executor", "router", "metric", "reporter", "figure", "command",
}  # fmt: skip
LIFECYCLE_OF_0_1 = {"check", "run_start", "cell_start", "cell_log", "cell_end", "run_interrupted", "run_end"}

EXPERIMENT = """
name = "old"
seeds = [1]
protocol = "old-protocol"
requires = ["everything"]

[logs]
use = "old-logs"
path = "logs"

[tokens]
counter = "old-letters"

[split]
use = "old-groups"

[selection]
metric = "old-per-token"
refit = true

[statistics]
draws = 100
by = ["difficulty"]

[executor]
use = "old-serial"

[features.default]
encoders = ["old-lengths", { use = "old-streaming", scale = 2.0 }]
fusion = "old-concat"

[[router]]
use = "old-router"
sweep = { lambda = [0, 10.0] }

[[router]]
use = "old-first"

[[metric]]
use = "old-worst"

[[metric]]
use = "old-per-token"

[[report]]
use = "old-run"

[[report]]
use = "old-benchmark"

[plugin.everything]
file = "calls.txt"
"""


@pytest.fixture
def file(project: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the plugin of 0.1 and return an experiment that uses everything of it."""
    code = (OLD / "everything.py").read_text(encoding="utf-8")
    groups = ("vlrb", "vlrb.commands")
    install(
        project.folder / "site", "vlrb-everything", "everything = everything", {"everything.py": code}, groups=groups
    )
    monkeypatch.syspath_prepend(str(project.folder / "site"))
    monkeypatch.delitem(sys.modules, "everything", raising=False)
    (project.folder / "logs").mkdir()
    (project.folder / "logs" / "log.txt").write_text("a log\n", encoding="utf-8")
    written: Path = project.file(EXPERIMENT)
    return written


def test_the_plugin_of_0_1_is_as_it_was() -> None:
    """Changing the file would hide what a change of the core does to published plugins."""
    assert hashlib.sha256((OLD / "everything.py").read_bytes()).hexdigest() == DIGEST


def test_the_plugin_of_0_1_registers_every_kind_of_0_1() -> None:
    """With the fields that records had then: a later one has a default."""
    registry = load(Selection((str(OLD / "everything.py"),)))
    registry.check()
    plugin = registry.plugin("everything")

    assert {kind for kind in KINDS for r in registry.all(kind) if r.plugin is plugin} == KINDS_OF_0_1


def test_an_experiment_runs_with_everything_of_0_1(project: Any, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Built, fitted, selected, refitted, reported, exported, compared, verified; no warning of Python or of vlrb."""
    assert project.vlrb("old-hello", "you").out == "hello you\n"
    built = project.vlrb("build", file, "--export", "old-export", "out", "--json")
    assert built.status == ExitCode.OK, built.err
    assert read_json(project.folder / "out" / "counts.json") == {"samples": 80, "answers": 240}

    shown = project.vlrb("run", file)
    assert shown.status == ExitCode.OK, shown.err
    assert "a report of 0.1 on old" in shown.out
    run = vlrb.load_run("old")
    assert {r.label for r in run.result.routers} == {"old-router", "old-first"}
    assert "old-figure" in read_json(run.directory / "reports" / "old.json")["figures"]
    assert list((run.directory / "reports" / "figures").glob("old-figure*"))
    assert project.vlrb("verify", "old").status == ExitCode.OK

    project.vlrb("run", file, "--fresh")
    compared = project.vlrb("compare", run.directory, "old")
    assert "a report of 0.1 on 1 pair" in compared.out, compared.err
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_every_lifecycle_hook_of_0_1_is_called(project: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the objects that it had then, regardless of arguments added since."""

    def fail(*_: Any) -> Any:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("vlrb.running.run.run_statistics", fail)
        project.vlrb("run", file)
    assert project.vlrb("check", file).status == ExitCode.OK
    assert project.vlrb("run", file).status == ExitCode.OK
    calls = (project.folder / "calls.txt").read_text(encoding="utf-8").splitlines()

    assert {call.split()[0] for call in calls} == LIFECYCLE_OF_0_1
    assert "cell_log old-router 2 0.33" in calls
    assert "run_end old 2" in calls


def test_names_that_were_replaced_are_refused_with_the_new_ones(project: Any, file: Path) -> None:
    """`param(was=...)` of the plugin, for experiment files that are older than it."""
    file.write_text(EXPERIMENT.replace('path = "logs"', 'path = "logs"\nrows = 20'), encoding="utf-8")

    assert "is now called 'samples'" in project.vlrb("check", file).err


def test_every_name_of_0_1_can_be_imported() -> None:
    """Names of vlrb/__init__.pyi may be added; one that is to go is deprecated first (docs/stability.md)."""
    names = (OLD / "names.txt").read_text(encoding="utf-8").split()

    assert [name for name in names if not hasattr(vlrb, name)] == []


def test_an_argument_that_goes_is_deprecated_by_its_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """pluggy warns the plugins that still take it; they are loaded all the same."""
    warning = DeprecationWarning("step goes in vlrb 0.4: count the calls")

    def vlrb_cell_log(run: Any, cell: Any, step: int, values: Any) -> None:
        pass

    monkeypatch.setattr(hookspecs, "vlrb_cell_log", hookspec(vlrb_cell_log, warn_on_impl_args={"step": warning}))
    with pytest.warns(DeprecationWarning, match="step goes in vlrb 0.4"):
        plugin = load(Selection((str(OLD / "everything.py"),))).plugin("everything")
    assert plugin is not None
