"""`only_plugins`: which installed plugins may load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from installed import ROUTER, install

import vlrb
from vlrb.errors import ConfigError, ExitCode
from vlrb.experiment.resolve import make_plan

CHEAPEST = '[[router]]\nuse = "cheapest"\n'
BOTH = ("vlrb", "vlrb.commands")

Marks = Callable[[str], int]


@pytest.fixture
def marks(project: Any, monkeypatch: pytest.MonkeyPatch) -> Marks:
    """Install the plugins `one` and `two`; return a function that says how many processes have imported one of them."""
    site = project.folder / "site"
    for name in ("one", "two"):
        code = ROUTER.format(mark=str(project.folder / name), name=f"first-{name}")
        install(site, f"dist-{name}", f"{name} = pinned_{name}", {f"pinned_{name}.py": code}, groups=BOTH)
    monkeypatch.syspath_prepend(str(site))
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    monkeypatch.setenv("PYTHONPATH", path)

    def count(name: str) -> int:
        file: Path = project.folder / name
        return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0

    return count


def test_what_is_not_pinned_is_never_imported(project: Any, marks: Marks) -> None:
    """Neither in this process nor in those that read logs and fit routers, although it adds a command."""
    routers = CHEAPEST + '[[router]]\nuse = "first-one"\n'
    file = project.experiment(routers, 'only_plugins = ["one"]')
    for arguments in (("check", file), ("build", file, "--jobs", "2"), ("run", file, "--jobs", "2")):
        process = project.process(*arguments)
        out, err = process.communicate()
        assert process.returncode == ExitCode.OK, out + err

    assert marks("one") > 3
    assert marks("two") == 0


def test_without_pins_every_installed_plugin_is_imported(project: Any, marks: Marks) -> None:
    """Without a pin the plugin is imported, so that the test above looks in the right place."""
    assert project.vlrb("check", project.experiment()).status == ExitCode.OK
    assert (marks("one"), marks("two")) == (1, 1)


def test_the_python_api_keeps_the_pins(project: Any, marks: Marks) -> None:
    """A dict is an experiment too; an empty list leaves the bundled plugins and those whose files are named."""
    experiment = {
        "name": "t", "plugins": ["tiny.py"], "requires": [], "only_plugins": [],
        "logs": {"use": "tiny"}, "router": [{"use": "cheapest"}],
    }  # fmt: skip
    run = vlrb.run(experiment, plugins=["no:mlflow"])

    assert (marks("one"), marks("two")) == (0, 0)
    assert run.result.run.experiment["only_plugins"] == ()
    assert not [name for name in run.result.run.environment if name in ("plugin one", "plugin two")]


def test_a_router_of_a_plugin_that_is_not_pinned_is_unknown(project: Any, marks: Marks) -> None:
    """The message says that plugins were left out, and how; the same for one that is required."""
    file = project.experiment('[[router]]\nuse = "first-two"\n', 'only_plugins = ["dist-one/one"]')
    file.write_text(file.read_text(encoding="utf-8").replace("requires = []", 'requires = ["two"]'), encoding="utf-8")
    err = project.vlrb("check", file).err

    assert "there is no router 'first-two'" in err
    assert "or only_plugins: " in err
    assert "plugin 'two' is required and is not loaded" in err
    assert marks("two") == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('["onne"]', ["only_plugins[0]: no plugin 'onne' is installed", "did you mean 'one'"]),
        ('["dist-two/one"]', ["only_plugins[0]: no plugin 'dist-two/one' is installed"]),
        ('"one"', ["only_plugins: "]),
        ("[1]", ["only_plugins"]),
    ],
)
def test_a_wrong_pin_is_an_error_with_all_others(project: Any, marks: Marks, value: str, said: list[str]) -> None:
    """A misspelt pin must not run without what was meant; a wrong type must not let everything load."""
    shown = project.vlrb("check", project.experiment('[[router]]\nuse = "cheapst"\n', f"only_plugins = {value}"))

    assert shown.status == ExitCode.USAGE
    assert "there is no router 'cheapst'" in shown.err
    for text in said:
        assert text in shown.err
    assert (marks("one"), marks("two")) == (0, 0)


def test_pins_stand_in_the_results_and_change_no_key(project: Any, marks: Marks) -> None:
    """A run can be pinned later without running again; without pins nothing is written of them."""
    open_run = project.vlrb("run", project.experiment(), "--json").json
    pinned_run = project.vlrb("run", project.experiment(top='only_plugins = ["one"]'), "--json").json

    assert pinned_run["run"]["key"] == open_run["run"]["key"]
    assert "only_plugins" not in open_run["run"]["experiment"]
    fresh = project.vlrb("run", project.experiment(top='only_plugins = ["one"]'), "--fresh", "--json").json
    assert fresh["run"]["experiment"]["only_plugins"] == ["one"]
    assert "plugin two" not in fresh["run"]["environment"]
    verified = project.vlrb("verify", fresh["run_directory"])
    assert verified.status == ExitCode.OK, verified.err


def test_pins_of_included_files_hold(project: Any, marks: Marks) -> None:
    """An included file may pin for all that include it; two files that disagree are an error."""
    project.file('only_plugins = ["one"]\n', "pins.toml")
    plan = make_plan(project.experiment(top='include = ["pins.toml"]'), ("no:mlflow",))
    assert {p.name for p in plan.registry.plugins if p.blocked} == {"mlflow", "two"}

    with pytest.raises(ConfigError, match="only_plugins"):
        make_plan(project.experiment(top='include = ["pins.toml"]\nonly_plugins = ["two"]'), ("no:mlflow",))
