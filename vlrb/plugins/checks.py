"""Checks of what plugins implement and register: hooks against the specs, records field by field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import pluggy

from vlrb.api import hookspecs
from vlrb.api.components import KINDS, CommandSpec
from vlrb.api.hookspecs import LIFECYCLE, REGISTRATION
from vlrb.api.records import Dataset, ImageTokens, Model
from vlrb.errors import PluginError, did_you_mean
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered, implements
from vlrb.texts import is_text, short_repr


def check_hooks(plugin: Plugin) -> None:
    """Check a plugin's hook implementations against the hook specs.

    :raises PluginError: saying what is wrong
    """
    with blame(plugin, "looking for its hooks"):
        found = {n: getattr(plugin.object, n, None) for n in dir(plugin.object) if n.startswith("vlrb_")}
        problems = [_hook_problem(name, value) for name, value in found.items() if callable(value)]
        if not any(getattr(value, "vlrb_impl", None) for value in found.values()):
            problems.append("it implements no vlrb hook; see `vlrb hooks`")
        for problem in filter(None, problems):
            raise PluginError(problem)
        manager = pluggy.PluginManager("vlrb")
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(plugin.object, plugin.name)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(" ".join(str(error).split())) from None


def _hook_problem(name: str, implementation: Callable[..., Any]) -> str:
    """Return what is wrong with an implementation; an empty text where nothing is."""
    known = REGISTRATION | LIFECYCLE
    options = getattr(implementation, "vlrb_impl", None)
    if name not in known:
        return f"unknown hook {name!r}; {did_you_mean(name, known)}" if options is not None else ""
    if options is None:
        return f"{name} lacks the decorator @hookimpl (from vlrb import hookimpl), so it would never be called"
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"{name} is declared a wrapper; a plugin may add names and observers, it may not change others'"
    return ""


def settings_of(plugin: Plugin) -> type | None:
    """Return the class of a plugin's settings, if it has one."""
    if not implements(plugin, "vlrb_settings"):
        return None
    with blame(plugin, "registering (vlrb_settings)"):
        settings = plugin.object.vlrb_settings()
        if not isinstance(settings, type) or not attrs.has(settings):
            raise PluginError("vlrb_settings must return an attrs class")
    return settings


def records_of(plugin: Plugin, kind: str) -> list[Registered]:
    """Return what a plugin registers under a kind; every record is checked."""
    hook, record_class = KINDS[kind]
    if not implements(plugin, hook):
        return []
    with blame(plugin, f"registering ({hook})"):
        returned = getattr(plugin.object, hook)()
        if not isinstance(returned, Sequence) or isinstance(returned, str):
            raise PluginError(f"{hook} must return a list of {record_class.__name__}, not {type(returned).__name__}")
        records: list[Any] = list(returned)
        names: set[str] = set()
        for record in records:
            if not isinstance(record, record_class):
                raise PluginError(f"{hook} must return {record_class.__name__} records, not {type(record).__name__}")
            check_fields(record, hook)
            if record.name in names:
                raise PluginError(f"{hook} returns {record.name!r} twice")
            names.add(record.name)
    return [Registered(record, plugin) for record in records]


_WANTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a text", is_text),
    "bool": ("True or False", lambda v: type(v) is bool),
    "bool | None": ("True, False or None", lambda v: v is None or type(v) is bool),
    "int | None": ("a positive integer, or None", lambda v: v is None or (type(v) is int and 0 < v < 2**53)),
    "float | None": ("a number, or None", lambda v: v is None or type(v) in (int, float)),
    "tuple[str, ...]": ("a tuple of texts", lambda v: type(v) is tuple and all(map(is_text, v))),
    "ImageTokens | None": ("ImageTokens, or None", lambda v: v is None or isinstance(v, ImageTokens)),
    "Literal['text', 'image', 'both']": ('"text", "image" or "both"', {"text", "image", "both"}.__contains__),
    "Literal['', 'text', 'image']": ('"text", "image" or an empty text', {"", "text", "image"}.__contains__),
    "tuple[Literal['text', 'image'], ...]": (
        'a tuple of "text" and "image"',
        lambda v: type(v) is tuple and set(v) <= {"text", "image"},
    ),
}
"""Annotation of a record's field -> what the value must be, and how to tell."""


def check_fields(record: Any, hook: str) -> None:
    # attrs replaces the types of fields as soon as anybody resolves them
    hints = {name: hint for c in reversed(type(record).__mro__) for name, hint in inspect.get_annotations(c).items()}
    for field in attrs.fields(type(record)):
        hint, value = str(hints.get(field.name)), getattr(record, field.name)
        wanted, holds = _WANTED.get(hint, ("callable", lambda _: True))
        if hint.startswith("Callable"):
            holds = callable if not hint.endswith("None") else lambda v: v is None or callable(v)
        if not holds(value):
            what = f"whose {field.name} must be {wanted}, not {short_repr(value)}"
            raise PluginError(f"{hook} returns {short_repr(record.name)}, {what}")


def clashing_plugins(records: Iterable[tuple[str, Registered]]) -> dict[Plugin, str]:
    """Return plugin -> error for datasets, models and commands, whose names come from outside and cannot be qualified."""
    owners: dict[tuple[str, str], Plugin] = {}
    errors: dict[Plugin, str] = {}
    for kind, registered in records:
        record = registered.record
        if isinstance(record, Dataset | Model | CommandSpec):
            for name in {record.name, *getattr(record, "aliases", ())}:
                first = owners.setdefault((kind, name), registered.plugin)
                if first is not registered.plugin:
                    errors[registered.plugin] = f"{kind} {name!r} is registered by {first.label} already"
    return errors
