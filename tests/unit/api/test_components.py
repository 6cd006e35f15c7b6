"""The records of components."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vlrb.api.components import Imported, NoParams, ReporterSpec, RouterSpec, ScorerSpec
from vlrb.errors import PluginError


def test_a_factory_by_its_place_is_imported_when_it_is_called() -> None:
    """A plugin names its classes as texts, so that its registration imports none of them."""
    code = (
        "import sys\nfrom vlrb import RouterSpec\n"
        "spec = RouterSpec(name='r', summary='', factory='fractions:Fraction', load='fractions:Fraction')\n"
        "before = 'fractions' in sys.modules\n"
        "print(before, spec.factory('1/2'), spec.load('3'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "1/2", "3"]


@pytest.mark.parametrize("place", ["fractions", "fractions.Fraction", "fractions:", ":Fraction", "a b:c", ".a:b"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    """A misspelt place is found when the plugin is loaded, not in the middle of a run."""
    with pytest.raises(ValueError, match="place") as caught:
        RouterSpec(name="r", summary="", factory=place)

    assert (
        str(caught.value)
        == f"a function or class is given itself or by its place 'package.module:Name', not as {place!r}"
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("fractions:Fractoin", "module 'fractions' has no 'Fractoin'"),
        ("fractoins:Fraction", "there is no module 'fractoins'"),
        ("xml.nothing:Name", "there is no module 'xml.nothing'"),
        ("nothing.inner:Name", "there is no module 'nothing'"),
    ],
)
def test_a_place_where_nothing_is_names_what_is_missing(place: str, said: str) -> None:
    """The text is what the author has to correct; frames of importlib say nothing."""
    with pytest.raises(PluginError) as caught:
        Imported(place)()

    fix = "correct the text, or give the function or class itself"
    assert str(caught.value) == f"{place!r} cannot be imported: {said}\n    fix: {fix}"


@pytest.mark.parametrize(
    ("code", "error"), [("import nothing_there", ModuleNotFoundError), ("import json\njson.nothing", AttributeError)]
)
def test_an_error_of_the_modules_own_code_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    """Its traceback leads to the line."""
    (tmp_path / "own_fault.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error):
        Imported("own_fault:Name")()


def test_a_report_on_something_else_is_refused() -> None:
    """In words, with the report and the value."""
    with pytest.raises(ValueError, match="build") as caught:
        ReporterSpec(name="r", summary="", factory=print, on="build")  # type: ignore[arg-type]

    assert str(caught.value) == "on of 'r' must be 'run', 'benchmark', 'comparison' or 'export', not 'build'"


def test_a_factory_that_is_a_function_stays_what_it_is() -> None:
    """The example router gives its class."""
    assert ScorerSpec(name="s", summary="", factory=NoParams).factory is NoParams
