"""Resolving names of an experiment file against the plugins; problems are collected, not raised one by one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import Kind
from vlrb.errors import ConfigError, Problem
from vlrb.experiment.document import Document, KeyPath, redacted_repr
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.strict import structure
from vlrb.plugins.registry import Registered, Registry, missing_requirements


@attrs.define(eq=False)
class Names:
    """Looks up what a document names; holds the problems found so far, and where each component is named."""

    document: Document
    registry: Registry
    problems: list[Problem] = attrs.Factory(list)
    places: dict[int, KeyPath] = attrs.Factory(dict)

    def problem(self, path: KeyPath, message: str, fix: str = "") -> None:
        """Note what is wrong at a key path; the same thing is noted once."""
        found = Problem(message, self.document.where(path), fix)
        self.problems += [found] if found not in self.problems else []

    def structured(self, table: Any, cls: type[Any], path: KeyPath) -> Any:
        """Return a table as ``cls``; None where it has problems."""
        return structure(table, cls, self.document, path, self.problems)

    def component(
        self,
        kind: Kind,
        table: Any,
        path: KeyPath,
        *,
        key: str = "use",
        default: str | None = None,
        beside: Iterable[str] = (),
    ) -> ConfiguredComponent | None:
        """Resolve a table ``{use = NAME, parameter = value, ...}``; None where it has problems.

        :param key: the key of the name
        :param beside: keys of the table that are not the component's
        """
        if not isinstance(table, dict):
            self.problem(path, f"must be a table, not {redacted_repr(table)}")
            return None
        name = table.get(key, default)
        if name is None:
            names = ", ".join(r.name for r in self.registry.all(kind))
            self.problem((*path, key), "is missing", f"add {key} = NAME, one of: {names}")
            return None
        registered = self.find(kind, name, (*path, key))
        if registered is None:
            return None
        lacking = missing_requirements(registered.record)
        if lacking:
            extra = f'pip install "vlrb[{registered.record.extra}]"' if registered.record.extra else "install it"
            self.problem((*path, key), f"{kind} {registered.id!r} needs {', '.join(lacking)}", extra)
        own = {k: v for k, v in table.items() if k != key and k not in beside}
        params = self.structured(own, registered.record.params, path)
        return None if params is None else ConfiguredComponent(kind, registered, self._anchored(params, path))

    def find(self, kind: Kind, name: Any, path: KeyPath) -> Registered | None:
        """Return the component of a name; None where there is none, or several."""
        if not isinstance(name, str):
            self.problem(path, f"must be a string, not {redacted_repr(name)}")
            return None
        try:
            return self.registry.find(kind, name)
        except ConfigError as error:
            self.problem(path, error.problems[0].message, error.problems[0].fix)
            return None

    def default(self, kind: Kind, name: str) -> ConfiguredComponent:
        """Return a component with its default parameters."""
        registered = self.registry.find(kind, name)
        return ConfiguredComponent(kind, registered, registered.record.params())

    def with_defaults(
        self, kind: Kind, key: str, tables: list[Any], defaults: Iterable[str]
    ) -> tuple[ConfiguredComponent, ...]:
        """Return the default components, each replaced by the file's table of the same component, then the others."""
        chosen = {name: self.default(kind, name) for name in defaults}
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

    def _anchored(self, params: Any, path: KeyPath) -> Any:
        """Return parameters in which relative folders are those beside the file.

        A field with ``folder_or_name`` in its metadata holds a folder or the name of something elsewhere; it is a folder when it
        is there, or is written like one.
        """
        base = self.document.origin(path).parent
        changes = {}
        for field in attrs.fields(type(params)):
            value = getattr(params, field.name)
            if field.metadata.get("folder_or_name") and value:
                folder = base / Path(value).expanduser()
                if folder.is_dir() or value.startswith((".", "/", "~")):
                    changes[field.name] = str(folder.resolve())
        return attrs.evolve(params, **changes)
