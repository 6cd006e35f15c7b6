"""What shells offer after the Tab key, as click's scripts ask for it, and in the shells that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from installed import install

from vlrb import cli

SHELLS = ("bash", "zsh", "fish")
BROKEN = """
from vlrb import CommandSpec, hookimpl

def load():
    raise RuntimeError("loaded")

@hookimpl
def vlrb_commands():
    return [CommandSpec("greet", "Say hello.", load)]
"""
ROUTERS = (
    '[[router]]\nuse = "cheapest"\n[[router]]\nuse = "baselines/random"\n[[router]]\nuse = "knn"\nlabel = "close"\n'
)

Ask = Callable[[str, str], list[str]]


def asked(shell: str, line: str) -> dict[str, str]:
    """Return the variables by which the script of a shell asks for completions at the end of a line."""
    words = line.split(" ")
    current = words[-1] if shell == "fish" else str(len(words) - 1)
    return {"_VLRB_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": current}


@pytest.fixture
def ask(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function of a shell and a line that returns the completions, as ``value`` or ``<type>``."""

    def completed(shell: str, line: str) -> list[str]:
        for name, value in asked(shell, f"vlrb {line}").items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.run([])
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        lines = out.splitlines() if out.strip() else []
        if shell == "zsh":
            lines = [f"{kind},{value}" for kind, value in zip(lines[::3], lines[1::3], strict=True)]
        pairs = [each.split("\t")[0].split(",", 1) for each in lines]
        return [value if kind == "plain" else f"<{kind}>" for kind, value in pairs]

    return completed


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("li", ["list"]),
        ("fe", ["fetch"]),
        ("run --j", ["--jobs", "--json"]),
        ("fetch --re", ["--repo", "--revision"]),
        ("run ", ["<file>"]),
        ("check exp", ["<file>"]),
        ("list r", ["router", "reporter"]),
        ("list router kn", ["knn"]),
        ("list routers baselines/c", ["baselines/cheapest"]),
        ("list splitter l", ["leave-one-out"]),
        ("list nosuch ", []),
        ("run experiment.toml --only ", ["cheapest", "random", "close"]),
        ("run experiment.toml --only close --only r", ["random"]),
        ("run experiment.toml --fresh c", ["cheapest", "close"]),
        ("run missing.toml --only ", []),
        ("run --only ", []),
        ("report ", []),
        ("report --format l", ["latex"]),
        ("nosuch --x", []),
    ],
)
def test_each_shell_is_offered_what_fits(project: Any, ask: Ask, shell: str, line: str, offered: list[str]) -> None:
    """Commands of plugins, options, kinds, components by either name, labels of the file's routers; no error on stderr."""
    project.experiment(ROUTERS)

    assert ask(shell, line) == offered


@pytest.mark.parametrize("command", ["report", "verify", "compare"])
def test_finished_runs_are_offered(project: Any, ask: Ask, command: str) -> None:
    """An experiment's name, and after a slash its runs; only finished runs are offered."""
    for name in ("mine/20260101-1", "mine/20260102-2", "other/20260101-3"):
        (project.folder / "runs" / name).mkdir(parents=True)
    for name in ("mine/20260101-1", "mine/20260102-2"):
        (project.folder / "runs" / name / "results.json").write_text("{}", encoding="utf-8")

    assert ask("bash", f"{command} ") == ["mine"]
    assert ask("bash", f"{command} mine/20260102") == ["mine/20260102-2"]


def test_a_command_of_a_plugin_is_offered_without_loading_it(
    project: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completion stays fast, and a command that cannot be loaded prints no error at the prompt."""
    site = project.folder / "site"
    install(site, "dist-greet", "greet = greeting", {"greeting.py": BROKEN}, groups=("vlrb", "vlrb.commands"))
    monkeypatch.syspath_prepend(str(site))

    assert ask("zsh", "gr") == ["greet"]
    assert "cache" in ask("bash", "")
    assert ask("bash", "greet --x") == []


def test_a_plugin_that_prints_spoils_no_answer(project: Any) -> None:
    """What it prints when it is loaded goes to stderr."""
    code = "from vlrb import hookimpl\nprint('hello')\n@hookimpl\ndef vlrb_routers(): return []\n"
    file = project.file(code, "loud.py")
    environment = os.environ | asked("bash", f"vlrb -p {file} list router kn")
    out, err = project.process(env=environment, mlflow=True).communicate()

    assert (out, err) == ("plain,knn\n", "hello\n")


def test_completion_imports_nothing_heavy(project: Any) -> None:
    """The prompt waits for it: neither arrays nor tables nor trackers are loaded, even for names of components."""
    code = (
        "import sys\nfrom vlrb import cli\ntry:\n    cli.run([])\nexcept SystemExit:\n    pass\n"
        "print(*{'numpy', 'pyarrow', 'pandas', 'mlflow', 'sklearn', 'torch'} & set(sys.modules), file=sys.stderr)"
    )
    project.experiment(ROUTERS)
    for line in ("vlrb ", "vlrb list router ", "vlrb run experiment.toml --only ", "vlrb report "):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | asked("bash", line),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.strip() == "", line


# --- in real shells ------------------------------------------------------------------------------------------------------

ANSWERS = {
    "bash": 'eval "$(_VLRB_COMPLETE=bash_source vlrb)"; COMP_WORDS=(vlrb list router kn); COMP_CWORD=3; '
    '_vlrb_completion vlrb; printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": "compdef() { : }; compadd() { shift 4; print -l -- ${(P)1} }; "
    "_describe() { print -l -- ${${(P)3}%%:*} }; "
    'eval "$(_VLRB_COMPLETE=zsh_source vlrb)"; words=(vlrb list router kn); CURRENT=4; _vlrb_completion',
    "fish": '_VLRB_COMPLETE=fish_source vlrb | source; complete -C "vlrb list router kn" | string split -f 1 \\t',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_works_in_the_shell(project: Any, shell: str) -> None:
    """The script that the documentation has a user load, in the shell itself."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    vlrb: Path = project.folder / "bin" / "vlrb"
    vlrb.parent.mkdir()
    vlrb.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vlrb "$@"\n', encoding="utf-8")
    vlrb.chmod(0o755)
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    environment = os.environ | {"PATH": f"{vlrb.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(project.folder)}
    done = subprocess.run(
        [found, *quiet, "-c", ANSWERS[shell]], env=environment, capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["knn"], done.stderr
