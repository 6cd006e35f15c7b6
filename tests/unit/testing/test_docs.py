"""The page on testing says what the kit does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import vlrb.testing
from vlrb.testing import fixtures
from vlrb.testing.plugins import promises_text

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
PLUGIN = """
import attrs
import numpy as np
from vlrb import RouterSpec, hookimpl, param


@attrs.frozen
class Params:
    threshold: int = param(default=80)


@attrs.frozen
class Fitted:
    params: Params
    strong: int
    cheap: int

    def route(self, queries):
        long = np.array([len(t) >= self.params.threshold for t in queries.texts], dtype=bool)
        return np.where(long, self.strong, self.cheap)


@attrs.frozen
class Router:
    params: Params

    def fit(self, train, dev, context):
        return Fitted(self.params, int(train.quality.mean(axis=0).argmax()), int(train.cost.mean(axis=0).argmin()))


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="my-router", summary="by length", factory=Router, params=Params)]
"""


def test_the_promises_are_those_of_the_kit() -> None:
    """`promises_text()` writes the tables of the page."""
    assert PAGE.read_text(encoding="utf-8").partition("<!-- promises -->\n\n")[2] == promises_text()


def test_every_name_is_in_the_page() -> None:
    """Fixtures and public functions are documented; names of kinds stand in the headings."""
    text = PAGE.read_text(encoding="utf-8")
    names = [n for n in dir(vlrb.testing) if n not in ("Ran",)]
    names += [n for n, v in vars(fixtures).items() if type(v).__name__ == "FixtureFunctionDefinition"]
    for name in names:
        assert re.search(rf"`{name}\b", text) or f"import {name}" in text, name


def test_the_code_of_the_page_runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader's tests pass as they stand: each promise by its name, the fixtures, a whole run."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    pytester.makepyfile(my_plugin=PLUGIN, test_mine=blocks[0] + "\n\n" + blocks[2])
    monkeypatch.syspath_prepend(pytester.path)
    done = pytester.runpytest_subprocess("-q", "-rs", "-p", "no:cacheprovider")
    outcomes: dict[str, Any] = done.parseoutcomes()

    assert outcomes.get("passed", 0) >= 12, done.stdout.str()
    assert outcomes.keys() <= {"passed", "skipped"}, done.stdout.str()


def test_expected_failures_are_strict(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expected failure is one; a promise that is kept after all fails its test, and so does one that is broken."""
    broken = PLUGIN.replace("np.where(long, self.strong, self.cheap)", "np.where(long, self.strong, len(queries) % 2)")
    pytester.makepyfile(
        my_plugin=broken,
        test_mine="""
        from my_plugin import vlrb_routers
        from vlrb.testing import router_checks
        (SPEC,) = vlrb_routers()
        test_it = router_checks(SPEC, expected_failures={"batch-does-not-matter": "by design", "empty-batch": "a reason"})
        """,
    )
    monkeypatch.syspath_prepend(pytester.path)
    done = pytester.runpytest_subprocess("-q", "-rA", "-p", "no:cacheprovider")

    done.stdout.re_match_lines_random([r"XFAIL.*batch-does-not-matter.*", r"FAILED.*empty-batch.*"])
    assert "remove it from expected_failures" in done.stdout.str()


def test_unknown_promises_and_parameters_are_refused() -> None:
    """A misspelt name in a test is an error at once, with the known names."""
    from vlrb import ConfigError
    from vlrb.testing.small import vlrb_routers

    (spec,) = vlrb_routers()
    with pytest.raises(ConfigError, match="did you mean 'empty-batch'"):
        vlrb.testing.router_checks(spec, expected_failures={"empty-bach": "why"})
    with pytest.raises(ConfigError, match="has no reason"):
        vlrb.testing.router_checks(spec, expected_failures={"empty-batch": ""})
    with pytest.raises(ConfigError, match="did you mean 'lambda'"):
        vlrb.testing.check_router(spec, lamda=3)


def test_stub_and_module_agree() -> None:
    """Every function of the stub takes a record by place and expected failures by name."""
    for name in dir(vlrb.testing):
        if name.endswith("_checks") or (name.startswith("check_")):
            parameters = inspect.signature(getattr(vlrb.testing, name)).parameters
            assert "expected_failures" in parameters, name
