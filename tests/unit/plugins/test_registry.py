"""Finding components by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vlrb.api.components import RouterSpec
from vlrb.errors import ConfigError, PluginError
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry, implements, missing_requirements


def router(name: str, plugin: str, **more: Any) -> Registered:
    spec = RouterSpec(name=name, summary="", factory=object, **more)
    return Registered(spec, Plugin(plugin, "d", "1", "o", object=object()))


REGISTRY = Registry(
    (Plugin("left", "d", "1", "o", blocked=True), Plugin("bad", "d", "1", "o", error="it broke")),
    {"router": (router("knn", "a"), router("knn", "b"), router("mlp", "a"))},
    Selection(),
)


def test_a_bare_name_finds_what_is_unique() -> None:
    """A plugin that is installed later may not change which component an experiment means."""
    assert REGISTRY.find("router", "mlp").id == "a/mlp"
    assert REGISTRY.find("router", "b/knn").id == "b/knn"
    with pytest.raises(ConfigError) as caught:
        REGISTRY.find("router", "knn")
    assert caught.value.problems[0].fix == "write one of 'a/knn', 'b/knn'"


@pytest.mark.parametrize(("name", "hint"), [("mpl", "'mlp'"), ("a/mpl", "'a/mlp'"), ("mpl", "-p no:"), ("mpl", "left")])
def test_an_unknown_name_gets_a_hint(name: str, hint: str) -> None:
    """The closest name, written as the wrong one was, and the plugins that were left out: one of them may have it."""
    with pytest.raises(ConfigError) as caught:
        REGISTRY.find("router", name)
    fix = caught.value.problems[0].fix
    assert hint in fix
    assert ("a/" in fix) == ("/" in name)


def test_broken_plugins_are_refused_with_the_option_that_skips_them() -> None:
    """A run without them would silently lack what they observe."""
    with pytest.raises(PluginError) as caught:
        REGISTRY.check()
    (problem,) = caught.value.problems
    assert ("it broke" in problem.message, "-p no:d/bad" in problem.fix) == (True, True)


def test_an_object_that_fails_to_be_looked_at_implements_nothing() -> None:
    """A plugin's own __getattr__ must not end vlrb."""

    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError

    assert not implements(Plugin("p", "d", "1", "o", object=Odd()), "vlrb_run_start")
    assert not implements(Plugin("p", "d", "1", "o"), "vlrb_run_start")
    assert implements(Plugin("p", "d", "1", "o", object=SimpleNamespace(vlrb_run_start=print)), "vlrb_run_start")


def test_packages_that_are_not_installed_are_named() -> None:
    """Submodules of packages that are not there, too."""
    needs = ("numpy", "no_such_package", "no_such_package.inner", "")
    assert missing_requirements(router("r", "p", requires=needs).record) == needs[1:]
