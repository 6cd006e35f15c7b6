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


def test_commands_are_no_kind(shown: Any) -> None:
    """`vlrb --help` lists them."""
    assert "command" not in catalog.LISTED
    assert (shown("list", "command").status, shown("list", "log_sources").status) == (ExitCode.USAGE, ExitCode.OK)
