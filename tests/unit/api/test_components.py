"""The records of components."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vlrb.api.components import NoParams, RouterSpec, ScorerSpec


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


@pytest.mark.parametrize("place", ["fractions", "fractions.Fraction", "fractions:", ":Fraction", "a b:c"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    """A misspelt place is found when the plugin is loaded, not in the middle of a run."""
    with pytest.raises(ValueError, match="place"):
        RouterSpec(name="r", summary="", factory=place)


def test_a_factory_that_is_a_function_stays_what_it_is() -> None:
    """The example router gives its class."""
    assert ScorerSpec(name="s", summary="", factory=NoParams).factory is NoParams
