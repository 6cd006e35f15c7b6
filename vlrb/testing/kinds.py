"""Checks of components by their kinds: at once, or as parametrised tests with one id per promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from vlrb.errors import ConfigError, did_you_mean
from vlrb.testing.promises import (
    BrokenPromise,
    NotPromised,
    Table,
    check_expected,
    found_broken,
    kept_after_all,
    problem_of,
    problems_of,
)

TABLES: Mapping[str, str] = {
    "router": "vlrb.testing.routers:ROUTER",
    "encoder": "vlrb.testing.features:ENCODER",
    "fusion": "vlrb.testing.features:FUSION",
    "scorer": "vlrb.testing.answers:SCORER",
    "token-counter": "vlrb.testing.answers:COUNTER",
    "splitter": "vlrb.testing.measures:SPLITTER",
    "metric": "vlrb.testing.measures:METRIC",
    "log-source": "vlrb.testing.logs:LOGS",
    "executor": "vlrb.testing.executors:EXECUTOR",
    "reporter": "vlrb.testing.outputs:REPORT",
    "figure": "vlrb.testing.outputs:FIGURE",
    "protocol": "vlrb.testing.records:PROTOCOL",
    "command": "vlrb.testing.records:COMMAND",
    "dataset": "vlrb.testing.records:DATASET",
    "model": "vlrb.testing.records:MODEL",
    "observer": "vlrb.testing.observers:OBSERVER",
}
"""Kind -> the table of its promises, imported when it is first used."""


def table_of(kind: str) -> Table:
    """Return the promises of a kind.

    :raises ConfigError: when the kind is unknown
    """
    if kind not in TABLES:
        raise ConfigError(f"there is no kind {kind!r}", where="vlrb.testing", fix=did_you_mean(kind, TABLES))
    table: Table = resolve_name(TABLES[kind])
    return table


def check(kind: str, spec: Any, /, *, expected_failures: Mapping[str, str] | None = None, **params: Any) -> None:
    """Try all promises of a kind on a component.

    :raises BrokenPromise: with every promise that is broken, and every expected failure that did not happen
    """
    if problems := list(problems_of(table_of(kind), spec, params, expected_failures or {})):
        raise BrokenPromise(problems)


def checks(kind: str, spec: Any, /, *, expected_failures: Mapping[str, str] | None = None, **params: Any) -> Any:
    """Return a parametrised test of a component, with one id per promise; assign it to a name that begins with ``test``."""
    import pytest

    table, expected = table_of(kind), dict(expected_failures or {})
    check_expected(table, expected)

    @pytest.mark.parametrize("promise", table.promises, ids=table.names())
    def test_promise(promise: Any, tmp_path: Path) -> None:
        __tracebackhide__ = True
        try_promise(table, promise, spec, params, tmp_path, expected)

    return test_promise


def try_promise(
    table: Table, promise: Any, spec: Any, params: Mapping[str, Any], folder: Path, expected: Mapping[str, str]
) -> None:
    """Try a promise in a test: it passes, fails, is expected to fail, or is skipped where there is nothing to try."""
    __tracebackhide__ = True
    import pytest

    try:
        found = found_broken(table, promise, spec, params, folder)
    except NotPromised as nothing:
        pytest.skip(str(nothing))
    reason = expected.get(promise.name, "")
    if reason and found:
        pytest.xfail(f"{reason}: {found}")
    problem = kept_after_all(table, promise, spec, reason) if reason else None
    problem = problem_of(table, promise, spec, found) if found else problem
    if problem is not None:
        raise BrokenPromise(problem)


CHECKS: Mapping[str, Callable[..., Any]] = {
    name: partial(function, kind)
    for kind in TABLES
    for name, function in (
        (f"check_{kind.replace('-', '_')}", check),
        (f"{kind.replace('-', '_')}_checks", checks),
    )
}
"""Public name -> function: ``check_router`` and ``router_checks``, and so on for every kind."""
