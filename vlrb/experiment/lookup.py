"""Looking up what an experiment file names; problems are collected, not raised one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from vlrb.api.components import Kind, toml_name
from vlrb.errors import ConfigError, Problem
from vlrb.experiment.document import Document, KeyPath, expanded, redacted_repr
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.sections import General
from vlrb.experiment.strict import RENAMED, structure
from vlrb.plugins.registry import Registered, Registry, missing_requirements

logger = logging.getLogger("vlrb")


@attrs.define(eq=False)
class Lookup:
    """Resolves what a document names against the plugins, and holds the problems found so far."""

    document: Document
    registry: Registry
    problems: list[Problem] = attrs.Factory(list)

    @property
    def protocol(self) -> Any:
        """Return the protocol that the file names."""
        return self.document.tree.get("protocol", attrs.fields(General).protocol.default)

    def problem(self, path: KeyPath, message: str, fix: str = "") -> None:
        """Note what is wrong at a key path; the same thing is noted once."""
        self.note(Problem(message, self.document.where(path), fix))

    def note(self, found: Problem) -> None:
        """Note a problem once."""
        if found not in self.problems:
            self.problems.append(found)

    def fill_in(self, table: dict[str, Any], preset: Mapping[str, Any], path: KeyPath) -> None:
        """Fill in the keys of a protocol; a key of the file that says otherwise is a problem."""
        for key, value in preset.items():
            given = table.setdefault(key, {} if isinstance(value, Mapping) else value)
            if isinstance(value, Mapping) and isinstance(given, dict):
                table[key] = dict(given)
                self.fill_in(table[key], value, (*path, key))
            elif not isinstance(value, Mapping) and given != value:
                what = f'protocol = "{self.protocol}" stands for {value!r}, not {redacted_repr(given)}'
                self.problem((*path, key), what, "remove the key")

    def table(self, value: Any, path: KeyPath, fix: str = "") -> dict[str, Any] | None:
        """Return a value that must be a table; None where it is something else."""
        if isinstance(value, dict):
            return value
        self.problem(path, f"must be a table, not {redacted_repr(value)}", fix)
        return None

    def structured(self, table: Any, cls: type[Any], path: KeyPath, other_keys: Iterable[str] = ()) -> Any:
        """Return a table as ``cls``; None where it has problems."""
        return structure(table, cls, self.document, path, self.problems, other_keys)

    def component(
        self,
        kind: Kind,
        table: Any,
        path: KeyPath,
        *,
        key: str = "use",
        default: str | None = None,
        other_keys: Iterable[str] = (),
    ) -> ConfiguredComponent | None:
        """Resolve a table ``{use = NAME, parameter = value, ...}``; None where it has problems.

        :param key: the key of the name
        :param other_keys: keys of the table that are not the component's
        """
        if self.table(table, path) is None:
            return None
        name = table.get(key, default)
        if name is None:
            names = ", ".join(r.name for r in self.registry.all(kind))
            self.problem((*path, key), "is missing", f"add {key} = NAME, one of: {names}")
            return None
        place = (*path, key) if key in table else path
        registered = self._find(kind, name, place)
        if registered is None:
            return None
        lacking = missing_requirements(registered.record)
        if lacking:
            extra = f'pip install "vlrb[{registered.record.extra}]"' if registered.record.extra else "install it"
            self.problem(place, f"{kind} {registered.id!r} needs {', '.join(lacking)}", extra)
        own = {k: v for k, v in table.items() if k != key and k not in other_keys}
        params = self.structured(own, registered.record.params, path, (key, *other_keys))
        if params is None:
            return None
        return ConfiguredComponent(kind, registered, self._with_folders(params, path), path)

    def _find(self, kind: Kind, name: Any, path: KeyPath) -> Registered | None:
        if not isinstance(name, str):
            self.problem(path, f"must be a string, not {redacted_repr(name)}")
            return None
        try:
            return self.registry.find(kind, name)
        except ConfigError as error:
            now = RENAMED.get((kind, name))
            self.problem(path, error.problems[0].message, f"it is now called {now!r}" if now else error.problems[0].fix)
            return None

    def _with_folders(self, params: Any, path: KeyPath) -> Any:
        """Return parameters whose relative folders are made absolute, below the file's folder.

        A field with ``folder_or_name`` in its metadata holds a folder or the name of something elsewhere; it is a folder
        when one exists there, or when it is written like one.
        """
        base = self.document.origin(path).parent
        changes = {}
        for field in attrs.fields(type(params)):
            value = getattr(params, field.name)
            if field.metadata.get("folder_or_name") and value:
                try:
                    folder = base / expanded(value)
                except ConfigError as error:
                    self.problem((*path, toml_name(field.name)), error.problems[0].message, error.problems[0].fix)
                    continue
                if folder.is_dir() or value.startswith((".", "/", "~")):
                    changes[field.name] = str(folder.resolve())
        return attrs.evolve(params, **changes)

    def with_defaults(
        self, kind: Kind, key: str, tables: list[Any], defaults: Iterable[str]
    ) -> tuple[ConfiguredComponent, ...]:
        """Return the default components, each replaced by the file's table of the same component, then the others.

        Default reports of plugins that the user leaves out are left out too, as they change no result.
        """
        chosen = {}
        blocked = {p.name for p in self.registry.plugins if p.blocked} if kind == "reporter" else set()
        for name in defaults:
            if name.partition("/")[0] in blocked:
                logger.warning("the report %s is left out, as its plugin is", name)
            elif made := self.component(kind, {}, (key,), default=name):
                chosen[name] = made
        configured: set[str] = set()
        for i, table in enumerate(tables):
            made = self.component(kind, table, (key, i))
            if made is None:
                continue
            if made.registered.id in configured:
                self.problem((key, i), f"{made.registered.id!r} is configured twice", "keep one of the tables")
            configured.add(made.registered.id)
            chosen[made.registered.id] = made
        return tuple(chosen.values())
