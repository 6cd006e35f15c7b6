"""All plugins of a process and what they registered."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import Component, Kind
from vlrb.errors import ConfigError, PluginError, Problem, did_you_mean
from vlrb.plugins.plugin import Plugin, Selection

TAKEN = "its name is taken twice"


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
        hint = f" (left out by -p no:, VLRB_DISABLE_PLUGINS or only_plugins: {', '.join(left_out)})" if left_out else ""
        fix = did_you_mean(name, known) + hint
        if not fix.startswith("did you mean"):
            fix += "; one of your own: name its file in plugins, or install it (`vlrb plugins` shows what is found)"
        raise ConfigError(f"there is no {kind} {name!r}", fix=fix)

    def settings_classes(self) -> dict[str, type]:
        """Return the settings class of every plugin that has one."""
        return {p.name: p.settings for p in self.plugins if p.settings is not None}

    def observers(self, hook: str) -> tuple[Plugin, ...]:
        """Return the plugins that implement a lifecycle hook, in order of their names."""
        return tuple(p for p in self.plugins if implements(p, hook))


def _how_to_fix(plugin: Plugin) -> str:
    is_file = plugin.origin.endswith(".py")
    how = "fix it"
    if is_file and not Path(plugin.origin).exists():
        how = "correct its path in plugins = [...] or after -p"
    elif plugin.error.startswith(TAKEN):
        how = "rename the file" if is_file else "rename the other plugin"
    return f"{how}, or skip it with {plugin.skip}"


def implements(plugin: Plugin, hook: str) -> bool:
    """Tell whether a plugin was loaded and has a hook."""
    try:
        return plugin.object is not None and callable(getattr(plugin.object, hook, None))
    except KeyboardInterrupt:
        raise
    except BaseException:  # its __getattr__ fails for what it does not have
        return False


def missing_requirements(component: Component) -> tuple[str, ...]:
    """Return the Python packages that a component needs and that are not installed."""

    def is_installed(package: str) -> bool:
        try:
            return importlib.util.find_spec(package) is not None
        except (ImportError, ValueError):  # a part of a missing package; a text that is not the name of one
            return False

    return tuple(r for r in component.requires if not is_installed(r))
