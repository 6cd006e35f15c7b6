"""Strict structuring of TOML values, and back to plain data.

Nothing is coerced ("5" is not 5, 5.7 is not 5, "false" is not True; an integer may stand for a float); unknown keys are
refused with a did-you-mean; every problem has a file and a key path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs

from vlrb.api.components import toml_name
from vlrb.errors import ConfigError, Problem, did_you_mean
from vlrb.experiment.document import Document, KeyPath, expanded, last_key, redacted_repr
from vlrb.redact import is_secret

T = TypeVar("T")
Wrong = tuple[KeyPath, str, str]
"""Where, what, and how to fix it."""

MOVED: Mapping[str, str] = {
    "select_by": "move it to the table [selection], as the key metric",
    "select_on": "move it to the table [selection], as the key on",
    "split.method": 'write use: "stratified" is now use = "grouped", "paper" is use = "samples"',
    "features.*.text_weight": 'move it to the fusion: fusion = { use = "weighted-average", text_weight = 0.3 }',
}
"""Keys of earlier versions that went to another table -> what to do; renamed parameters say so by ``param(was=...)``."""

RENAMED: Mapping[tuple[str, str], str] = {("splitter", "stratified"): "grouped", ("splitter", "paper"): "samples"}
"""Kind and name of components of earlier versions -> what they are called now."""

KINDS_OF_PARAMETERS = (
    "bool, int, float, str, Path, Literal, Enum, Any, attrs classes, tuple[TYPE, ...], dict[str, TYPE], or several by |"
)
_BY_ATTRS = re.compile(r"^'\w+' (must be [<>]=? \S+): (.+)$")
_SCALARS: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a path (a string)",
}


def structure(
    value: Any, cls: type[T], document: Document, path: KeyPath, problems: list[Problem], other_keys: Iterable[str] = ()
) -> T | None:
    """Structure a TOML table strictly as ``cls``; add what is wrong to ``problems`` and return None then.

    :param other_keys: keys of the same table that belong to others, for the did-you-mean
    """
    wrong: list[Wrong] = []
    base = document.origin(path).parent
    if isinstance(value, dict):
        made = _read_table(value, cls, path, base, wrong, other_keys)
    else:
        made = _read_value(value, cls, path, base, wrong)
    for place, message, fix in wrong:
        shown = message.partition(", not ")[0] if is_secret(last_key(place)) else message
        problems.append(Problem(shown, document.where(place), fix))
    return None if wrong else made


def unstructure(value: Any) -> Any:
    """Return a parameter object as plain JSON data: parameter names as in TOML, paths as text, inf as "inf"."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {toml_name(f.name): unstructure(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(k): unstructure(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [unstructure(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Enum):
        return unstructure(value.value)
    return str(value) if isinstance(value, Path | date | time) else value


def restructure(plain: Any, cls: type[T]) -> T:
    """Return the parameter object that :func:`unstructure` made plain, for what is saved and loaded again; paths stay text.

    Values saved under a parameter's former name are found too.

    :raises KeyError: when a parameter is missing
    """
    current = former_names(cls)
    plain = {current.get(name, name): value for name, value in plain.items()}
    fields = attrs.fields(cls)  # type: ignore[arg-type]
    return cls(**{f.alias: restore_value(plain[toml_name(f.name)]) for f in fields})


def former_names(cls: Any) -> dict[str, str]:
    """Return former name -> name of the parameters that were renamed, as written in TOML."""
    return {old: toml_name(f.name) for f in attrs.fields(cls) for old in f.metadata.get("was", ())}


def restore_value(plain: Any) -> Any:
    """Undo what JSON makes of tuples and of infinite numbers."""
    if isinstance(plain, list):
        return tuple(restore_value(v) for v in plain)
    return float(plain) if plain in ("inf", "-inf") else plain


def unknown_key(path: KeyPath, known: Iterable[str], former: Mapping[str, str] | None = None) -> Wrong:
    """Return what is wrong with an unknown key: what it is called now, or which keys are like it.

    :param former: former name -> name of keys of the same table
    """
    key, written = str(path[-1]), ".".join(map(str, path))
    if former and key in former:
        return path, f"is now called {former[key]!r}", "change the key"
    for old, fix in MOVED.items():
        if len(path) == old.count(".") + 1 and fnmatchcase(written, old):
            return path, "is no longer a key here", fix
    return (
        path,
        "unknown key",
        did_you_mean(key, known, 0.7) if (known := tuple(known)) else "remove it: there are no keys",
    )


def _read_value(value: Any, kind: Any, path: KeyPath, base: Path, wrong: list[Wrong]) -> Any:
    """Return a TOML value as its declared type, paths below ``base``; add what is wrong to ``wrong``."""
    origin, members, wanted = get_origin(kind), get_args(kind), _wanted(kind)
    message = fix = ""
    if kind in (Any, object):
        return value
    if not wanted:
        message = f"cannot be set: its plugin declares it as {kind}, and parameters are {KINDS_OF_PARAMETERS}"
    elif (origin or kind) in (dict, Mapping) and isinstance(value, dict):
        return {k: _read_value(v, (*members, Any, Any)[1], (*path, k), base, wrong) for k, v in value.items()}
    elif attrs.has(kind) and isinstance(value, dict):
        return _read_table(value, kind, path, base, wrong)
    elif origin is tuple and isinstance(value, list):
        return tuple(_read_value(v, members[0], (*path, i), base, wrong) for i, v in enumerate(value))
    elif origin in (Union, UnionType):
        tried: list[Wrong] = []
        members = tuple(m for m in members if m is not type(None))
        for member in members:
            tried = []
            made = _read_value(value, member, path, base, tried)
            if not tried:
                return made
        if len(members) == 1:
            wrong += tried
            return None
    elif choices := _choices(kind):
        for plain, chosen in choices:
            if value == plain and type(value) is type(plain):
                return chosen
        hint = did_you_mean(value, [m for m, _ in choices if isinstance(m, str)]) if isinstance(value, str) else ""
        fix = hint if hint.startswith("did") else ""
    elif kind is Path and isinstance(value, str):
        try:
            return (base / expanded(value)).resolve()
        except ConfigError as error:
            message, fix = error.problems[0].message, error.problems[0].fix
    elif value == value and (type(value) is kind or (kind is float and type(value) is int)):  # not nan
        return kind(value)
    wrong.append((path, message or f"must be {wanted}, not {redacted_repr(value, last_key(path))}", fix))
    return None


def _wanted(kind: Any) -> str:
    """Return in words what a value of a type is; an empty text for a type that parameters cannot have."""
    origin, members = get_origin(kind), get_args(kind)
    if choices := _choices(kind):
        return " or ".join(repr(plain) for plain, _ in choices)
    if origin in (Union, UnionType):
        return " or ".join(filter(None, map(_wanted, members)))
    if origin is tuple and members[1:] == (Ellipsis,):
        return "a list"
    if attrs.has(kind) or ((origin or kind) in (dict, Mapping) and members[:1] in ((), (str,), (Any,))):
        return "a table"
    return "anything" if kind in (Any, object) else _SCALARS.get(kind, "")


def _choices(kind: Any) -> list[tuple[Any, Any]]:
    """Return (as written, value) of each value of a Literal or an Enum."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [(member.value, member) for member in kind]
    return [(member, member) for member in get_args(kind)] if get_origin(kind) is Literal else []


def _read_table(
    table: Mapping[str, Any], cls: type, path: KeyPath, base: Path, wrong: list[Wrong], other_keys: Iterable[str] = ()
) -> Any:
    """Return a table as an attrs class, each field's validator run as soon as its own value is right.

    attrs runs validators only once all fields are there, which would hide range errors behind type errors.
    """
    fields = {toml_name(f.name): f for f in attrs.fields(attrs.resolve_types(cls)) if f.init}
    given: dict[str, Any] = {}
    before = len(wrong)
    for name, field in fields.items():
        here, found = (*path, name), len(wrong)
        if name in table:
            made = given[field.alias] = _read_value(table[name], field.type, here, base, wrong)
            if field.validator is not None and len(wrong) == found:
                try:
                    field.validator(None, field, made)
                except AttributeError:
                    pass  # it looks at other fields: it runs when the object is made
                except Exception as error:
                    wrong.append((here, _reason(error), ""))
        elif field.default is attrs.NOTHING:
            wrong.append((here, "is missing", "add it"))
    former = former_names(cls)
    wrong += [unknown_key((*path, key), (*fields, *other_keys), former) for key in sorted(table.keys() - fields.keys())]
    if len(wrong) > before:
        return None
    try:
        return cls(**given)
    except Exception as error:
        wrong.append((path, _reason(error), ""))


def _reason(error: Exception) -> str:
    return _BY_ATTRS.sub(r"\1, not \2", str(error.args[0] if error.args else error))
