"""Find, load and blame plugins.

vlrb's own loader over the entry-point group ``vlrb``: every failure is collected and names plugin, dist and version; two
plugins of one name are an error; blocked plugins are never imported; all plugin code is called inside :func:`blame`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import pluggy

from vlrb.api import hookspecs
from vlrb.api.specs import KINDS, CommandSpec, Component, Dataset, ImageTokens, Kind, Model, Record
from vlrb.errors import (
    STORAGE,
    ConfigError,
    ExitCode,
    PluginError,
    Problem,
    StorageError,
    VlrbError,
    did_you_mean,
)
from vlrb.faults import describe_error, is_text, short_repr

if TYPE_CHECKING:
    from vlrb.plugins.sources import Digest

T = TypeVar("T")

GROUP = "vlrb"
COMMAND_GROUP = "vlrb.commands"
REGISTRATION = frozenset(hook for hook, _ in KINDS.values()) | {"vlrb_settings"}
LIFECYCLE = frozenset(
    {
        "vlrb_check",
        "vlrb_run_start",
        "vlrb_cell_start",
        "vlrb_cell_log",
        "vlrb_cell_end",
        "vlrb_run_interrupted",
        "vlrb_run_end",
    }
)


@attrs.frozen
class Selection:
    """Which plugins to load besides the installed ones, and which not: what ``-p`` and the environment say."""

    extra: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Sequence[str], files: Sequence[str] = ()) -> Selection:
        """Make a selection from ``-p`` options, plugin files and ``VLRB_DISABLE_PLUGINS`` (comma-separated names)."""
        blocked = [o.removeprefix("no:") for o in options if o.startswith("no:")]
        blocked += [n.strip() for n in os.environ.get("VLRB_DISABLE_PLUGINS", "").split(",") if n.strip()]
        extra = [str(Path(o).resolve()) if o.endswith(".py") else o for o in options if not o.startswith("no:")]
        return cls(tuple(dict.fromkeys((*extra, *files))), tuple(dict.fromkeys(blocked)))

    def blocks(self, name: str, dist: str) -> bool:
        """Tell whether the plugin ``name`` of ``dist`` may not be imported."""
        return name in self.blocked or f"{dist}/{name}" in self.blocked


@attrs.frozen(eq=False)
class Plugin:
    """A plugin as found: where it comes from, and either its object or why there is none."""

    name: str
    dist: str
    version: str
    origin: str
    object: Any = None
    error: str = ""
    blocked: bool = False
    source: Path | None = None
    packages: frozenset[str] = frozenset()
    _digests: dict[str, Digest] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def label(self) -> str:
        """Return plugin, dist and version, as messages name them."""
        return f"plugin {self.name!r} ({self.dist} {self.version})" if self.version else f"plugin {self.name!r}"

    @property
    def skip(self) -> str:
        """Return the option that runs vlrb without this plugin."""
        return f"-p no:{self.dist}/{self.name}" if self.version else f"-p no:{self.name}"

    def sources_digest(self, kind: str) -> str:
        """Return the digest of the plugin's sources for a kind of key, see :meth:`sources`; an empty text where it has none."""
        return self.sources(kind).text

    def sources(self, kind: str) -> Digest:
        """Return what counts of the plugin's sources and of all that they import from vlrb, from plugins and from their folder.

        It is made once: when a plan first names a component of the plugin, so that it is of the code that the plan has loaded.

        :param kind: of the key, one of :data:`vlrb.plugins.sources.KEYS`
        """
        from vlrb.plugins.sources import Digest, plugin_digest  # only those who make keys need it

        if self.source is None:
            return Digest()
        if kind not in self._digests:
            root = self.source if self.origin.endswith(".py") else self.origin.partition(":")[0]
            self._digests[kind] = plugin_digest(root, kind, self.packages, self.dist if self.version else "")
        return self._digests[kind]


@attrs.frozen(eq=False)
class Registered:
    """A record and the plugin that registered it."""

    record: Any
    plugin: Plugin

    @property
    def name(self) -> str:
        """Return the record's name."""
        return str(self.record.name)

    @property
    def id(self) -> str:
        """Return ``plugin/name``, which is always unique."""
        return f"{self.plugin.name}/{self.name}"


@contextlib.contextmanager
def blame(plugin: Plugin, doing: str) -> Iterator[None]:
    """Turn whatever plugin code raises into an error that names the plugin, its dist, and what it was doing.

    What looks at an object that a plugin has returned is plugin code too: it calls the object's methods.
    Errors of vlrb itself (a DataError about a workbook) and interrupts pass.

    :raises StorageError: for what is the system's: a full disk, an overlong path, an I/O error
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except VlrbError as error:
        if type(error).__module__ == VlrbError.__module__ and _is_sound(error):
            raise
        raise _blamed(plugin, doing, error) if not _is_sound(error) else _of_vlrb(error) from error.__cause__
    except OSError as error:
        if isinstance(error.errno, int) and error.errno in STORAGE:
            raise StorageError.of(error, f"{plugin.label}, {doing}") from error
        raise _blamed(plugin, doing, error) from error
    except BaseException as error:
        raise _blamed(plugin, doing, error) from error


def blamed(values: Iterable[T], plugin: Plugin, doing: str) -> Generator[T, None, None]:
    """Yield what plugin code yields, each step inside :func:`blame`; what is done with the values is not."""
    with blame(plugin, doing):
        steps = iter(values)
    try:
        while True:
            with blame(plugin, doing):
                try:
                    value = next(steps)
                except StopIteration:
                    return
            yield value
    finally:
        if hasattr(type(steps), "close"):
            with blame(plugin, doing):
                steps.close()  # type: ignore[attr-defined]


def _is_sound(error: VlrbError) -> bool:
    """Tell whether an error says something, and is none of those that stand for a fault of vlrb."""
    try:
        problems = error.problems
        return (
            error.exit_code in (ExitCode.USAGE, ExitCode.PLUGIN, ExitCode.TRACKING)
            and type(problems) is tuple
            and bool(problems)
            and all(type(p) is Problem for p in problems)
        )
    except Exception:
        return False


def _of_vlrb(error: VlrbError) -> VlrbError:
    """Return an error of a plugin's own class as one of vlrb's, which every process knows."""
    known = next(c for c in type(error).__mro__ if c.__module__ == VlrbError.__module__)
    made: VlrbError = known(error.problems)
    return made


def _blamed(plugin: Plugin, doing: str, error: BaseException) -> PluginError:
    own = f"fix {plugin.origin}" if not plugin.version else "report it to the plugin's author"
    return PluginError(
        f"{plugin.label} failed while {doing}: {describe_error(error)}",
        where=_last_frame(error, plugin),
        fix=f"{own}, or skip the plugin with {plugin.skip}",
    )


def _last_frame(error: BaseException, plugin: Plugin) -> str:
    """Return file and line of the innermost frame inside the plugin, else of the innermost frame."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    inside = [f for f in frames if plugin.source is not None and f[0].startswith(str(plugin.source.parent))]
    file, line = (inside or frames or [(plugin.origin, 0)])[-1]
    return f"{file}:{line}"


@attrs.frozen(eq=False)
class Registry:
    """All plugins of this process and what they registered."""

    plugins: tuple[Plugin, ...]
    records: Mapping[str, tuple[Registered, ...]]
    selection: Selection

    def broken(self) -> tuple[Plugin, ...]:
        """Return the plugins that could not be loaded."""
        return tuple(p for p in self.plugins if p.error)

    def check(self) -> None:
        """Refuse to go on with broken plugins.

        :raises PluginError: naming each, the error, and the option that skips it
        """
        problems = [Problem(f"cannot be loaded: {p.error}", p.label, _how_to_fix(p)) for p in self.broken()]
        if problems:
            raise PluginError(problems)

    def plugin(self, name: str) -> Plugin | None:
        """Return the loaded plugin of this name, or None."""
        return next((p for p in self.plugins if p.name == name and p.object is not None), None)

    def all(self, kind: Kind) -> tuple[Registered, ...]:
        """Return everything registered under a kind, sorted by name and plugin."""
        return self.records.get(kind, ())

    def find(self, kind: Kind, name: str) -> Registered:
        """Return the component with this name, or with this ``plugin/name``.

        :raises ConfigError: when there is none, or when a bare name is not unique
        """
        found = [r for r in self.all(kind) if name in (r.id, r.name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(
                f"{kind} {name!r} is registered by several plugins",
                fix="write one of " + ", ".join(repr(r.id) for r in found),
            )
        known = {r.name for r in self.all(kind)} | ({r.id for r in self.all(kind)} if "/" in name else set())
        left_out = [p.name for p in self.plugins if p.blocked]
        hint = f" (left out by -p no: or VLRB_DISABLE_PLUGINS: {', '.join(left_out)})" if left_out else ""
        raise ConfigError(f"there is no {kind} {name!r}", fix=did_you_mean(name, known) + hint)

    def settings_classes(self) -> dict[str, type]:
        """Return the settings class of every plugin that has one."""
        return {p.name: _call(p, "vlrb_settings") for p in self.plugins if _implements(p, "vlrb_settings")}

    def observers(self, hook: str) -> tuple[Plugin, ...]:
        """Return the plugins that implement a lifecycle hook, in order of their names."""
        return tuple(p for p in self.plugins if _implements(p, hook))


def _how_to_fix(plugin: Plugin) -> str:
    named = plugin.origin.endswith(".py")
    path = "correct its path in plugins = [...] or after -p, " if named and not Path(plugin.origin).exists() else ""
    return f"{path or 'fix it, '}or skip it with {plugin.skip}"


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
    plugins = [_validated(attrs.evolve(p, packages=packages)) for p in _mark_clashes(plugins)]
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


def _in_a_line(error: PluginError) -> str:
    first = error.problems[0]
    return f"{first.message} ({first.where})" if first.where else first.message


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


def _validated(plugin: Plugin) -> Plugin:
    """Check a plugin's hook implementations against the hook specs."""
    if plugin.object is None:
        return plugin
    manager = pluggy.PluginManager("vlrb")
    manager.add_hookspecs(hookspecs)
    try:
        with blame(plugin, "looking for its hooks"):
            problem = _hook_problem(plugin)
            if problem:
                return attrs.evolve(plugin, object=None, error=problem)
            try:
                manager.register(plugin.object, plugin.name)
                manager.check_pending()
            except (pluggy.PluginValidationError, ValueError) as error:
                return attrs.evolve(plugin, object=None, error=" ".join(str(error).split()))
    except PluginError as error:
        return attrs.evolve(plugin, object=None, error=_in_a_line(error))
    return plugin


def _hook_problem(plugin: Plugin) -> str:
    names = [n for n in dir(plugin.object) if n.startswith("vlrb_") and callable(getattr(plugin.object, n, None))]
    unknown = [n for n in names if n not in REGISTRATION | LIFECYCLE and _options(plugin.object, n) is not None]
    if unknown:
        return f"unknown hook {unknown[0]!r}; {did_you_mean(unknown[0], REGISTRATION | LIFECYCLE)}"
    for name in names:
        options = _options(plugin.object, name)
        if name in REGISTRATION | LIFECYCLE and options is None:
            return f"{name} lacks the decorator @hookimpl (from vlrb import hookimpl), so it would never be called"
        if options and (options.get("wrapper") or options.get("hookwrapper")):
            return f"{name} is declared a wrapper; a plugin may add names and observers, it may not change others'"
    if not any(_options(plugin.object, n) for n in names):
        return "it implements no vlrb hook; see `vlrb hooks`"
    return ""


def _options(owner: Any, name: str) -> Mapping[str, Any] | None:
    return getattr(getattr(owner, name), "vlrb_impl", None)


def _implements(plugin: Plugin, hook: str) -> bool:
    if plugin.object is None:
        return False
    try:
        return callable(getattr(plugin.object, hook, None))
    except KeyboardInterrupt:
        raise
    except BaseException:  # its __getattr__ fails for what it does not have
        return False


def _call(plugin: Plugin, hook: str) -> Any:
    with blame(plugin, f"registering ({hook})"):
        return getattr(plugin.object, hook)()


def _collect(plugins: list[Plugin], kinds: Sequence[str]) -> tuple[list[Plugin], dict[str, tuple[Registered, ...]]]:
    """Call the registration hooks plugin by plugin; one that fails is marked broken and contributes nothing."""
    kept: list[Plugin] = []
    found: list[tuple[str, Registered]] = []
    for plugin in plugins:
        try:
            if _implements(plugin, "vlrb_settings"):
                settings = _call(plugin, "vlrb_settings")
                if not isinstance(settings, type) or not attrs.has(settings):
                    raise PluginError("vlrb_settings must return an attrs class")
            mine = [(kind, Registered(r, plugin)) for kind in kinds for r in _records(plugin, kind)]
        except PluginError as error:
            plugin = attrs.evolve(plugin, object=None, error=_in_a_line(error))
            mine = []
        kept.append(plugin)
        found += mine
    clash = _clashing_records(found)
    kept = [
        attrs.evolve(p, object=None, error=clash[p.name]) if p.name in clash and p.object is not None else p
        for p in kept
    ]
    by_kind: dict[str, tuple[Registered, ...]] = {}
    for kind in kinds:
        mine_of_kind = [r for k, r in found if k == kind and r.plugin.name not in clash]
        by_kind[kind] = tuple(sorted(mine_of_kind, key=lambda r: (r.name, r.plugin.name)))
    return kept, by_kind


def _records(plugin: Plugin, kind: str) -> list[Record]:
    hook, record_class = KINDS[kind]
    if not _implements(plugin, hook):
        return []
    returned = _call(plugin, hook)
    with blame(plugin, f"registering ({hook})"):
        if not isinstance(returned, Sequence) or isinstance(returned, str):
            raise PluginError(f"{hook} must return a list of {record_class.__name__}, not {type(returned).__name__}")
        records: list[Any] = list(returned)
        names: set[str] = set()
        for record in records:
            if not isinstance(record, record_class):
                raise PluginError(f"{hook} must return {record_class.__name__} records, not {type(record).__name__}")
            problem = _odd_field(record)
            if problem:
                raise PluginError(f"{hook} returns {short_repr(record.name)}, whose {problem}")
            if record.name in names:
                raise PluginError(f"{hook} returns {record.name!r} twice")
            names.add(record.name)
    return records


_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(
        ("name", "summary", "extra", "unit", "task", "scorer", "slug", "licence", "id_column", "group_column"),
        ("a text", is_text),
    ),
    **dict.fromkeys(
        ("aliases", "sets", "requires"),
        ("a tuple of texts", lambda v: type(v) is tuple and all(map(is_text, v))),
    ),
    **dict.fromkeys(
        ("circular", "needs_features", "higher_is_better", "per_subset"),
        ("True or False", lambda v: type(v) is bool),
    ),
    **dict.fromkeys(("factory",), ("callable", callable)),
    **dict.fromkeys(
        ("load", "revision", "export"),
        ("callable, or None", lambda v: v is None or callable(v)),
    ),
    "modality": ('"text", "image" or "both"', lambda v: is_text(v) and v in ("text", "image", "both")),
    "samples": ("a positive integer, or None", lambda v: v is None or (type(v) is int and 0 < v < 2**53)),
    **dict.fromkeys(
        ("input_price_per_million", "output_price_per_million", "parameters"),
        ("a number, or None", lambda v: v is None or type(v) in (int, float)),
    ),
    "open": ("True, False or None", lambda v: v is None or type(v) is bool),
    "image_tokens": ("ImageTokens, or None", lambda v: v is None or isinstance(v, ImageTokens)),
}
"""Field of records -> what it must be, and how to tell; what no validator of the record itself has checked."""


def _odd_field(record: Any) -> str:
    """Return what is wrong with a field of a record; an empty text where nothing is."""
    for field in attrs.fields(type(record)):
        wanted, holds = _FIELDS.get(field.name, ("", None))
        value = getattr(record, field.name)
        if holds is not None and not holds(value):
            return f"{field.name} must be {wanted}, not {short_repr(value)}"
    return ""


def _clashing_records(found: list[tuple[str, Registered]]) -> dict[str, str]:
    """Return plugin -> error for datasets, models and commands, whose names come from outside and cannot be qualified."""
    owners: dict[tuple[str, str], Registered] = {}
    errors: dict[str, str] = {}
    for kind, registered in found:
        record = registered.record
        if not isinstance(record, Dataset | Model | CommandSpec):
            continue
        for name in {record.name, *getattr(record, "aliases", ())}:
            first = owners.setdefault((kind, name), registered)
            if first.plugin is not registered.plugin:
                errors[registered.plugin.name] = f"{kind} {name!r} is registered by {first.plugin.label} already"
    return errors


def missing_requirements(component: Component) -> tuple[str, ...]:
    """Return the Python packages that a component needs and that are not installed."""
    return tuple(r for r in component.requires if not _is_installed(r))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a part of a package that is not there; a text that names none
        return False


def hook_list() -> list[tuple[str, str, str]]:
    """Return (hook, its arguments, first line of its documentation) for every hook, registration hooks first."""
    rows = []
    for name, function in vars(hookspecs).items():
        if name in REGISTRATION | LIFECYCLE:
            doc = inspect.getdoc(function) or ""
            signature = str(inspect.signature(function)).replace("'", "")
            rows.append((name, signature, doc.splitlines()[0]))
    return rows
