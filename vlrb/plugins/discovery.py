"""Find and load plugins.

vlrb's own loader over the entry-point group ``vlrb``: every failure is collected and names plugin, dist and version; two
plugins of one name are an error; blocked plugins are never imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb.api.components import KINDS
from vlrb.errors import (
    ConfigError,
    PluginError,
    Problem,
    did_you_mean,
)
from vlrb.texts import describe_error

if TYPE_CHECKING:
    pass
from vlrb.plugins.checks import clashing_records, in_a_line, records_of, validated
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry, call_hook, implements

GROUP = "vlrb"


COMMAND_GROUP = "vlrb.commands"


def load(selection: Selection, *, commands_only: bool = False) -> Registry:
    """Find and load plugins.

    :param commands_only: load only those that add commands (entry-point group ``vlrb.commands``)
    :raises ConfigError: for an unknown name in ``-p no:NAME``
    """
    every = importlib.metadata.entry_points()  # one look at what is installed: it takes longer than all else here
    entries = sorted(every.select(group=GROUP), key=lambda e: (e.name, _dist(e)[0]))
    if commands_only:
        wanted = {(e.name, e.value) for e in every.select(group=COMMAND_GROUP)}
        entries = [e for e in entries if (e.name, e.value) in wanted]
    else:
        _check_blocked(selection, entries)
    plugins = [_load_entry(e, selection) for e in _unique(entries)]
    if not commands_only:
        plugins += [_load_extra(extra, selection) for extra in selection.extra]
    packages = frozenset(p.origin.partition(":")[0].partition(".")[0] for p in plugins if p.version)
    plugins = [validated(attrs.evolve(p, packages=packages)) for p in _mark_clashes(plugins)]
    plugins, records = _collect(plugins, ("command",) if commands_only else tuple(KINDS))
    return Registry(tuple(plugins), records, selection)


def _dist(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    return _named(entry.dist) if entry.dist is not None else ("unknown", "")


@functools.cache
def _named(dist: importlib.metadata.Distribution) -> tuple[str, str]:
    """Return name and version; each look parses all that a dist says of itself."""
    return dist.name, dist.version


def _unique(entries: Sequence[importlib.metadata.EntryPoint]) -> list[importlib.metadata.EntryPoint]:
    """Drop repeats of one dist that stands twice on the path (an editable install beside its build)."""
    return list({(e.name, e.value, *_dist(e)): e for e in entries}.values())


def _check_blocked(selection: Selection, entries: Sequence[importlib.metadata.EntryPoint]) -> None:
    known = {e.name for e in entries} | {f"{_dist(e)[0]}/{e.name}" for e in entries}
    known |= {_extra_name(e) for e in selection.extra}
    unknown = [n for n in selection.blocked if n not in known]
    if unknown:
        raise ConfigError(
            [Problem(f"there is no plugin {n!r} to leave out", f"-p no:{n}", did_you_mean(n, known)) for n in unknown]
        )


def _load_entry(entry: importlib.metadata.EntryPoint, selection: Selection) -> Plugin:
    dist, version = _dist(entry)
    base = Plugin(entry.name, dist, version, entry.value)
    if selection.blocks(entry.name, dist):
        return attrs.evolve(base, blocked=True)
    return _loaded(base, lambda: (entry.load(), entry.module))


def _loaded(base: Plugin, load: Callable[[], tuple[Any, str]]) -> Plugin:
    """Return a plugin with its object, or with what went wrong while its code ran.

    :param load: returns the object and the name of its module
    """
    try:
        loaded, module = load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return attrs.evolve(base, error=_load_error(error))
    return attrs.evolve(base, object=loaded, source=_source(module))


def _load_error(error: BaseException) -> str:
    """Return what went wrong, and the line of the plugin where it did."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    outside = [f for f in last if not f.filename.startswith("<") and Path(f.filename) != Path(__file__)]
    where = f" ({outside[0].filename}, line {outside[0].lineno})" if outside else ""
    return f"{describe_error(error)}{where}"


def _source(module_name: str) -> Path | None:
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return Path(file) if file else None


def _mark_clashes(plugins: list[Plugin]) -> list[Plugin]:
    """Turn two dists with one entry-point name into errors that name both; nobody wins silently."""
    active = [p for p in plugins if not p.blocked]
    result = []
    for plugin in plugins:
        rivals = [p for p in active if p.name == plugin.name and p is not plugin]
        if rivals and not plugin.blocked:
            others = " and ".join(f"{p.dist} {p.version}".strip() for p in (plugin, *rivals))
            plugin = attrs.evolve(plugin, object=None, error=f"its name is taken twice: {others}")
        result.append(plugin)
    return result


def _extra_name(extra: str) -> str:
    return Path(extra).stem if extra.endswith(".py") else extra


def _load_extra(extra: str, selection: Selection) -> Plugin:
    """Load a plugin that is not installed: a file (``./my_router.py``) or an importable module."""
    base = Plugin(_extra_name(extra), extra, "", extra)
    if selection.blocks(base.name, extra):
        return attrs.evolve(base, blocked=True)

    def load() -> tuple[Any, str]:
        module = _import_file(Path(extra)) if extra.endswith(".py") else importlib.import_module(extra)
        return module, module.__name__

    return _loaded(base, load)


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles a plugin file anew each time.

    Python's own cache of compiled files takes an edit for none where size and second are the same.
    """

    def get_code(self, fullname: str) -> types.CodeType:  # noqa: ARG002
        """Return the code of the file as it is now."""
        code: types.CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _import_file(path: Path) -> types.ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = f"vlrb_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _collect(plugins: list[Plugin], kinds: Sequence[str]) -> tuple[list[Plugin], dict[str, tuple[Registered, ...]]]:
    """Call the registration hooks plugin by plugin; one that fails is marked broken and contributes nothing."""
    kept: list[Plugin] = []
    found: list[tuple[str, Registered]] = []
    for plugin in plugins:
        try:
            if implements(plugin, "vlrb_settings"):
                settings = call_hook(plugin, "vlrb_settings")
                if not isinstance(settings, type) or not attrs.has(settings):
                    raise PluginError("vlrb_settings must return an attrs class")
            mine = [(kind, Registered(r, plugin)) for kind in kinds for r in records_of(plugin, kind)]
        except PluginError as error:
            plugin = attrs.evolve(plugin, object=None, error=in_a_line(error))
            mine = []
        kept.append(plugin)
        found += mine
    clash = clashing_records(found)
    kept = [
        attrs.evolve(p, object=None, error=clash[p.name]) if p.name in clash and p.object is not None else p
        for p in kept
    ]
    by_kind: dict[str, tuple[Registered, ...]] = {}
    for kind in kinds:
        mine_of_kind = [r for k, r in found if k == kind and r.plugin.name not in clash]
        by_kind[kind] = tuple(sorted(mine_of_kind, key=lambda r: (r.name, r.plugin.name)))
    return kept, by_kind
