"""Looking up what an experiment file names: by kind, with strict parameters, and every problem once, at its key."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.api.components import ReporterSpec, RouterSpec, SplitterSpec, param
from vlrb.errors import Problem
from vlrb.experiment.document import Document
from vlrb.experiment.lookup import Lookup
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry

PLUGIN = Plugin("p", "d", "1", "o", object=object())


@attrs.frozen
class Params:
    k: int = param(default=5)
    weights: str = attrs.field(default="", metadata={"folder_or_name": True}, kw_only=True)


def router(name: str, **more: Any) -> Registered:
    return Registered(RouterSpec(name=name, summary="", factory=object, params=Params, **more), PLUGIN)


def reporter(name: str) -> Registered:
    return Registered(ReporterSpec(name=name, summary="", factory=object, params=Params, on="run"), PLUGIN)


def lookup_in(folder: Path, *blocked: str, **tree: Any) -> Lookup:
    """Return a lookup for a file in a folder."""
    records = {
        "router": (router("knn"), router("lame", requires=("no_such_package",), extra="lame")),
        "reporter": (reporter("page"), reporter("table")),
        "splitter": (Registered(SplitterSpec(name="grouped", summary="", factory=object), PLUGIN),),
    }
    plugins = (PLUGIN, *(Plugin(name, "d", "1", "o", blocked=True) for name in blocked))
    return Lookup(Document(folder / "x.toml", tree, {}), Registry(plugins, records, Selection()))


@pytest.fixture
def lookup(tmp_path: Path) -> Lookup:
    return lookup_in(tmp_path, protocol="paper")


def said(lookup: Lookup) -> list[tuple[str, str, str]]:
    """Return key, message and fix of the problems."""
    return [(p.where.rpartition("x.toml: ")[2], p.message, p.fix) for p in lookup.problems]


def test_a_component_is_found_with_its_parameters(lookup: Lookup) -> None:
    """By either name; keys that are not the component's are left alone."""
    for use in ("knn", "p/knn"):
        table = {"use": use, "k": 3, "label": "mine"}
        found = lookup.component("router", table, ("router", 0), other_keys=("label",))
        assert found is not None
        assert (found.registered.id, found.params, found.path) == ("p/knn", Params(k=3), ("router", 0))
    default = lookup.component("router", {}, ("router",), default="knn")
    assert default is not None
    assert default.params == Params()
    assert lookup.problems == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (3, ("router[0]", "must be a table, not 3", "")),
        ({}, ("router[0].use", "is missing", "add use = NAME, one of: knn, lame")),
        ({"use": 3}, ("router[0].use", "must be a string, not 3", "")),
        ({"use": "knm"}, ("router[0].use", "there is no router 'knm'", "did you mean 'knn'?")),
        ({"use": "lame"}, ("router[0].use", "router 'p/lame' needs no_such_package", 'pip install "vlrb[lame]"')),
        ({"use": "knn", "weight": 3}, ("router[0].weight", "unknown key", "did you mean 'weights'?")),
    ],
)
def test_a_wrong_table_is_a_problem_at_its_key(lookup: Lookup, table: Any, problem: tuple[str, str, str]) -> None:
    """Nothing is raised, so that a file with several mistakes gets them all at once."""
    lookup.component("router", table, ("router", 0))

    assert said(lookup) == [problem]


def test_a_component_that_was_renamed_is_refused_with_its_new_name(lookup: Lookup) -> None:
    """An experiment file of an earlier version."""
    assert lookup.component("splitter", {"use": "stratified"}, ("split",)) is None

    assert said(lookup)[0][2] == "it is now called 'grouped'"


def test_a_problem_is_noted_once(lookup: Lookup) -> None:
    """A sweep resolves the same table for every point."""
    for _ in range(2):
        lookup.problem(("router", 0, "k"), "is wrong", "mend")
    lookup.note(Problem("is wrong", lookup.document.where(("router", 0, "k")), "mend"))

    assert len(lookup.problems) == 1


def test_a_protocol_fills_in_what_the_file_leaves_out(lookup: Lookup) -> None:
    """At any depth; a key that says the same is fine."""
    table: dict[str, Any] = {"split": {"seed": 1}, "cost_bounds": "all"}
    lookup.fill_in(table, {"split": {"use": "samples", "seed": 1}, "cost_bounds": "all", "seeds": [42]}, ())

    assert table == {"split": {"use": "samples", "seed": 1}, "cost_bounds": "all", "seeds": [42]}
    assert lookup.problems == []


def test_a_file_may_not_contradict_its_protocol(lookup: Lookup) -> None:
    """A table that names a protocol cannot mean another one; the preset itself is not changed."""
    preset = {"split": {"use": "samples"}}
    table: dict[str, Any] = {"split": {"use": "grouped"}}
    lookup.fill_in(table, preset, ())

    assert said(lookup) == [("split.use", "protocol = \"paper\" stands for 'samples', not 'grouped'", "remove the key")]
    assert preset == {"split": {"use": "samples"}}


def test_what_a_file_gives_is_not_changed_by_a_protocol(lookup: Lookup) -> None:
    """The document's own tables stay as they were read: they are shown again, and other routers read them."""
    given: dict[str, Any] = {"seed": 1}
    lookup.fill_in({"split": given}, {"split": {"use": "samples"}}, ())

    assert given == {"seed": 1}


@pytest.mark.parametrize(("value", "is_folder"), [("there", True), ("./gone", True), ("org/model", False), ("", False)])
def test_a_folder_is_looked_for_beside_the_file(tmp_path: Path, lookup: Lookup, value: str, is_folder: bool) -> None:
    """One that exists, or that is written like one; anything else is the name of something elsewhere."""
    (tmp_path / "there").mkdir()
    found = lookup.component("router", {"use": "knn", "weights": value}, ("router", 0))

    assert found is not None
    assert found.params.weights == (str((tmp_path / value).resolve()) if is_folder else value)


def test_a_folder_of_an_unknown_user_is_a_problem_at_its_key(lookup: Lookup) -> None:
    """It cannot be made absolute."""
    lookup.component("router", {"use": "knn", "weights": "~no-such-user/x"}, ("router", 0))

    assert [key for key, _, _ in said(lookup)] == ["router[0].weights"]


def test_a_table_replaces_the_default_of_the_same_component(lookup: Lookup) -> None:
    """The defaults keep their order, and further ones come after them."""
    found = lookup.with_defaults("reporter", "report", [{"use": "page", "k": 9}], ["p/page", "p/table"])

    assert [(c.registered.id, c.params.k) for c in found] == [("p/page", 9), ("p/table", 5)]
    assert lookup.problems == []


def test_a_component_that_is_configured_twice_is_a_problem(lookup: Lookup) -> None:
    """Under either of its names: which of the two would count?"""
    lookup.with_defaults("reporter", "report", [{"use": "page"}, {"use": "p/page"}], [])

    assert said(lookup) == [("report[1]", "'p/page' is configured twice", "keep one of the tables")]


def test_default_reports_of_a_plugin_that_is_left_out_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They change no result, which is why the run goes on; a default of another kind is a problem."""
    lookup = lookup_in(tmp_path, "gone")
    with caplog.at_level(logging.WARNING, "vlrb"):
        found = lookup.with_defaults("reporter", "report", [], ["gone/x", "p/page"])
    assert [c.registered.id for c in found] == ["p/page"]
    assert "gone/x is left out" in caplog.text
    assert lookup.problems == []

    assert lookup.with_defaults("router", "router", [], ["gone/x"]) == ()
    assert len(lookup.problems) == 1
