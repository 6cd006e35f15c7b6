"""What is installed, as `list`, `plugins` and `hooks` show it."""

from __future__ import annotations

from typing import Any

import pytest

from vlrb.cli import catalog
from vlrb.errors import ExitCode

PLUGIN = """
import attrs
from vlrb import Dataset, Model, RouterSpec, hookimpl, param

@attrs.frozen
class Params:
    plain: int = param(default=3, help="how many")
    listed: tuple[str, ...] = param(default=())
    needed: str = param()

@hookimpl
def vlrb_routers():
    return [RouterSpec(name="odd", summary="an odd router", factory=object, params=Params, requires=("no_such_package",))]

@hookimpl
def vlrb_models():
    dear = Model(name="dear-one", parameters=7.5, input_price_per_million=2.0, output_price_per_million=4.0)
    return [Model(name="free-one"), dear]
"""


@pytest.fixture
def shown(project: Any) -> Any:
    """Return a function that runs a command with the plugin above."""
    file = project.file(PLUGIN, "odd.py")
    return lambda *arguments: project.vlrb("-p", file, *arguments)


def test_a_component_is_shown_with_its_parameters(shown: Any) -> None:
    """Types as they are written, defaults that are plain, which are required, and what has to be installed."""
    assert shown("list", "router", "odd").out.splitlines() == [
        "odd/odd  an odd router  [needs no_such_package]",
        "  plain: int = 3",
        "      how many",
        "  listed: tuple[str, ...]",
        "  needed: str (required)",
    ]
    assert shown("list", "router", "odd", "--json").json["router"][0]["parameters"][0] == {
        "name": "plain", "type": "int", "required": False, "default": "3", "help": "how many",
    }  # fmt: skip
    assert "  no parameters" in shown("list", "router", "cheapest").out


def test_models_are_shown_with_size_and_prices(shown: Any) -> None:
    """What is not published is said to be so."""
    out = shown("list", "models").out
    assert "2 / 4 USD per million tokens in / out, 7.5B" in out
    assert "no price / no price USD per million tokens in / out, size not published" in out


def test_a_plugin_that_cannot_be_loaded_is_warned_of(shown: Any, project: Any) -> None:
    """The others are listed; `plugins` says what is wrong, and which were left out."""
    project.file("raise RuntimeError('not today')", "odd.py")
    listed = shown("list", "router", "--json")
    assert listed.status == ExitCode.OK
    assert "cannot be loaded and is not listed: " in listed.err
    states = {e["name"]: (e["state"], e["detail"]) for e in shown("plugins", "--json").json}

    assert states["odd"][0] == "broken"
    assert "not today" in states["odd"][1]
    assert states["mlflow"] == ("blocked", "")
    assert states["models"] == ("loaded", "17 models")


def test_plugins_show_what_they_provide(shown: Any) -> None:
    """Counts and names of each kind, and the hooks by which a plugin observes runs."""
    entries = {e["name"]: e for e in shown("plugins", "--json").json}
    assert entries["odd"]["provides"] == {"model": ["dear-one", "free-one"], "router": ["odd"]}
    assert entries["vlmevalkit"]["provides"] == {"log-source": ["vlmevalkit"], "command": ["fetch"]}
    assert (entries["odd"]["observes"], entries["odd"]["settings"]) == ([], False)
    lines = shown("plugins").out.splitlines()

    assert lines[lines.index("odd: loaded") :][:3] == [
        "odd: loaded",
        "  2 models: dear-one, free-one",
        "  1 router: odd",
    ]
    assert "mlflow (vlrb 0.1.0): blocked" in lines


@pytest.mark.parametrize("width", [1, 20, 61, 500])
def test_plugins_are_shown_at_any_width(shown: Any, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Lines are wrapped between names, and no name is cut."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = shown("plugins").out.splitlines()
    names = [n for e in shown("plugins", "--json").json for those in e["provides"].values() for n in those]

    assert not set(names) - {word.strip(",") for line in lines for word in line.split()}
    assert [line for line in lines if line.startswith(" ") and len(line) > width and " " in line.strip()] == []


def test_commands_are_no_kind(shown: Any) -> None:
    """`vlrb --help` lists them."""
    assert "command" not in catalog.LISTED
    assert (shown("list", "command").status, shown("list", "log_sources").status) == (ExitCode.USAGE, ExitCode.OK)
