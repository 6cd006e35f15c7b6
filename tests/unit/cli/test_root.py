"""The group of commands: those of plugins, and what is said of a wrong one."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from vlrb.cli import run
from vlrb.errors import ExitCode

PLUGIN = """
import click
from vlrb import CommandSpec, hookimpl

@click.command()
def greet():
    '''Say hello, at length.'''
    {body}

@hookimpl
def vlrb_commands():
    return [CommandSpec("greet", "says hello", lambda: {load}), CommandSpec("run", "mine", lambda: greet)]
"""


Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that installs the plugin and runs the command line."""
    module = f"greeting_{uuid.uuid4().hex}"
    info = tmp_path / "greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n", encoding="utf-8")
    entry = f"greeting = {module}\n"
    (info / "entry_points.txt").write_text(f"[vlrb]\n{entry}[vlrb.commands]\n{entry}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def run_it(*arguments: str, body: str = "click.echo('hello')", load: str = "greet") -> int:
        (tmp_path / f"{module}.py").write_text(PLUGIN.format(body=body, load=load), encoding="utf-8")
        sys.modules.pop(module, None)
        return int(run(list(arguments)))

    return run_it


def test_a_plugins_command_is_listed_and_run(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the summary of its record, without loading it."""
    assert call("greet") == ExitCode.OK
    assert capsys.readouterr().out == "hello\n"
    assert call("--help", load="1 / 0") == ExitCode.OK
    assert "says hello" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "load", "status", "said"),
    [
        ("1 / 0", "greet", ExitCode.PLUGIN, "ZeroDivisionError"),
        ("pass", "1 / 0", ExitCode.PLUGIN, "loading command 'greet'"),
        ("pass", "print", ExitCode.PLUGIN, "instead of a click command"),
        ("raise click.UsageError('not so')", "greet", ExitCode.USAGE, "not so"),
        ("raise click.Abort", "greet", ExitCode.INTERRUPTED, "interrupted"),
    ],
)
def test_a_failure_of_a_plugins_command_is_the_plugins(
    call: Call, capsys: pytest.CaptureFixture[str], body: str, load: str, status: int, said: str
) -> None:
    """Not vlrb's; what click raises to end a command means what it says."""
    assert call("greet", body=body, load=load) == status
    err = capsys.readouterr().err
    assert said in err
    assert ("plugin 'greeting'" in err) == (status == ExitCode.PLUGIN)


def test_a_plugin_replaces_no_command_of_vlrb(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """`vlrb run` is what the documentation says, whatever is installed."""
    assert call("run", "--help") == ExitCode.OK
    assert "Run an experiment" in capsys.readouterr().out
    assert call("--help") == ExitCode.OK
    assert "mine" not in capsys.readouterr().out


def test_a_misspelt_command_gets_a_hint(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Plugins' commands are among the hints."""
    assert call("gret") == ExitCode.USAGE
    assert "did you mean 'greet'" in capsys.readouterr().err
