"""From an experiment file to a plan: every name resolved against the plugins, every parameter checked, all problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import toml_name
from vlrb.api.results import REFERENCES
from vlrb.errors import ConfigError, Problem, did_you_mean
from vlrb.experiment.catalog import catalog_of
from vlrb.experiment.document import Document, read_document, redacted_repr
from vlrb.experiment.lookup import Lookup
from vlrb.experiment.plan import ConfiguredComponent, Plan, PlannedRouter
from vlrb.experiment.routers import check_weights, feature_sets, planned_routers
from vlrb.experiment.sections import (
    ARRAYS,
    LOADING,
    TABLES,
    BenchmarkSection,
    General,
    SelectionSection,
    SplitSection,
    StatisticsSection,
)
from vlrb.experiment.strict import unstructure
from vlrb.plugins.blame import blame
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.plugins.sources import KEY_OF, KEYS, core_sources
from vlrb.texts import short_repr

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
DEFAULT_REPORTS = ("reports/leaderboard", "reports/html", "data-report/data-report")
DEFAULT_SPLITTER = "splits/grouped"
DEFAULT_COUNTER = "tokens/usage"
DEFAULT_EXECUTOR = "executors/local"
SHARDS = "executors/shards"
"""The executor of ``vlrb run --shard``."""
SPLIT_KEYS = tuple(field.name for field in attrs.fields(SplitSection))


def make_plan(
    given: Path | Document,
    options: Iterable[str] = (),
    *,
    weights: bool = False,
    only: Sequence[str] = (),
    limit: int = 0,
    objects: Mapping[str, Any] | None = None,
    executor: Mapping[str, Any] | None = None,
) -> Plan:
    """Read an experiment file, unless it has been read, load the plugins it needs, and resolve it.

    All sources that count in keys are looked at here, as code is loaded, not when a key is first asked for.

    :param options: what ``-p`` said
    :param weights: look whether the weights that encoders and routers name can be had
    :param only: labels of the routers to run; none: all
    :param limit: about how many samples to run on; 0: all
    :param objects: name -> further plugins, which are there in this process only
    :param executor: replaces the file's ``[executor]``
    :raises ConfigError: with all problems of the file
    :raises PluginError: when a plugin is broken
    """
    document = given if isinstance(given, Document) else read_document(given)
    if executor is not None:
        document = attrs.evolve(document, tree={**document.tree, "executor": dict(executor)})
    for kind in KEYS:
        core_sources(kind)
    selection = Selection.of(tuple(options), document.plugin_files(), document.pinned_plugins())
    registry = load(selection, objects=objects)
    registry.check()
    for scorer in registry.all("scorer"):  # which ones are used turns out when the logs are read
        scorer.plugin.sources(KEY_OF["scorer"])
    lookup = Lookup(document, registry)
    parts = _resolved_parts(lookup)
    if only:
        parts |= _only(lookup, parts["routers"], only)
    if limit < 0:
        lookup.note(Problem(f"must be at least 0, not {limit}", "limit", "0 takes all samples"))
    parts |= {"limit": limit}
    if weights:
        check_weights(lookup, parts["routers"], parts["feature_sets"])
    if lookup.problems:
        raise ConfigError(lookup.problems)
    return Plan(document=document, registry=registry, **parts)


def _only(lookup: Lookup, routers: Sequence[PlannedRouter], labels: Sequence[str]) -> dict[str, Any]:
    """Return the routers with some labels, and the labels of the others."""
    known = [r.label for r in routers]
    for label in labels:
        if label not in known:
            lookup.note(Problem(f"there is no router {label!r}", "--only", did_you_mean(label, known)))
    left_out = tuple(label for label in known if label not in labels)
    return {"routers": tuple(r for r in routers if r.label in labels), "routers_left_out": left_out}


def _resolved_parts(lookup: Lookup) -> dict[str, Any]:
    """Return the fields of the plan, with None for what has problems."""
    tree = dict(lookup.document.tree)
    preset = _preset(lookup)
    lookup.fill_in(tree, {k: v for k, v in preset.items() if k != "router"}, ())
    tables = {key: tree.pop(key, {}) for key in TABLES}
    arrays = {key: _array(lookup, key, tree.pop(key, [])) for key in ARRAYS}
    split = tables["split"]
    section = {k: v for k, v in split.items() if k in SPLIT_KEYS} if isinstance(split, dict) else {}
    sets = feature_sets(lookup, tables["features"])
    metrics = lookup.with_defaults("metric", "metric", arrays["metric"], DEFAULT_METRICS)
    _check_pinned(lookup)
    _check_required(lookup, tree.get("requires", attrs.fields(General).requires.default))
    _check_selection(lookup, tables["selection"], metrics, preset)
    _check_figures(lookup, arrays["report"])
    return {
        "feature_sets": sets,
        "routers": planned_routers(lookup, arrays["router"], sets, preset.get("router", {})),
        "metrics": metrics,
        "general": lookup.structured(tree, General, (), (*TABLES, *ARRAYS)),
        "benchmark": _benchmark(lookup, tables["benchmark"]),
        "splitter": lookup.component("splitter", split, ("split",), default=DEFAULT_SPLITTER, other_keys=SPLIT_KEYS),
        "split": lookup.structured(section, SplitSection, ("split",)),
        "selection": lookup.structured(tables["selection"], SelectionSection, ("selection",)),
        "statistics": _statistics(lookup, tables["statistics"]),
        "logs": lookup.component("log-source", tables["logs"], ("logs",)),
        "counter": lookup.component(
            "token-counter", tables["tokens"], ("tokens",), key="counter", default=DEFAULT_COUNTER
        ),
        "catalog": catalog_of(lookup, arrays["dataset"], arrays["model"], tables["benchmark"]),
        "executor": lookup.component("executor", tables["executor"], ("executor",), default=DEFAULT_EXECUTOR),
        "reports": lookup.with_defaults("reporter", "report", arrays["report"], DEFAULT_REPORTS),
        "settings": _settings(lookup, tables["plugin"]),
    }


def _array(lookup: Lookup, key: str, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    lookup.problem((key,), f"must be an array of tables, written [[{key}]]")
    return []


def _preset(lookup: Lookup) -> Mapping[str, Any]:
    """Return the keys that the experiment's protocol stands for; none where there is no such protocol."""
    chosen = lookup.component("protocol", {"protocol": lookup.protocol}, (), key="protocol")
    if chosen is None:
        return {}
    with blame(chosen.plugin, f"making protocol {chosen.registered.id!r}"):
        return _checked_preset(chosen.spec.factory(chosen.params))


def _checked_preset(returned: Any) -> Mapping[str, Any]:
    """Return what a protocol returned, if it is keys and tables of an experiment file.

    :raises TypeError: saying what it is instead
    """
    if not isinstance(returned, Mapping):
        raise TypeError(f"it returned {short_repr(returned)} instead of the keys of an experiment file")
    tables = (*TABLES, "router")
    known = {toml_name(f.name) for f in attrs.fields(General)}.union(tables)
    for key, value in returned.items():
        if key in LOADING:
            raise TypeError(f"it returned the key {key!r}, which is read before plugins are loaded")
        if key not in known:
            raise TypeError(
                f"it returned the key {key!r}, which no experiment file has; {did_you_mean(str(key), known)}"
            )
        if key in tables and not isinstance(value, Mapping):
            raise TypeError(f"it returned {short_repr(value)} for {key!r} instead of a table")
    return {key: dict(value) if key in tables else value for key, value in returned.items()}


def _benchmark(lookup: Lookup, table: Any) -> Any:
    section = lookup.structured(table, BenchmarkSection, ("benchmark",))
    if section is not None and section.unknown == section.verdicts == "stored":
        fix = 'set verdicts = "scored" too, or choose "wrong" or "drop"'
        lookup.problem(("benchmark", "unknown"), "the logs' verdicts are what is used in any case", fix)
    return section


def _statistics(lookup: Lookup, table: Any) -> Any:
    """Return the section, whose names must be rows of the leaderboard, whatever is wrong with the routers."""
    section = lookup.structured(table, StatisticsSection, ("statistics",))
    if section is not None:
        known = {*REFERENCES, *lookup.document.router_labels()}
        asked = [("baseline", section.baseline), *(("pairs", name) for pair in section.pairs for name in pair)]
        for key, name in asked:
            if name not in known:
                what = f"no router or reference point is called {name!r}"
                lookup.problem(("statistics", key), what, did_you_mean(name, known))
    return section


def _check_pinned(lookup: Lookup) -> None:
    """Check that the pinned plugins are installed: a misspelt name would leave out the plugin that was meant."""
    plugins = lookup.registry.plugins
    known = {p.name for p in plugins}
    for i, name in enumerate(lookup.document.pinned_plugins() or ()):
        if name not in known | {f"{p.dist}/{p.name}" for p in plugins}:
            fix = f"install it, or remove it; {did_you_mean(name, known)}"
            lookup.problem(("only_plugins", i), f"no plugin {name!r} is installed", fix)


def _check_required(lookup: Lookup, requires: Any) -> None:
    """Check the plugins without which the run is refused, whatever is wrong with other keys."""
    for i, name in enumerate(requires if isinstance(requires, list | tuple) else ()):
        if isinstance(name, str) and lookup.registry.plugin(name) is None:
            known = {p.name for p in lookup.registry.plugins}
            others = ", ".join(f'"{other}"' for other in requires if other != name)
            fix = f"install, unblock or pin it, or set requires = [{others}] in the file"
            fix += "" if name in known else f"; {did_you_mean(name, known)}"
            lookup.problem(("requires", i), f"plugin {name!r} is required and is not loaded", fix)


def _check_selection(
    lookup: Lookup, table: Any, metrics: tuple[ConfiguredComponent, ...], preset: Mapping[str, Any]
) -> None:
    """Check the selection against the metrics and the protocol; each key that has the right type."""
    asked = {**unstructure(SelectionSection()), **(table if isinstance(table, dict) else {})}
    if asked["on"] == "test" and preset.get("selection", {}).get("on") != "test":
        fix = 'remove the key, or set protocol = "paper", which is named in every table'
        lookup.problem(("selection", "on"), "a point of a sweep must not be chosen on test", fix)
    if isinstance(table, dict) and "folds" in table and asked["on"] in ("dev", "test"):
        what = f'folds are used only with on = "folds", not with on = {redacted_repr(asked["on"])}'
        lookup.problem(("selection", "folds"), what, 'set on = "folds", or remove folds')
    bare = [m.spec.name for m in metrics]
    for name in sorted({n for n in bare if bare.count(n) > 1}):
        what = f"two metrics are named {name!r}"
        lookup.problem(("metric",), what, "keep one: results are known by the metric's name")
    known = {*bare, *(m.registered.id for m in metrics)}
    if isinstance(by := asked["metric"], str) and by not in known:
        lookup.problem(("selection", "metric"), f"unknown metric {by!r}", did_you_mean(by, known))


def _check_figures(lookup: Lookup, tables: list[Any]) -> None:
    """Check the figures that reports name, which are drawn only after all cells have run."""
    known = {r.name for r in lookup.registry.all("figure")}
    for i, table in enumerate(tables):
        names = table.get("figures") if isinstance(table, dict) else None
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name not in known:
                lookup.problem(("report", i, "figures"), f"unknown figure {name!r}", did_you_mean(name, known))


def _settings(lookup: Lookup, table: Any) -> dict[str, Any]:
    classes = lookup.registry.settings_classes()
    table = lookup.table(table, ("plugin",), "write a table such as [plugin.mlflow]") or {}
    for name in sorted(table.keys() - classes.keys()):
        lookup.problem(("plugin", name), f"no loaded plugin {name!r} has settings", did_you_mean(name, classes))
    return {
        name: lookup.structured(table.get(name, {}), cls, ("plugin", name)) for name, cls in sorted(classes.items())
    }
