"""What messages about wrong inputs hold: the thing, the value, the place and the fix, at a bounded length and without secrets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from vlrb.cli import run
from vlrb.errors import ExitCode

ROOT = Path(__file__).parents[2]
ERRORS = {"ConfigError", "DataError", "PluginError", "TrackingError"}
REGISTRATION = ROOT / "vlrb" / "plugins" / "checks.py"
"""Its errors become problems of the registry, which adds where and fix."""

PASSWORD = "hunter2"


def check(path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Write an experiment file and return the status of ``vlrb check`` and what it printed as errors."""
    path.write_text(text, encoding="utf-8")
    status = run(["check", str(path)])
    return status, capsys.readouterr().err


# --- place and fix ----------------------------------------------------------------------------------------------------


def raised() -> Iterator[tuple[Path, ast.Call]]:
    """Yield the errors that are made of one text, where the code makes them."""
    for folder in ("vlrb", "plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                    text = node.args[0] if node.args else None
                    if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and node.keywords):
                        yield file, node


def test_every_error_has_a_fix() -> None:
    """A user is told what to do about it, whatever it is."""
    calls = list(raised())
    without = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file, node in calls
        if file != REGISTRATION and "fix" not in {k.arg for k in node.keywords}
    ]

    assert len(calls) > 150
    assert without == []


@pytest.mark.parametrize("key", ["include", "plugins"])
@pytest.mark.parametrize(
    ("path", "said"),
    [("~no-such-user/x", "home folder"), ("b\\u0001", "control character"), ("a\\tb", "control character")],
)
def test_a_path_that_cannot_be_is_refused_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, path: str, said: str
) -> None:
    """Includes and plugins are read before all else, and refused like any other path: not as a fault of vlrb."""
    file = tmp_path / "a.toml"
    suffix = ".toml" if key == "include" else ".py"
    status, err = check(file, f'name = "a"\n{key} = ["{path}{suffix}"]\n', capsys)

    assert status == ExitCode.USAGE
    assert f"{file}: {key}[0]: " in err
    assert said in err
    assert "fix: " in err


def test_includes_that_are_no_list_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The value is named, with how to write it."""
    status, err = check(tmp_path / "a.toml", 'name = "a"\ninclude = 3\n', capsys)

    assert status == ExitCode.USAGE
    assert f"{tmp_path / 'a.toml'}: include: " in err
    assert "not 3\n    fix: write include = [" in err


# --- length -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cost_bounds", f'"{"x" * 100_000}"'),
        ("name", f"[{', '.join(['1'] * 10_000)}]"),
        ("seeds", f'"{"x" * 100_000}"'),
        ("seeds", f"[{', '.join(['1'] * 10_000)}]"),
    ],
)
def test_a_long_value_is_shortened(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str) -> None:
    """A message stays readable whatever the file holds."""
    status, err = check(tmp_path / "a.toml", f"{key} = {value}\n", capsys)

    assert status == ExitCode.USAGE
    assert f": {key}: must be " in err
    assert len(err) < 2_000


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'uri = ["http://me:hunter2@host/"]',
        f'uri = ["http://me:hunter2{"x" * 1000}@host/"]',
        'uri = "http://me:hunter2@host/\\u0001"',
        'password = ["hunter2"]',
        'password = "hunter2\\u0001"',
    ],
)
def test_no_secret_of_an_experiment_file_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """A value that is refused is shown without user name and password, however long it is."""
    status, err = check(tmp_path / "a.toml", f'name = "a"\n[plugin.mlflow]\n{text}\n', capsys)

    assert status == ExitCode.USAGE
    assert f"plugin.mlflow.{text.partition(' ')[0]}: " in err
    assert PASSWORD not in err


def test_no_secret_of_a_parameter_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key with a secret's name is refused without its value."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from vlrb import hookimpl\nfrom vlrb.api.components import param\nimport attrs\n"
        "@attrs.frozen\nclass Mine:\n    api_key: str = param(default='')\n"
        "@hookimpl\ndef vlrb_settings():\n    return Mine\n",
        encoding="utf-8",
    )
    text = f'name = "a"\nplugins = ["mine.py"]\n[plugin.mine]\napi_key = ["{PASSWORD}"]\n'
    status, err = check(tmp_path / "a.toml", text, capsys)

    assert status == ExitCode.USAGE
    assert "plugin.mine.api_key: must be a string" in err
    assert PASSWORD not in err


def test_two_files_that_differ_in_a_secret_show_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and key are named, the two values without what is secret in them."""
    for key, value in (("uri", "http://me:hunter2@host/"), ("password", "hunter2")):
        (tmp_path / "b.toml").write_text(f'[plugin.mlflow]\n{key} = "{value}b"\n', encoding="utf-8")
        text = f'name = "a"\ninclude = ["b.toml"]\n[plugin.mlflow]\n{key} = "{value}a"\n'
        status, err = check(tmp_path / "a.toml", text, capsys)

        assert status == ExitCode.USAGE
        assert f"plugin.mlflow.{key}: " in err
        assert str(tmp_path / "b.toml") in err
        assert PASSWORD not in err


# --- the right direction ----------------------------------------------------------------------------------------------


def test_a_wrong_key_of_a_sweep_is_placed_in_the_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key stands in the table sweep, not in the router's own; so does a value that is out of range."""
    sweep = '[[router]]\nuse = "knn"\nsweep = { nosuch = [1, 2], k = [0, 1] }\n'
    status, err = check(tmp_path / "a.toml", f'name = "a"\n[logs]\nuse = "demo"\n{sweep}', capsys)

    assert status == ExitCode.USAGE
    assert "router[0].sweep.nosuch: unknown key" in err
    assert "router[0].sweep.k: must be >= 1, not 0" in err
    assert "router[0].k:" not in err


def test_an_option_after_the_command_is_told_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """-p, --runs and --cache belong before the command; of other options nothing is said."""
    assert run(["check", "a.toml", "-p", "mine.py"]) == ExitCode.USAGE
    assert "vlrb -p ... check ..." in capsys.readouterr().err
    assert run(["check", "a.toml", "--nosuch"]) == ExitCode.USAGE
    assert "before the command" not in capsys.readouterr().err
