"""Routers and feature sets of an experiment: sweeps, labels, encoders, fusions, and the weights that they need."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import toml_name
from vlrb.errors import ConfigError, DataError, VlrbError, did_you_mean
from vlrb.experiment.document import KeyPath, redacted_repr
from vlrb.experiment.names import Names
from vlrb.experiment.plan import DECISIONS, ConfiguredComponent, FeatureSet, PlannedRouter, Point
from vlrb.experiment.sections import is_file_name
from vlrb.experiment.strict import unstructure

DEFAULT_ENCODERS = ("encoders/hashed-text", "encoders/image-statistics")
DEFAULT_FUSION = "fusions/normalize-concat"
ROUTER_KEYS = ("use", "label", "features", "sweep")
MOST_POINTS = 1000


def feature_sets(names: Names, table: Any) -> dict[str, FeatureSet]:
    """Return the feature sets of ``[features.NAME]`` by name, ``default`` among them."""
    if not isinstance(table, dict):
        names.problem(
            ("features",), f"must be a table of tables such as [features.default], not {redacted_repr(table)}"
        )
        return {}
    sets = {}
    for name, section in {"default": {"encoders": list(DEFAULT_ENCODERS)}, **table}.items():
        path: KeyPath = ("features", name)
        if not isinstance(section, dict):
            names.problem(path, f"must be a table, not {redacted_repr(section)}", f"write [features.{name}]")
            continue
        for key in section.keys() - {"encoders", "fusion"}:
            names.problem((*path, key), "unknown key", did_you_mean(key, ("encoders", "fusion")))
        before = len(names.problems)
        encoders = _encoders(names, section.get("encoders"), (*path, "encoders"))
        fusion = _named_component(names, "fusion", section.get("fusion", DEFAULT_FUSION), (*path, "fusion"))
        # so that routers that name it are not blamed
        sets[name] = FeatureSet(name, encoders, fusion or names.default("fusion", DEFAULT_FUSION))
        message, fix = sets[name].problem() if len(names.problems) == before else ("", "")
        if message:
            names.problem((*path, "fusion"), message, fix)
    return sets


def _named_component(names: Names, kind: Any, given: Any, path: KeyPath) -> ConfiguredComponent | None:
    """Resolve a component that is given by its name, or as a table with its parameters."""
    return names.component(kind, {"use": given} if isinstance(given, str) else given, path)


def _encoders(names: Names, listed: Any, path: KeyPath) -> tuple[ConfiguredComponent, ...]:
    if not isinstance(listed, list) or not listed:
        names.problem(path, f"must be a list of encoders, names or tables with use, not {redacted_repr(listed)}")
        return ()
    made: list[ConfiguredComponent] = []
    for i, item in enumerate(listed):
        chosen = _named_component(names, "encoder", item, (*path, i))
        if chosen is None:
            continue
        names.places[id(chosen)] = (*path, i)
        if any(c.registered.id == chosen.registered.id and c.params == chosen.params for c in made):
            names.problem((*path, i), f"encoder {chosen.registered.id!r} is listed twice", "remove one")
        made.append(chosen)
    return tuple(made)


def planned_routers(
    names: Names, tables: list[Any], sets: Mapping[str, FeatureSet], preset: Mapping[str, Any], protocol: str
) -> tuple[PlannedRouter, ...]:
    """Return the routers in the file's order.

    :param preset: parameters that the protocol gives to every router that has them
    """
    routers: dict[str, PlannedRouter] = {}
    for i, table in enumerate(tables):
        path: KeyPath = ("router", i)
        table = _with_preset(names, table, path, preset, protocol)
        before = len(names.problems)
        sweep = _sweep(names, table, path)
        points = [_point(names, table, swept, path) for swept in _grid(sweep)]
        label = _label(names, table, path, points[0], routers)
        features = _features_of(names, table, path, sets)
        if label is not None and len(names.problems) == before:
            routers[label] = PlannedRouter(label, features, tuple(p for p in points if p is not None), sweep)
    return tuple(routers.values())


def _with_preset(names: Names, table: Any, path: KeyPath, preset: Mapping[str, Any], protocol: str) -> Any:
    """Return a router's table with the parameters that the protocol gives it; another value is a problem."""
    name = table.get("use") if isinstance(table, dict) else None
    found = [r for r in names.registry.all("router") if name in (r.name, r.id)]
    if len(found) != 1:
        return table
    known = {toml_name(f.name) for f in attrs.fields(found[0].record.params)}
    for key, value in preset.items():
        if key in known:
            if table.get(key, value) != value:
                what = f'protocol = "{protocol}" stands for {value!r}, not {redacted_repr(table[key])}'
                names.problem((*path, key), what, "remove the key")
            table = {**table, key: value}
    return table


def _label(names: Names, table: Any, path: KeyPath, point: Point | None, taken: Container[str]) -> str | None:
    """Return the label of a router, its name by default; None where there is none that can be used."""
    given = table.get("label") if isinstance(table, dict) else None
    label = point.chosen.spec.name if given is None and point is not None else given
    if label is None:
        return None  # what is wrong with the router itself is known
    if not isinstance(label, str) or not is_file_name(label):
        names.problem((*path, "label"), f"must be usable as the name of a folder, not {redacted_repr(label)}")
    elif label in taken:
        names.problem((*path, "label"), f"{label!r} is taken by another router", "give one of them a label")
    else:
        return label
    return None


def _sweep(names: Names, table: Any, path: KeyPath) -> dict[str, list[Any]]:
    """Return parameter -> values of a sweep; empty without one."""
    sweep = table.get("sweep", {}) if isinstance(table, dict) else {}
    if not isinstance(sweep, dict):
        what = f"must be a table such as {{ lambda = [0, 10] }}, not {redacted_repr(sweep)}"
        names.problem((*path, "sweep"), what)
        return {}
    count = 1
    usable: dict[str, list[Any]] = {}
    for name, values in sweep.items():
        if not isinstance(values, list) or not values or any(values.count(v) > 1 for v in values):
            what = f"must be a list of different values, not {redacted_repr(values)}"
            names.problem((*path, "sweep", name), what)
            usable |= {name: values[:1] if isinstance(values, list) else [values]} if values != [] else {}
        else:
            usable[name], count = values, count * len(values)
        if name in table:
            names.problem((*path, "sweep", name), "is set in the table too", "remove one of the two")
    if count > MOST_POINTS:
        names.problem((*path, "sweep"), f"has {count:,} points, more than {MOST_POINTS:,}", "shorten a list")
        usable = {name: values[:1] for name, values in usable.items()}
    return usable


def _grid(sweep: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the points of a sweep, the last parameter changing first."""
    return [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]


def _point(names: Names, table: Any, swept: Mapping[str, Any], path: KeyPath) -> Point | None:
    """Resolve one point of a sweep; problems of all points come once."""
    before = set(names.problems)
    own = {**table, **swept} if isinstance(table, dict) else table
    chosen = names.component("router", own, path, beside=ROUTER_KEYS)
    places = {names.document.where((*path, name)): names.document.where((*path, "sweep", name)) for name in swept}
    placed = [attrs.evolve(p, where=places.get(p.where, p.where)) for p in names.problems]
    names.problems = list(dict.fromkeys(placed))
    if chosen is None or set(names.problems) - before:
        return None
    fields = {toml_name(f.name): f for f in attrs.fields(chosen.spec.params)}
    names.places[id(chosen)] = path
    decides = swept.keys() <= DECISIONS and all(fields[n].metadata.get("when") == "route" for n in swept)
    base = names.component("router", table, path, beside=ROUTER_KEYS) if swept and decides else None
    return Point(chosen, {n: unstructure(getattr(chosen.params, fields[n].name)) for n in swept}, base or chosen)


def _features_of(names: Names, table: Any, path: KeyPath, sets: Mapping[str, FeatureSet]) -> str | None:
    """Return the feature set of a router; what it names is checked whatever is wrong with the router's parameters."""
    if not isinstance(table, dict):
        return None
    found = [r for r in names.registry.all("router") if table.get("use") in (r.name, r.id)]
    needs = len(found) == 1 and found[0].record.needs_features
    name = table.get("features", "default" if needs else None)
    if name is None:
        return None
    if not isinstance(name, str) or name not in sets:
        names.problem((*path, "features"), f"unknown feature set {name!r}", did_you_mean(str(name), sets))
    elif found and not needs:
        names.problem((*path, "features"), f"router {found[0].name!r} uses no features", "remove the key")
    return str(name)


def check_weights(names: Names, routers: Iterable[PlannedRouter], sets: Mapping[str, FeatureSet]) -> None:
    """Note folders of weights that routers need, themselves or for their features, and that cannot be used.

    Weights that are named, not in a folder, are looked for when a run needs them: a check asks no network.  Where a plugin
    itself fails to tell, the cells that need it fail, and the others go on.
    """
    routers = tuple(routers)
    needed = [p.chosen for r in routers for p in r.points]
    used = dict.fromkeys(r.features for r in routers if r.features in sets)
    needed += [e for name in used if name is not None for e in sets[name].used]
    for chosen in filter(_names_folder, needed):
        try:
            chosen.revision()
        except (ConfigError, DataError) as error:
            for problem in error.problems:
                message = f"{problem.message} ({problem.where})" if problem.where else problem.message
                names.problem(names.places[id(chosen)], message, problem.fix)
        except VlrbError:
            continue


def _names_folder(chosen: ConfiguredComponent) -> bool:
    """Tell whether all weights of a component are in folders that the file names, which resolving has made absolute."""
    fields = [f for f in attrs.fields(type(chosen.params)) if f.metadata.get("folder_or_name")]
    given = [str(value) for f in fields if (value := getattr(chosen.params, f.name))]
    return bool(given) and all(Path(value).is_absolute() for value in given)
