"""Checks of what plugins implement and register: hooks against the specs, records field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from vlrb.api import hookspecs
from vlrb.api.components import KINDS, CommandSpec, Record
from vlrb.api.hookspecs import LIFECYCLE, REGISTRATION
from vlrb.api.records import Dataset, ImageTokens, Model
from vlrb.errors import (
    PluginError,
    did_you_mean,
)
from vlrb.texts import is_text, short_repr

if TYPE_CHECKING:
    pass
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered, call_hook, implements


def in_a_line(error: PluginError) -> str:
    first = error.problems[0]
    return f"{first.message} ({first.where})" if first.where else first.message


def validated(plugin: Plugin) -> Plugin:
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
        return attrs.evolve(plugin, object=None, error=in_a_line(error))
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


def records_of(plugin: Plugin, kind: str) -> list[Record]:
    hook, record_class = KINDS[kind]
    if not implements(plugin, hook):
        return []
    returned = call_hook(plugin, hook)
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
    "needs": ('a tuple of "text" and "image"', lambda v: type(v) is tuple and set(v) <= {"text", "image"}),
    "keeps": ('"text", "image" or an empty text', lambda v: is_text(v) and v in ("", "text", "image")),
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


def clashing_records(found: list[tuple[str, Registered]]) -> dict[str, str]:
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
