"""The loader: what it finds, refuses, and blames."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import ConfigError, PluginError
from vlrb.plugins import discovery as plugins
from vlrb.plugins.blame import blame
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection

BAD = Path(__file__).parents[2] / "bad_plugins"

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts a distribution with one plugin on the path."""

    def put(dist: str, module: str, code: str, entry: str = "", version: str = "1.0") -> Path:
        site = tmp_path / f"site-{dist}"
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[vlrb]\n{entry or module} = {module}\n", encoding="utf-8")
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        return site

    return put


ROUTER = """
from vlrb import hookimpl
from vlrb.api.components import RouterSpec
@hookimpl
def vlrb_routers():
    return [RouterSpec(name="{name}", summary="s", factory=object)]
"""


def test_a_file_with_the_name_of_a_plugin_is_to_be_renamed(tmp_path: Path) -> None:
    """Nothing in it is wrong; the other plugin, which may be a bundled one, cannot be renamed as easily."""
    file = tmp_path / "metrics.py"
    file.write_text(ROUTER.format(name="r"), encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        load(Selection((str(file),))).check()

    assert [p.message.split(":")[1] for p in caught.value.problems] == [" its name is taken twice"] * 2
    fixes = [p.fix.split(",")[0] for p in caught.value.problems]
    assert fixes == ["rename the other plugin", "rename the file"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("syntax_error", "SyntaxError"),
        ("import_error", "No module named 'not_there_at_all'"),
        ("exits", "SystemExit"),
        ("wrapper", "vlrb_routers is declared a wrapper"),
        ("no_decorator", "vlrb_routers lacks the decorator @hookimpl"),
        ("unknown_hook", "did you mean 'vlrb_routers'"),
        ("wrong_argument", "unexpected"),
        ("no_hook", "it implements no vlrb hook"),
        ("returns_none", "vlrb_routers must return a list of RouterSpec, not NoneType"),
        ("returns_wrong_record", "vlrb_routers must return RouterSpec records, not str"),
        ("returns_twice", "vlrb_routers returns 'r' twice"),
        ("raises", "RuntimeError: not today"),
        ("clashing_model", "model 'GPT4o' is registered by plugin 'models'"),
        ("bad_settings", "vlrb_settings must return an attrs class"),
        ("bad_name", "kebab-case"),
    ],
)
def test_a_bad_plugin_is_refused_with_its_reason_and_the_others_load(name: str, said: str) -> None:
    """Each way in which a plugin can be wrong: named, never half-loaded, and no other plugin suffers."""
    registry = load(Selection((str(BAD / f"{name}.py"),)))

    broken = registry.broken()
    assert [p.name for p in broken] == [name]
    assert said in broken[0].error
    with pytest.raises(PluginError) as caught:
        registry.check()
    assert name in str(caught.value)
    assert f"-p no:{name}" in str(caught.value)
    assert registry.find("router", "knn").plugin.name == "feature-routers"
    assert not [r for r in registry.all("router") if r.plugin.name == name]


def test_two_dists_with_one_plugin_name_are_an_error_that_names_both(install: Install) -> None:
    """Nobody wins silently; leaving one out by DIST/NAME solves it."""
    install("dist-one", "one_module", ROUTER.format(name="r-one"), entry="same")
    install("dist-two", "two_module", ROUTER.format(name="r-two"), entry="same")

    broken = load(Selection()).broken()
    assert {(p.dist, p.name) for p in broken} == {("dist-one", "same"), ("dist-two", "same")}
    assert all("dist-one 1.0" in p.error and "dist-two 1.0" in p.error for p in broken)

    registry = load(Selection(blocked=("dist-one/same",)))
    assert not registry.broken()
    assert registry.find("router", "r-two").plugin.dist == "dist-two"


def test_a_blocked_plugin_is_never_imported(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that would break on import can be left out, by option or environment."""
    install(
        "dist-bad",
        "bad_module",
        f"open({str(tmp_path / 'imported')!r}, 'w').close()\nraise ImportError('x')",
        entry="bad",
    )

    registry = load(Selection.of(["no:bad"]))
    assert not registry.broken()
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "dist-bad/bad")
    assert not load(Selection.of([])).broken()
    assert not (tmp_path / "imported").exists()


def test_an_unknown_name_to_leave_out_is_an_error() -> None:
    """A typo in -p no:NAME must not run with what was to be left out."""
    with pytest.raises(ConfigError, match="did you mean 'mlflow'"):
        load(Selection.of(["no:mlfow"]))


def test_every_plugin_error_names_plugin_dist_version_and_place(install: Install) -> None:
    """What a plugin raises while it works is blamed on it, with file and line."""
    install(
        "dist-odd", "odd_module", ROUTER.format(name="odd") + "\ndef work():\n    raise KeyError('gone')\n", entry="odd"
    )
    plugin = load(Selection()).find("router", "odd").plugin

    with pytest.raises(PluginError) as caught, blame(plugin, "working"):
        plugin.object.work()
    text = str(caught.value)
    assert "plugin 'odd' (dist-odd 1.0) failed while working: KeyError: 'gone'" in text
    assert "odd_module.py:9" in text
    assert "-p no:dist-odd/odd" in text


def test_command_plugins_are_the_only_ones_that_help_loads() -> None:
    """The group vlrb.commands lists exactly those plugins that register commands."""
    listed = {e.name for e in importlib.metadata.entry_points(group=plugins.COMMAND_GROUP)}
    registry = load(Selection())

    assert {r.plugin.name for r in registry.all("command")} == listed
    assert {p.name for p in load(Selection(), commands_only=True).plugins} == listed


def test_module_plugins_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-p MODULE loads an importable module that is not installed as a plugin."""
    (tmp_path / "loose_plugin.py").write_text(ROUTER.format(name="loose"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = load(Selection(("loose_plugin",)))

    assert registry.find("router", "loose_plugin/loose").name == "loose"
    missing: Any = load(Selection((str(tmp_path / "nothing.py"),))).broken()
    assert "no such file" in missing[0].error


def test_a_plugin_that_fails_to_register_is_named_with_its_line(tmp_path: Path) -> None:
    """The line of the plugin is where its author has to look."""
    file = tmp_path / "mine.py"
    file.write_text("from vlrb import hookimpl\n@hookimpl\ndef vlrb_routers():\n    return 1 / 0\n", encoding="utf-8")
    registry = load(Selection.of((), (str(file),)))
    (broken,) = registry.broken()

    assert "ZeroDivisionError" in broken.error
    assert f"{file}:4" in broken.error
