"""Checks of everything that a plugin registers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import KINDS
from vlrb.api.hookspecs import LIFECYCLE
from vlrb.api.logs import Catalog
from vlrb.errors import ConfigError, Problem, did_you_mean
from vlrb.plugins.checks import check_hooks, records_of
from vlrb.plugins.plugin import Plugin
from vlrb.testing.kinds import TABLES, table_of, try_promise
from vlrb.testing.logs import installed_catalog
from vlrb.testing.promises import BrokenPromise, Promise, Table, check_expected, name_of, problems_of

Named = Mapping[str, Mapping[str, Any]]
"""KIND/NAME of a component, such as ``router/my-router``, or ``observer`` -> parameters, or expected failures."""


@attrs.frozen
class Part:
    """Something that a plugin registers, and how it is checked."""

    id: str
    table: Table
    spec: Any
    params: Mapping[str, Any]
    expected: Mapping[str, str]


def parts_of(plugin: Any, params: Named, expected: Named) -> list[Part]:
    """Return everything that a plugin registers, and the plugin itself if it observes runs.

    :raises ConfigError: for parameters or expected failures of what the plugin does not register
    :raises PluginError: when the plugin cannot be loaded by a run
    """
    loaded = Plugin(name_of(plugin).rpartition(".")[2], name_of(plugin), "", "", object=plugin)
    check_hooks(loaded)
    found = {f"{kind}/{r.name}": (kind, r.record) for kind in KINDS for r in records_of(loaded, kind)}
    if any(callable(getattr(plugin, hook, None)) for hook in LIFECYCLE):
        found["observer"] = ("observer", plugin)
    for key in (*params, *expected):
        if key not in found:
            where = "params" if key in params else "expected_failures"
            raise ConfigError(f"{name_of(plugin)} has no {key!r}", where=where, fix=did_you_mean(key, found))
    catalog = _catalog([record for _, record in found.values()])
    parts = []
    for key, (kind, record) in found.items():
        given = {**({"catalog": catalog} if kind == "log-source" else {}), **params.get(key, {})}
        parts.append(Part(key, table_of(kind), record, given, expected.get(key, {})))
        check_expected(parts[-1].table, parts[-1].expected)
    return parts


def _catalog(records: list[Any]) -> Catalog:
    """Return the datasets and models of the installed plugins, and those of this one in their place."""
    known = installed_catalog()
    own = {kind: [r for r in records if isinstance(r, KINDS[kind][1])] for kind in ("dataset", "model")}
    names = {r.name for those in own.values() for r in those}
    return Catalog(
        (*own["dataset"], *(d for d in known.datasets if d.name not in names)),
        (*own["model"], *(m for m in known.models if m.name not in names)),
    )


def check_plugin(plugin: Any, /, *, params: Named | None = None, expected_failures: Named | None = None) -> None:
    """Try all promises of all that a plugin registers.

    :param plugin: its module, or the object that its entry point names
    :param params: KIND/NAME -> parameters with which a component is made, where the defaults do not do
    :param expected_failures: KIND/NAME -> promise -> reason
    :raises BrokenPromise: with every promise that is broken
    :raises ConfigError: when a component cannot be made without parameters
    """
    problems: list[Problem] = []
    for part in parts_of(plugin, params or {}, expected_failures or {}):
        problems += problems_of(part.table, part.spec, part.params, part.expected)
    if problems:
        raise BrokenPromise(problems)


def plugin_checks(plugin: Any, /, *, params: Named | None = None, expected_failures: Named | None = None) -> Any:
    """Return a parametrised test of all that a plugin registers, with one id per component and promise."""
    import pytest

    cases = [(part, p) for part in parts_of(plugin, params or {}, expected_failures or {}) for p in part.table.promises]

    @pytest.mark.parametrize(("part", "promise"), cases, ids=[f"{part.id}-{p.name}" for part, p in cases])
    def test_promise(part: Part, promise: Promise, tmp_path: Path) -> None:
        __tracebackhide__ = True
        try_promise(part.table, promise, part.spec, part.params, tmp_path, part.expected)

    return test_promise


def promises_text() -> str:
    """Return the tables of all promises, as docs/testing.md shows them."""
    lines = []
    for kind in TABLES:
        word = kind.replace("-", "_")
        lines += ["", f"### `check_{word}`, `{word}_checks`", "", "| promise | |", "|---|---|"]
        lines += [f"| `{p.name}` | {p.sentence.replace('``', '`')} |" for p in table_of(kind).promises]
    return "\n".join(lines[1:]) + "\n"
