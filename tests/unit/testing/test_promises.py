"""Each promise of the conformance kit is broken by a plugin that keeps all others."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vlrb.testing.kinds import TABLES, table_of
from vlrb.testing.promises import problems_of

BAD = Path(__file__).parents[2] / "bad_plugins" / "promises"


def file_of(kind: str) -> str:
    """Return the name of the file with the plugins that break a kind's promises."""
    return f"{kind.replace('-', '_')}s"


def plugins_of(kind: str) -> Any:
    """Import the plugins of a kind."""
    spec = importlib.util.spec_from_file_location(f"bad_{file_of(kind)}", BAD / f"{file_of(kind)}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def broken(kind: str, spec: Any, params: dict[str, Any]) -> set[str]:
    """Return the names of the promises that a plugin breaks."""
    return {p.message.split("'")[1] for p in problems_of(table_of(kind), spec, params, {})}


def cases() -> Iterator[Any]:
    """Return kind, promise and record of every bad plugin."""
    for kind in TABLES:
        if not (BAD / f"{file_of(kind)}.py").is_file():
            continue
        for i, (promise, spec, *params) in enumerate(plugins_of(kind).BAD):
            yield pytest.param(kind, promise, spec, dict(*params), id=f"{kind}-{promise}-{i}")


@pytest.mark.parametrize(("kind", "promise", "spec", "params"), list(cases()))
def test_a_bad_plugin_breaks_exactly_its_promise(kind: str, promise: str, spec: Any, params: dict[str, Any]) -> None:
    """The kit finds what is wrong, and finds nothing else wrong."""
    assert broken(kind, spec, params) == {promise}


@pytest.mark.parametrize("kind", TABLES)
def test_every_promise_has_a_bad_plugin_and_a_good_one_keeps_all(kind: str) -> None:
    """No promise goes untested."""
    module = plugins_of(kind)

    assert {promise for promise, *_ in module.BAD} == set(table_of(kind).names())
    for spec, *params in (g if isinstance(g, tuple) else (g,) for g in module.GOOD):
        assert broken(kind, spec, dict(*params)) == set()


def test_a_misspelt_keyword_of_a_record_is_refused() -> None:
    """Records have no parameters: what is given is meant for something else."""
    from vlrb import Dataset
    from vlrb.errors import ConfigError
    from vlrb.testing import check_dataset

    with pytest.raises(ConfigError, match="has no parameter 'expected_failure'"):
        check_dataset(Dataset(name="Mine", group="general"), expected_failure={"a": "b"})
