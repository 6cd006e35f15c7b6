"""`vlrb new-plugin`: a distribution that passes its own tests as written, for every kind of plugin."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from installed import install

from vlrb import ConfigError
from vlrb.testing.kinds import TABLES
from vlrb_plugins.new_plugin import command
from vlrb_plugins.new_plugin.scaffold import KINDS, TEMPLATES, Scaffold, write_scaffold

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a distribution of every kind, as `vlrb new-plugin` writes it."""
    folder = tmp_path_factory.mktemp("written")
    for kind in KINDS:
        write_scaffold(Scaffold.of(f"my-{kind}", kind), folder)
    return folder


def python(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a project, whose plugin is installed for this process only."""
    module = project.name.replace("-", "_")
    name = project.name.removeprefix("vlrb-")
    site = project.parent / f"site-{name}"
    if not site.exists():
        code = (project / "src" / module / "__init__.py").read_text(encoding="utf-8")
        groups = ("vlrb", "vlrb.commands") if "command" in name else ("vlrb",)
        install(site, project.name, f"{name} = {module}", {f"{module}/__init__.py": code}, groups=groups)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    env = {**os.environ, "PYTHONPATH": path, **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False, timeout=500)


def test_every_kind_has_templates() -> None:
    """The kinds are those of the conformance kit; an unused folder of templates is noticed."""
    assert sorted(KINDS) == sorted(TABLES)
    assert {p.name for p in TEMPLATES.iterdir()} == {*KINDS, "all", "tables"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass(written: Path, kind: str) -> None:
    """Authors of plugins start with tests that pass."""
    done = python(written / f"vlrb-my-{kind}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "command"])
def test_its_example_runs(written: Path, kind: str, tmp_path: Path) -> None:
    """`vlrb run example.toml` ends with a leaderboard; without MLflow, which the file does not mention."""
    project = written / f"vlrb-my-{kind}"
    example = project / "without-mlflow.toml"
    text = (project / "example.toml").read_text(encoding="utf-8")
    example.write_text(text.replace("\n\n[logs]", "\nrequires = []\n\n[logs]", 1), encoding="utf-8")
    places = {"VLRB_RUNS": str(tmp_path / "runs"), "VLRB_CACHE": str(tmp_path / "cache")}

    done = python(project, "-m", "vlrb", "-p", "no:mlflow", "run", example.name, "--json", **places)

    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert {cell["status"] for cell in cells} == {"done"}
    assert ("my-router/my-router" in {cell["cell"]["router"] for cell in cells}) == (kind == "router")


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_its_code_is_clean_for_ruff(written: Path, arguments: list[str]) -> None:
    """By the rules in its own pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", *(f"vlrb-my-{kind}" for kind in KINDS)],
        cwd=written, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_its_code_is_clean_for_mypy(written: Path, tmp_path: Path) -> None:
    """By mypy --strict; findings in vlrb itself, if it is not an installed package, do not count."""
    paths = [f"vlrb-my-{kind}/src/vlrb_my_{kind.replace('-', '_')}" for kind in KINDS]
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "--follow-imports", "silent", "--no-incremental",
            "--config-file", "vlrb-my-router/pyproject.toml", *paths,
        ],
        cwd=written, env={**os.environ, "MYPYPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert [line for line in done.stdout.splitlines() if line.startswith("vlrb-my-")] == [], done.stdout
    assert f"no issues found in {len(KINDS)} source files" in done.stdout, done.stdout + done.stderr


def test_the_example_in_the_repository_is_what_it_writes(tmp_path: Path) -> None:
    """examples/vlrb-my-router is `vlrb new-plugin my-router --kind router`, byte by byte."""
    example = ROOT / "examples" / "vlrb-my-router"
    files = write_scaffold(Scaffold.of("my-router", "router"), tmp_path)

    for name in files:
        assert (example / name).read_bytes() == (tmp_path / "vlrb-my-router" / name).read_bytes(), name
    ours = subprocess.run(["git", "ls-files"], cwd=example, capture_output=True, text=True, check=False).stdout.split()
    assert ours in ([], files)


def test_one_name_however_written(tmp_path: Path) -> None:
    """The prefix is added, not doubled, and names are normalised as pip does."""
    for name in ("my-router", "vlrb-my-router", "My_Router", "VLRB.my-router"):
        scaffold = Scaffold.of(name, "router")
        assert (scaffold.name, scaffold.dist, scaffold.module) == ("my-router", "vlrb-my-router", "vlrb_my_router")


@pytest.mark.parametrize("name", ["", "-router", "my router", "rÖuter", "../router", "router-", "a/b", "$x"])
def test_names_are_checked(name: str, tmp_path: Path, project: Any) -> None:
    """A name that pip would refuse is refused before anything is written, with an example of a good one."""
    shown = project.vlrb("new-plugin", "--kind", "router", "--", name)

    assert shown.status == 4
    assert "is not a name of a Python distribution" in shown.err
    assert "fix: use letters, digits and hyphens" in shown.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.py"]


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("plugins", "router", "there is a module vlrb_plugins already"),
        ("metrics", "router", "there is a plugin 'metrics' already"),
        ("knn", "router", "there is a router 'knn' already"),
        ("qwen2.5-vl", "model", ""),
        ("run", "command", "there is a command 'run' already"),
        ("cache", "command", "there is a command 'cache' already"),
    ],
)
def test_names_of_others_are_refused(name: str, kind: str, what: str, project: Any) -> None:
    """Two plugins, modules or components of one name would be an error later."""
    shown = project.vlrb("new-plugin", name, "--kind", kind)

    assert shown.status == (4 if what else 0)
    assert what in shown.err


@pytest.mark.parametrize("make", ["folder", "file", "link"])
def test_nothing_is_overwritten(make: str, project: Any) -> None:
    """An existing file or folder is left unchanged; an empty folder may be filled."""
    folder = project.folder / "vlrb-mine"
    if make == "file":
        folder.write_text("kept")
    elif make == "link":
        folder.symlink_to(project.folder / "elsewhere")
    else:
        folder.mkdir()
        (folder / "kept.txt").write_text("kept")

    shown = project.vlrb("new-plugin", "mine", "--kind", "metric")

    assert shown.status == 4
    assert "vlrb-mine: already exists" in shown.err
    assert "--to FOLDER" in shown.err
    (project.folder / "other" / "vlrb-mine").mkdir(parents=True)
    assert project.vlrb("new-plugin", "mine", "--kind", "metric", "--to", "other").status == 0
    assert not [p for p in project.folder.iterdir() if p.name.startswith(".vlrb-new")]


def test_it_appears_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be written, and where another process was quicker, nothing is left half-written."""
    write = Path.write_text

    def full(self: Path, *arguments: Any, **more: Any) -> int:
        if self.name == "README.md":
            raise OSError(28, "No space left on device")
        return write(self, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space"):
            write_scaffold(Scaffold.of("mine", "metric"), tmp_path)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "vlrb-mine").mkdir()
    (tmp_path / "vlrb-mine" / "theirs.txt").touch()
    with pytest.raises(ConfigError, match="already exists"):
        write_scaffold(Scaffold.of("mine", "metric"), tmp_path)
    assert [p.name for p in (tmp_path / "vlrb-mine").iterdir()] == ["theirs.txt"]


@pytest.mark.parametrize(
    ("arguments", "lacking"),
    [((), "NAME and --kind KIND"), (("mine",), "--kind KIND"), (("--kind", "router"), "NAME")],
)
def test_nothing_is_asked_without_a_terminal(arguments: tuple[str, ...], lacking: str, project: Any) -> None:
    """In a script it does not wait for an answer, but says what to give."""
    shown = project.vlrb("new-plugin", *arguments)

    assert shown.status == 4
    assert f"not given: {lacking};" in shown.err
    assert "fix: vlrb new-plugin NAME --kind router|encoder" in shown.err


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, answers: str, *arguments: str) -> Result:
    """Run the command as on a terminal, with these answers."""
    monkeypatch.setattr(command, "can_ask", lambda: True)
    return CliRunner().invoke(command.new_plugin, [*arguments, "--to", str(folder)], input=answers)


def test_it_asks_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind, name and author are asked for; what cannot be used is asked for again."""
    answers = 'rooter\nmetric\nmy metric\nrank-score\nmy-metric\n\x07\nA "B" Ünal\n'
    done = asked(monkeypatch, tmp_path, answers)

    assert done.exit_code == 0, done.output
    for said in ("'rooter' is not one of", "'my metric' is not a name", "metric 'rank-score' already", "is not a name"):
        assert said in done.output
    folder = tmp_path / "vlrb-my-metric"
    assert 'authors = [{ name = "A \\"B\\" Ünal" }]' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert 'Copyright (c) A "B" Ünal' in (folder / "LICENSE").read_text(encoding="utf-8")


def test_what_is_offered_may_be_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return alone gives a router of that name; with all flags nothing is asked."""
    assert asked(monkeypatch, tmp_path, "\n\n\n").exit_code == 0
    assert (tmp_path / "vlrb-my-router" / "src" / "vlrb_my_router" / "__init__.py").is_file()
    assert "Author" not in asked(monkeypatch, tmp_path, "", "mine", "--kind", "figure").output


def test_the_next_commands_are_printed(project: Any) -> None:
    """They install, test and use the plugin from the folder where the command was given."""
    shown = project.vlrb("new-plugin", "mine", "--kind", "router", "--json").json
    text = project.vlrb("new-plugin", "other", "--kind", "command").out

    assert shown["folder"] == "vlrb-mine"
    assert "src/vlrb_mine/__init__.py" in shown["files"]
    assert [c.partition(" ")[2] for c in shown["next"]] == [
        '-m pip install -e "./vlrb-mine[testing]"',
        "-m pytest ./vlrb-mine",
        "run ./vlrb-mine/example.toml",
    ]
    assert text.splitlines()[-1].endswith("vlrb other")
