"""From an experiment file to a plan: every name resolved against the plugins, every parameter checked, all problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import toml_name
from vlrb.errors import ConfigError, did_you_mean
from vlrb.experiment.catalog import catalog_of
from vlrb.experiment.document import Document, KeyPath, read_document, redacted_repr
from vlrb.experiment.names import Names
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.experiment.routers import check_weights, feature_sets, planned_routers
from vlrb.experiment.sections import (
    ARRAYS,
    MOVED,
    TABLES,
    BenchmarkSection,
    General,
    SelectionSection,
    SplitSection,
)
from vlrb.plugins.blame import blame
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.plugins.registry import Registry
from vlrb.plugins.sources import KEY_OF, KEYS, core_sources

DEFAULT_METRICS = (
    "metrics/accuracy",
    "metrics/mean-score",
    "metrics/average-cost",
    "metrics/cost-per-10k",
    "metrics/rank-score",
    "metrics/oracle-gap-closed",
    "metrics/requests-per-second",
    "metrics/tokens-per-second",
    "metrics/routing-ms",
    "metrics/encoding-ms",
)
DEFAULT_REPORTS = ("reports/leaderboard", "data-report/data-report")
DEFAULT_SPLITTER = "splits/grouped"
DEFAULT_COUNTER = "tokens/usage"
DEFAULT_EXECUTOR = "executors/local"
SPLIT_KEYS = ("expect",)


def make_plan(path: Path, options: Iterable[str] = (), *, weights: bool = False) -> Plan:
    """Read an experiment file, load the plugins it needs, and resolve it.

    :param options: what ``-p`` said
    :param weights: look whether the weights that encoders and routers name can be had
    :raises ConfigError: with all problems of the file
    :raises PluginError: when a plugin is broken
    """
    return plan_document(read_document(path), tuple(options), weights=weights)


def plan_document(document: Document, options: tuple[str, ...], *, weights: bool = False) -> Plan:
    """Load the plugins that a document needs and resolve it; a worker process does so from the same document.

    All sources that count in keys are looked at here, as code is loaded, not when a key is first asked for.
    """
    for kind in KEYS:
        core_sources(kind)
    registry = load(Selection.of(options, document.plugin_files()))
    registry.check()
    for scorer in registry.all("scorer"):  # which ones are used turns out when the logs are read
        scorer.plugin.sources(KEY_OF["scorer"])
    return resolve(document, registry, options, weights=weights)


def resolve(document: Document, registry: Registry, options: tuple[str, ...] = (), *, weights: bool = False) -> Plan:
    """Return the plan of a document.

    :raises ConfigError: with all problems
    """
    names = Names(document, registry)
    tree = _without_moved(names, document.tree, ())
    preset = _preset(names, tree)
    _fill_in(names, tree, {k: v for k, v in preset.items() if k != "router"}, ())
    tables = {key: tree.pop(key, {}) for key in TABLES}
    arrays = {key: _array(names, key, tree.pop(key, [])) for key in ARRAYS}
    sets = feature_sets(names, tables["features"])
    protocol = str(tree.get("protocol", "strict"))
    routers = planned_routers(names, arrays["router"], sets, preset.get("router", {}), protocol)
    metrics = names.with_defaults("metric", "metric", arrays["metric"], DEFAULT_METRICS)
    parts = {
        "general": _general(names, tree),
        "benchmark": _benchmark(names, tables["benchmark"]),
        "splitter": names.component(
            "splitter", tables["split"], ("split",), default=DEFAULT_SPLITTER, beside=SPLIT_KEYS
        ),
        "split": names.structured(_only(tables["split"], SPLIT_KEYS), SplitSection, ("split",)),
        "selection": names.structured(tables["selection"], SelectionSection, ("selection",)),
        "logs": names.component("log-source", tables["logs"], ("logs",)),
        "counter": names.component(
            "token-counter", tables["tokens"], ("tokens",), key="counter", default=DEFAULT_COUNTER
        ),
        "catalog": catalog_of(names, arrays["dataset"], arrays["model"], tables["benchmark"]),
        "executor": names.component("executor", tables["executor"], ("executor",), default=DEFAULT_EXECUTOR),
        "reports": names.with_defaults("reporter", "report", arrays["report"], DEFAULT_REPORTS),
        "settings": _settings(names, tables["plugin"]),
    }
    _check_required(names, tree.get("requires", attrs.fields_dict(General)["requires"].default))
    _check_selection(names, tables["selection"], metrics, preset)
    if weights:
        check_weights(names, routers, sets)
    if names.problems:
        raise ConfigError(names.problems)
    return Plan(
        document=document,
        options=options,
        registry=registry,
        feature_sets=sets,
        routers=routers,
        metrics=metrics,
        **parts,
    )


def _only(table: Any, keys: Iterable[str]) -> dict[str, Any]:
    return {k: table[k] for k in keys if k in table} if isinstance(table, dict) else {}


def _array(names: Names, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        names.problem((key,), f"must be an array of tables, written [[{key}]]")
        return []
    return value


# --- protocols and old keys -------------------------------------------------------------------------------------------------


def _without_moved(names: Names, table: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return a table, and those in it, without keys of earlier versions, each of which is a problem."""
    kept = {}
    for key, value in table.items():
        here = (*path, key)
        moved = next((new for old, new in MOVED.items() if _matches(old, here)), None)
        if moved is not None:
            names.problem(here, f"is now called {moved}", "write it so")
        else:
            kept[key] = _without_moved(names, value, here) if isinstance(value, dict) else value
    return kept


def _matches(pattern: KeyPath, path: KeyPath) -> bool:
    return len(pattern) == len(path) and all(p in ("*", k) for p, k in zip(pattern, path, strict=True))


def _preset(names: Names, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keys that the experiment's protocol stands for; none where there is no such protocol."""
    chosen = names.component("protocol", {"use": tree.get("protocol", "strict")}, (), default=None)
    if chosen is None:
        names.problems = [attrs.evolve(p, where=p.where.replace(": use", ": protocol")) for p in names.problems]
        return {}
    with blame(chosen.plugin, f"making protocol {chosen.registered.id!r}"):
        return dict(chosen.spec.factory(chosen.params))


def _fill_in(names: Names, table: dict[str, Any], preset: Mapping[str, Any], path: KeyPath) -> None:
    """Fill in the keys of a protocol; a key of the file that says otherwise is a problem."""
    for key, value in preset.items():
        if not isinstance(value, Mapping):
            given = table.setdefault(key, value)
            if given != value:
                protocol = names.document.tree["protocol"]
                what = f'protocol = "{protocol}" stands for {value!r}, not {redacted_repr(given)}'
                names.problem((*path, key), what, "remove the key")
        elif isinstance(table.setdefault(key, {}), dict):
            table[key] = dict(table[key])
            _fill_in(names, table[key], value, (*path, key))


# --- sections ---------------------------------------------------------------------------------------------------------------


def _general(names: Names, tree: dict[str, Any]) -> Any:
    known = {toml_name(f.name) for f in attrs.fields(General)}
    for key in [k for k in tree if k not in known]:
        del tree[key]
        names.problem((key,), "unknown key", did_you_mean(key, known | set(TABLES) | set(ARRAYS)))
    return names.structured(tree, General, ())


def _benchmark(names: Names, table: Any) -> Any:
    section = names.structured(table, BenchmarkSection, ("benchmark",))
    if section is not None and section.unknown == section.verdicts == "stored":
        fix = 'set verdicts = "scored" too, or choose "wrong" or "drop"'
        names.problem(("benchmark", "unknown"), "the logs' verdicts are what is used in any case", fix)
    return section


def _check_required(names: Names, requires: Any) -> None:
    """Check the plugins without which the run is refused, whatever is wrong with other keys."""
    for i, name in enumerate(requires if isinstance(requires, list | tuple) else ()):
        if isinstance(name, str) and names.registry.plugin(name) is None:
            known = {p.name for p in names.registry.plugins if p.object is not None}
            fix = f"install or unblock it, or remove it from requires; {did_you_mean(name, known)}"
            names.problem(("requires", i), f"plugin {name!r} is required and is not loaded", fix)


def _check_selection(
    names: Names, table: Any, metrics: tuple[ConfiguredComponent, ...], preset: Mapping[str, Any]
) -> None:
    """Check the selection against the metrics and the protocol; each key that has the right type."""
    fields = attrs.fields_dict(SelectionSection)
    asked = table if isinstance(table, dict) else {}
    by, on = (asked.get(key, fields[key].default) for key in ("metric", "on"))
    if on == "test" and preset.get("selection", {}).get("on") != "test":
        fix = 'remove the key, or set protocol = "paper", which is named in every table'
        names.problem(("selection", "on"), "the winner of a sweep is never chosen on test", fix)
    bare = [m.spec.name for m in metrics]
    for name in sorted({n for n in bare if bare.count(n) > 1}):
        names.problem(
            ("metric",), f"two metrics are named {name!r}", "keep one: results are known by the metric's name"
        )
    known = {*bare, *(m.registered.id for m in metrics)}
    if isinstance(by, str) and by not in known:
        names.problem(("selection", "metric"), f"unknown metric {by!r}", did_you_mean(by, known))


def _settings(names: Names, table: Any) -> dict[str, Any]:
    classes = names.registry.settings_classes()
    if not isinstance(table, dict):
        names.problem(("plugin",), f"must be a table of tables such as [plugin.mlflow], not {redacted_repr(table)}")
        return {}
    for name in table.keys() - classes.keys():
        names.problem(("plugin", name), f"no loaded plugin {name!r} has settings", did_you_mean(name, classes))
    made = {name: names.structured(table.get(name, {}), cls, ("plugin", name)) for name, cls in sorted(classes.items())}
    return {name: settings for name, settings in made.items() if settings is not None}
