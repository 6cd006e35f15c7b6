"""Routers and feature sets of an experiment: sweeps, labels, encoders, fusions, and the weights that they need."""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import Kind, RouterSpec, toml_name
from vlrb.api.frozen import FrozenDict
from vlrb.api.results import REFERENCES
from vlrb.errors import ConfigError, DataError, VlrbError, did_you_mean
from vlrb.experiment.document import KeyPath, redacted_repr
from vlrb.experiment.lookup import Lookup
from vlrb.experiment.plan import DECISIONS, ConfiguredComponent, FeatureSet, PlannedRouter, Point
from vlrb.experiment.sections import is_file_name
from vlrb.experiment.strict import unknown_key, unstructure

DEFAULT_SET = {"encoders": ["encoders/hashed-text", "encoders/image-statistics"]}
DEFAULT_FUSION = "fusions/normalize-concat"
ROUTER_KEYS = ("label", "features", "sweep", "resources")
FEATURES_KEYS = ("encoders", "fusion", "resources")
MOST_POINTS = 1000


def feature_sets(lookup: Lookup, given: Any) -> dict[str, FeatureSet]:
    """Return the feature sets of ``[features.NAME]`` by name, and ``default`` unless one of its components is missing."""
    tables = lookup.table(given, ("features",), "write a table such as [features.default]") or {}
    aside = Lookup(lookup.document, lookup.registry)
    sets = {} if "default" in tables else {"default": _feature_set(aside, "default", DEFAULT_SET)}
    sets = {} if aside.problems else sets
    sets |= {name: _feature_set(lookup, name, value) for name, value in tables.items()}
    return {name: features for name, features in sets.items() if features is not None}


def _feature_set(lookup: Lookup, name: str, value: Any) -> FeatureSet | None:
    """Return a feature set, also one with problems, so that routers that name it are not blamed."""
    path: KeyPath = ("features", name)
    section = lookup.table(value, path, f"write [features.{name}]")
    if section is None:
        return None
    for key in sorted(section.keys() - set(FEATURES_KEYS)):
        lookup.problem(*unknown_key((*path, key), FEATURES_KEYS))
    before = len(lookup.problems)
    encoders = _encoders(lookup, section.get("encoders"), (*path, "encoders"))
    fusion = _named_component(lookup, "fusion", section.get("fusion", DEFAULT_FUSION), (*path, "fusion"))
    if len(lookup.problems) == before and fusion is not None:
        _check_fusion(lookup, fusion, encoders, (*path, "fusion"))
    return FeatureSet(name, encoders, fusion, _resources(lookup, section, path))


def _named_component(lookup: Lookup, kind: Kind, given: Any, path: KeyPath) -> ConfiguredComponent | None:
    """Resolve a component that is given by its name, or as a table with its parameters."""
    if isinstance(given, str):
        return lookup.component(kind, {}, path, default=given)
    if isinstance(given, dict):
        return lookup.component(kind, given, path)
    lookup.problem(path, f"must be a name or a table, not {redacted_repr(given)}")
    return None


def _encoders(lookup: Lookup, listed: Any, path: KeyPath) -> tuple[ConfiguredComponent, ...]:
    if not isinstance(listed, list) or not listed:
        lookup.problem(path, f"must be a list of encoders, names or tables with use, not {redacted_repr(listed)}")
        return ()
    made: list[ConfiguredComponent] = []
    for i, item in enumerate(listed):
        chosen = _named_component(lookup, "encoder", item, (*path, i))
        if chosen is not None:
            if any(c.registered.id == chosen.registered.id and c.params == chosen.params for c in made):
                lookup.problem((*path, i), f"encoder {chosen.registered.id!r} is listed twice", "remove one")
            made.append(chosen)
    return tuple(made)


def _check_fusion(
    lookup: Lookup, fusion: ConfiguredComponent, encoders: Iterable[ConfiguredComponent], path: KeyPath
) -> None:
    needs = fusion.spec.needs
    found = {e.registered.id: e.spec.modality for e in encoders}
    if not needs or (set(needs) <= set(found.values()) <= {"text", "image"}):
        return
    parts = " and ".join(f"an encoder of {n}" for n in needs)
    looking = ", ".join(f"{name!r} (looks at {modality})" for name, modality in found.items())
    what = f"fusion {fusion.spec.name!r} needs {parts}, and none that looks at both; encoders: {looking}"
    lookup.problem(path, what, 'name such encoders (`vlrb list encoder`), or set fusion = "normalize-concat"')


def planned_routers(
    lookup: Lookup, tables: list[Any], sets: Mapping[str, FeatureSet], preset: Mapping[str, Any]
) -> tuple[PlannedRouter, ...]:
    """Return the routers in the file's order.

    :param preset: parameters that the protocol gives to every router that has them
    """
    routers: dict[str, PlannedRouter] = {}
    for i, given in enumerate(tables):
        path: KeyPath = ("router", i)
        before = len(lookup.problems)
        if lookup.table(given, path) is None:
            continue
        table = dict(given)
        found = [r.record for r in lookup.registry.all("router") if table.get("use") in (r.name, r.id)]
        spec: RouterSpec | None = found[0] if len(found) == 1 else None
        if spec is not None:
            known = {toml_name(f.name) for f in attrs.fields(spec.params)}
            lookup.fill_in(table, {k: v for k, v in preset.items() if k in known}, path)
        sweep = _sweep(lookup, table, path)
        grid = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
        points = [_point(lookup, table, swept, path) for swept in grid]
        label = _label(lookup, table, path, spec, routers)
        features = _features_of(lookup, table, path, spec, sets)
        resources = _resources(lookup, table, path)
        if len(lookup.problems) == before:
            routers[label] = PlannedRouter(label, features, tuple(p for p in points if p is not None), sweep, resources)
    return tuple(routers.values())


def _label(lookup: Lookup, table: Any, path: KeyPath, spec: RouterSpec | None, taken: Container[str]) -> Any:
    """Return the label of a router, its name by default."""
    label = table.get("label", spec and spec.name)
    if label is None:
        return None  # what is wrong with the router itself is known
    if not isinstance(label, str) or not is_file_name(label):
        lookup.problem((*path, "label"), f"must be usable as the name of a folder, not {redacted_repr(label)}")
    elif label in REFERENCES:
        lookup.problem((*path, "label"), f"{label!r} is the name of a reference point", "give the router another label")
    elif label in taken:
        lookup.problem((*path, "label"), f"{label!r} is taken by another router", "give one of them a label")
    return label


def _features_of(
    lookup: Lookup, table: Any, path: KeyPath, spec: RouterSpec | None, sets: Mapping[str, FeatureSet]
) -> str | None:
    """Return the feature set of a router; its name is checked whatever is wrong with the router's parameters."""
    name = table.get("features", "default" if spec and spec.needs_features else None)
    if name == "default" and name not in sets:
        _feature_set(lookup, name, DEFAULT_SET)  # a problem where a router uses it
    elif name is not None and (not isinstance(name, str) or name not in sets):
        lookup.problem((*path, "features"), f"unknown feature set {name!r}", did_you_mean(str(name), sets))
    elif name is not None and spec and not spec.needs_features:
        lookup.problem((*path, "features"), f"router {spec.name!r} uses no features", "remove the key")
    return None if name is None else str(name)


def _resources(lookup: Lookup, table: Any, path: KeyPath) -> Mapping[str, float]:
    """Return what a worker must offer to fit a router or to encode: names and amounts."""
    given, path = table.get("resources", {}), (*path, "resources")
    found = lookup.table(given, path, "write a table such as { GPU = 1 }") or {}
    for name, amount in found.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < math.inf:
            lookup.problem((*path, name), f"must be a number above 0, not {redacted_repr(amount)}")
    return FrozenDict(found)


def _sweep(lookup: Lookup, table: Any, path: KeyPath) -> dict[str, list[Any]]:
    """Return parameter -> values of a sweep; empty without one."""
    sweep, path = table.get("sweep", {}), (*path, "sweep")
    if not isinstance(sweep, dict):
        lookup.problem(path, f"must be a table such as {{ lambda = [0, 10] }}, not {redacted_repr(sweep)}")
        return {}
    usable: dict[str, list[Any]] = {}
    for name, values in sweep.items():
        listed = values if isinstance(values, list) else [values]
        if listed is not values or not listed or any(listed.count(v) > 1 for v in listed):
            lookup.problem((*path, name), f"must be a list of different values, not {redacted_repr(values)}")
            listed = listed[:1]
        if name in table:
            lookup.problem((*path, name), "is set in the table too", "remove one of the two")
        if listed:
            usable[name] = listed
    count = math.prod(map(len, usable.values()))
    if count > MOST_POINTS:
        lookup.problem(path, f"has {count:,} points, more than {MOST_POINTS:,}", "shorten a list")
        return {name: values[:1] for name, values in usable.items()}
    return usable


def _point(lookup: Lookup, table: Any, swept: Mapping[str, Any], path: KeyPath) -> Point | None:
    """Resolve one point of a sweep; a problem with a swept parameter is placed in the sweep."""
    inner, where = Lookup(lookup.document, lookup.registry), lookup.document.where
    chosen = inner.component("router", {**table, **swept}, path, other_keys=ROUTER_KEYS)
    places = {where((*path, name)): where((*path, "sweep", name)) for name in swept}
    for problem in inner.problems:
        lookup.note(attrs.evolve(problem, where=places.get(problem.where, problem.where)))
    if chosen is None or inner.problems:
        return None
    fields = {toml_name(f.name): f for f in attrs.fields(chosen.spec.params)}
    decides = swept.keys() <= DECISIONS and all(fields[n].metadata.get("when") == "route" for n in swept)
    base = lookup.component("router", table, path, other_keys=ROUTER_KEYS) if swept and decides else None
    return Point(chosen, {n: unstructure(getattr(chosen.params, fields[n].name)) for n in swept}, base or chosen)


def check_weights(lookup: Lookup, routers: Iterable[PlannedRouter], sets: Mapping[str, FeatureSet]) -> None:
    """Note folders of weights that routers need, themselves or for their features, and that cannot be used.

    A check uses no network: weights given by name are looked for when a run needs them.  Where a plugin itself fails, only
    the cells that need it fail.
    """
    routers = tuple(routers)
    used = dict.fromkeys(r.features for r in routers if r.features is not None and r.features in sets)
    needed = [p.chosen for r in routers for p in r.points] + [e for name in used for e in sets[name].used]
    for chosen in filter(_names_folder, needed):
        try:
            chosen.revision()
        except (ConfigError, DataError) as error:
            for problem in error.problems:
                message = f"{problem.message} ({problem.where})" if problem.where else problem.message
                lookup.problem(_place_of(chosen, problem.where), message, problem.fix)
        except VlrbError:
            continue


def _place_of(chosen: ConfiguredComponent, where: str) -> KeyPath:
    """Return the key of the parameter whose file or folder a problem is in, else the component's own."""
    for field in attrs.fields(type(chosen.params)):
        value = getattr(chosen.params, field.name)
        named = isinstance(value, str | Path) and str(value)
        if named and (where == named or where.startswith((f"{named}, ", f"{named}/"))):
            return (*chosen.path, toml_name(field.name))
    return chosen.path


def _names_folder(chosen: ConfiguredComponent) -> bool:
    """Return whether a component starts only from folders or files that the experiment names, which resolving has made absolute."""
    fields = {f.name: f.metadata.get("folder_or_name") for f in attrs.fields(type(chosen.params))}
    values = {name: getattr(chosen.params, name) for name in fields}
    given = [value for name, value in values.items() if value and (fields[name] or isinstance(value, Path))]
    return bool(given) and all(Path(value).is_absolute() for value in given)
