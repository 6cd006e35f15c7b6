"""Strict structuring of TOML values, and back to plain data.

Nothing is coerced ("5" is not 5, 5.7 is not 5, "false" is not True; an integer may stand for a float); unknown keys are
refused with a did-you-mean; every problem has a file and a key path.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from vlrb.api.components import toml_name
from vlrb.errors import Problem, did_you_mean
from vlrb.experiment.document import Document, KeyPath, expanded, redacted_repr
from vlrb.redact import is_secret

T = TypeVar("T")


_BY_ATTRS = re.compile(r"^'\w+' (must be [<>]=? \S+): (.+)$")


_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a path (a string)",
}


def structure(value: Any, cls: type[T], document: Document, path: KeyPath, problems: list[Problem]) -> T | None:
    """Structure a TOML value strictly as ``cls``; put what is wrong into ``problems`` and return None then."""
    if not isinstance(value, dict):
        problems.append(Problem(f"must be a table, not {redacted_repr(value)}", document.where(path)))
        return None
    try:
        return _converter(document.origin(path).parent).structure(value, cls)
    except BaseValidationError as error:
        problems.extend(_flatten(error, document, path))
    return None


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
    return str(value) if isinstance(value, Path) else value


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


def _converter(base: Path) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, lambda v, _: (base / expanded(_exactly(str)(v, str))).resolve())
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_factory(_is_union, lambda t: _union(t, converter))
    converter.register_structure_hook_func(_is_unsupported, _unsupported)
    converter.register_structure_hook_factory(_is_tuple, lambda t: _tuple(t, converter))
    converter.register_structure_hook_factory(attrs.has, lambda c: _attrs_class(c, converter))
    return converter


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"must be {_NAMES[kind]}, not {redacted_repr(value)}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"must be a number, not {redacted_repr(value)}")
    if value != value:
        raise ValueError("must be a number, not nan")
    return float(value)


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if value not in allowed or type(value) not in {type(a) for a in allowed}:
        fix = did_you_mean(value, [a for a in allowed if isinstance(a, str)]) if isinstance(value, str) else ""
        names = " or ".join(repr(a) for a in allowed)
        raise ValueError(f"must be {names}, not {redacted_repr(value)}" + (f"; {fix}" if fix.startswith("did") else ""))
    return value


def _is_literal(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return bool(origin is Literal)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _union(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    members = [a for a in get_args(kind) if a is not type(None)]

    def hook(value: Any, _: Any) -> Any:
        failures = []
        for member in members:
            try:
                return converter.structure(value, member)
            except (TypeError, ValueError) as error:
                failures.append(str(error).split(", not ")[0].removeprefix("must be "))
            except BaseValidationError:
                if len(members) == 1:
                    raise
                failures.append(f"a {member.__name__}")
        raise TypeError(f"must be {' or '.join(failures)}, not {redacted_repr(value)}")

    return hook


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,)


def _is_unsupported(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple, set, frozenset) and not _is_tuple(kind)


def _tuple(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], tuple[Any, ...]]:
    member = get_args(kind)[0]

    def hook(value: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError(f"must be a list, not {redacted_repr(value)}")
        return tuple(_items(value, member, converter))

    return hook


def _items(value: list[Any], member: Any, converter: cattrs.Converter) -> Iterator[Any]:
    problems: list[Exception] = []
    for i, item in enumerate(value):
        try:
            yield converter.structure(item, member)
        except (TypeError, ValueError, BaseValidationError) as error:
            error.add_note(IterableValidationNote(f"item {i}", i, member))
            problems.append(error)
    if problems:
        raise IterableValidationError("a list", problems, list)


def _unsupported(_: Any, kind: Any) -> Any:
    raise TypeError(f"cannot be set: its plugin declares it as {kind}, and lists are declared as tuple[TYPE, ...]")


def _attrs_class(cls: type, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Structure an attrs class with its TOML names, running each field's validator with the field.

    attrs itself runs validators only once all fields are there, which would hide range errors behind type errors.
    """
    overrides = {
        field.name: override(rename=toml_name(field.name), struct_hook=_checked(field, converter))
        for field in attrs.fields(attrs.resolve_types(cls))
        if field.init
    }
    plain: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls,
        converter,
        _cattrs_forbid_extra_keys=True,
        **overrides,  # type: ignore[arg-type]
    )

    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"must be a table, not {redacted_repr(value)}")
        return plain(value, kind)

    return hook


def _checked(field: attrs.Attribute[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        result = converter.structure(value, field.type)  # type: ignore[arg-type]
        if field.validator is not None:
            # a validator that looks at other fields runs when the object is made, not here
            with contextlib.suppress(AttributeError):
                field.validator(None, field, result)
        return result

    return hook


def _flatten(error: BaseException, document: Document, path: KeyPath) -> Iterator[Problem]:
    """Turn cattrs' tree of errors into problems with key paths."""
    if isinstance(error, BaseValidationError):
        for child in error.exceptions:
            yield from _flatten(child, document, path + _step(child))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [toml_name(f.name) for f in attrs.fields(error.cl) if f.init]
        current = former_names(error.cl)
        for key in sorted(error.extra_fields):
            where = document.where((*path, key))
            if key in current:
                yield Problem(f"is now called {current[key]!r}", where, "rename the key")
            else:
                yield Problem("unknown key", where, did_you_mean(key, known))
    elif isinstance(error, KeyError):
        yield Problem("is missing", document.where(path), "add it")
    else:
        message = _BY_ATTRS.sub(r"\1, not \2", str(error.args[0]) if error.args else str(error))
        if path and is_secret(str(path[-1])):
            message = message.partition(", not ")[0]
        yield Problem(message, document.where(path))


def _step(error: BaseException) -> KeyPath:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (toml_name(note.name),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()
