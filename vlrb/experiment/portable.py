"""A plan on its way to another process: what belongs to plugins goes by name, as these are loaded anew there."""

from __future__ import annotations

import io
import pickle
from typing import Any

import attrs

from vlrb.errors import ConfigError
from vlrb.experiment.plan import Plan
from vlrb.plugins.discovery import load
from vlrb.plugins.registry import Registry


def pack_plan(plan: Plan) -> bytes:
    """Return a plan for :func:`unpack_plan`, without what only the asking process uses: reports and settings of plugins."""
    file = io.BytesIO()
    pickle.dump(plan.registry.selection, file)
    names = {id(thing): name for name, thing in _by_name(plan.registry).items()}
    pickler = pickle.Pickler(file)
    pickler.persistent_id = lambda thing: names.get(id(thing))  # type: ignore[method-assign]
    pickler.dump(attrs.evolve(plan, reports=(), settings={}))
    return file.getvalue()


def unpack_plan(packed: bytes) -> Plan:
    """Load the plugins of a packed plan and return the plan with their components.

    :raises PluginError: when a plugin is broken
    :raises ConfigError: when a plugin no longer has a component
    """
    file = io.BytesIO(packed)
    registry = load(pickle.load(file))  # noqa: S301  (the asking process has packed it)
    registry.check()
    things = _by_name(registry)

    def find(name: tuple[str, ...]) -> Any:
        if name not in things:
            what = f"plugins no longer have {' '.join(name)!r}: one of them changed since the plan was made"
            raise ConfigError(what, fix="run again")
        return things[name]

    unpickler = pickle.Unpickler(file)  # noqa: S301
    unpickler.persistent_load = find  # type: ignore[method-assign]
    plan: Plan = unpickler.load()
    return plan


def _by_name(registry: Registry) -> dict[tuple[str, ...], Any]:
    """Return the registry, its components, and the classes of their parameters, whose modules may not be found by name."""
    found: dict[tuple[str, ...], Any] = {("registry",): registry}
    for kind, records in registry.records.items():
        for registered in records:
            found[kind, registered.id] = registered
            if hasattr(registered.record, "params"):
                found[kind, registered.id, "parameters"] = registered.record.params
    return found
