"""Find and load plugins.

vlrb's own loader over the entry-point group ``vlrb``: every failure is collected and names plugin, dist and version; two
plugins of one name are an error; plugins that are blocked or not pinned are never imported.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import KINDS, Kind
from vlrb.errors import ConfigError, PluginError, Problem, did_you_mean
from vlrb.plugins.checks import check_hooks, clashing_plugins, records_of, settings_of
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import TAKEN, Registered, Registry
from vlrb.texts import describe_error

GROUP = "vlrb"
COMMAND_GROUP = "vlrb.commands"

Load = Callable[[], tuple[Any, str]]
"""Imports a plugin; returns its object and the name of its module."""
Records = list[tuple[str, Registered]]


def load(selection: Selection, *, commands_only: bool = False, objects: Mapping[str, Any] | None = None) -> Registry:
    """Find and load plugins.

    :param commands_only: load only those that add commands (entry-point group ``vlrb.commands``)
    :param objects: name -> further plugins that are there already, which no other process can load
    :raises ConfigError: for an unknown name in ``-p no:NAME``
    """
    found = _installed(commands_only)
    left_out = {p for p, _ in found if selection.pins_out(p.name, p.dist)}
    if not commands_only:
        found += [_not_installed(extra) for extra in selection.extra]
        _check_blocked(selection, [plugin for plugin, _ in found])
    found += [(Plugin(n, n, "", ""), functools.partial(_there_already, thing)) for n, thing in (objects or {}).items()]
    packages = frozenset(p.origin.partition(":")[0].partition(".")[0] for p, _ in found if p.version)
    active = [p for p, _ in found if p not in left_out and not selection.blocks(p.name, p.dist)]
    kinds = ("command",) if commands_only else tuple(KINDS)
    plugins, records = [], []
    for plugin, load_plugin in found:
        base = attrs.evolve(plugin, packages=packages, blocked=plugin not in active)
        taken = [f"{p.dist} {p.version}".strip() for p in active if p.name == plugin.name]
        mine: Records = []
        if len(taken) > 1 and not base.blocked:
            base = attrs.evolve(base, error=f"{TAKEN}: {' and '.join(taken)}")
        elif not base.blocked:
            base, mine = _loaded(base, load_plugin, kinds)
        plugins.append(base)
        records += mine
    clashes = clashing_plugins(records)
    plugins = [attrs.evolve(p, object=None, error=clashes[p]) if p in clashes else p for p in plugins]
    kept = sorted((r for r in records if r[1].plugin not in clashes), key=lambda r: (r[1].name, r[1].plugin.name))
    by_kind = {kind: tuple(registered for k, registered in kept if k == kind) for kind in kinds}
    return Registry(tuple(plugins), by_kind, selection)


def installed_names(kind: Kind) -> frozenset[str]:
    """Return the names of the components of a kind that the installed plugins register."""
    return frozenset(registered.name for registered in load(Selection()).all(kind))


def dists_of_plugins() -> list[tuple[importlib.metadata.Distribution, dict[str, str]]]:
    """Return each installed distribution that has plugins, with name -> module of these; none is imported."""
    found: dict[str, tuple[importlib.metadata.Distribution, dict[str, str]]] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        if entry.dist is not None:
            found.setdefault(entry.dist.name, (entry.dist, {}))[1][entry.name] = entry.module
    return [found[name] for name in sorted(found)]


def _installed(commands_only: bool) -> list[tuple[Plugin, Load]]:
    """Return the plugins of the entry points, sorted; a dist may be on the path twice (an editable install and its build)."""
    every = importlib.metadata.entry_points()  # one look at what is installed: it takes longer than all else here
    commands = {(e.name, e.value) for e in every.select(group=COMMAND_GROUP)}
    found = {}
    for entry in every.select(group=GROUP):
        if not commands_only or (entry.name, entry.value) in commands:
            key = (entry.name, *_dist(entry.dist), entry.value)
            found[key] = Plugin(*key), lambda entry=entry: (entry.load(), entry.module)
    return [found[key] for key in sorted(found)]


@functools.cache
def _dist(dist: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version; each look parses all that a dist says of itself."""
    return (dist.name, dist.version) if dist is not None else ("unknown", "")


def _not_installed(extra: str) -> tuple[Plugin, Load]:
    """Return a plugin that is a file (``./my_router.py``) or an importable module."""
    is_file = extra.endswith(".py")

    def load() -> tuple[Any, str]:
        module = _import_file(Path(extra)) if is_file else importlib.import_module(extra)
        return module, module.__name__

    return Plugin(Path(extra).stem if is_file else extra, extra, "", extra), load


def _there_already(thing: Any) -> tuple[Any, str]:
    return thing, ""


def _check_blocked(selection: Selection, plugins: Iterable[Plugin]) -> None:
    known = {name for p in plugins for name in (p.name, f"{p.dist}/{p.name}")}
    unknown = [n for n in selection.blocked if n not in known]
    if unknown:
        raise ConfigError(
            [Problem(f"there is no plugin {n!r} to leave out", f"-p no:{n}", did_you_mean(n, known)) for n in unknown]
        )


def _loaded(plugin: Plugin, load: Load, kinds: Sequence[str]) -> tuple[Plugin, Records]:
    """Return a plugin with its object and its records, or with what is wrong and no records."""
    try:
        thing, module = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return attrs.evolve(plugin, error=_load_error(error)), []
    file = getattr(sys.modules.get(module), "__file__", None)
    loaded = attrs.evolve(plugin, object=thing, source=Path(file) if file else None)
    try:
        check_hooks(loaded)
        loaded = attrs.evolve(loaded, settings=settings_of(loaded))
        return loaded, [(kind, registered) for kind in kinds for registered in records_of(loaded, kind)]
    except PluginError as error:
        first = error.problems[0]
        place = "" if first.where.startswith(plugin.label) else f" ({first.where})"
        return attrs.evolve(plugin, error=first.message + place), []


def _load_error(error: BaseException) -> str:
    """Return what went wrong, and the line of the plugin where it did."""
    file, line, *_ = traceback.extract_tb(error.__traceback__)[-1]
    outside = not file.startswith("<") and Path(file) != Path(__file__)
    return describe_error(error) + (f" ({file}, line {line})" if outside else "")


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles a plugin file each time: Python's cache misses an edit that keeps size and second."""

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> types.ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    import hashlib

    name = f"vlrb_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    loader = _SourceLoader(name, str(path))
    spec = importlib.machinery.ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
