"""Experiments that are given as dicts, written as TOML: they are then read and checked like files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any

from vlrb.errors import ConfigError
from vlrb.experiment.document import DEEPEST
from vlrb.texts import is_text, short_repr


def to_toml(tree: Mapping[str, Any], where: str = "") -> str:
    """Return a dict as TOML; paths become texts, tuples arrays, and numbers of numpy plain numbers.

    :param where: what the dict is, for errors
    :raises ConfigError: naming the key of what TOML cannot hold
    """
    tables = {k: v for k, v in tree.items() if isinstance(v, Mapping)}
    arrays = {k: v for k, v in tree.items() if _is_array_of_tables(v)}
    values = {k: v for k, v in tree.items() if k not in tables and k not in arrays}
    lines = _lines(values, where)
    for key, table in tables.items():
        lines += ["", f"[{_key(key, where)}]", *_lines(table, _place(where, key))]
    for key, array in arrays.items():
        for i, table in enumerate(array):
            lines += ["", f"[[{_key(key, where)}]]", *_lines(table, _place(where, f"{key}[{i}]"))]
    return "\n".join(lines).lstrip("\n") + "\n"


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(v, Mapping) for v in value)


def _lines(table: Mapping[str, Any], where: str) -> list[str]:
    return [f"{_key(k, where)} = {_value(v, _place(where, k), 1)}" for k, v in table.items()]


def _place(where: str, key: object) -> str:
    return f"{where}.{key}" if ":" in where else f"{where}: {key}"


def _key(key: object, where: str) -> str:
    if not isinstance(key, str) or not is_text(key):
        raise ConfigError(f"has the key {short_repr(key)}, which is not a text", where=where, fix="use texts as keys")
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, where: str, depth: int) -> str:
    """Return a value; tables and arrays in one line."""
    if depth > DEEPEST:
        raise ConfigError(f"has more than {DEEPEST} levels of tables or arrays", where=where, fix="use fewer levels")
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if hasattr(value, "tolist"):  # an array or a number of numpy
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and is_text(value):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        items = (f"{_key(k, where)} = {_value(v, _place(where, k), depth + 1)}" for k, v in value.items())
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"[{', '.join(_value(v, f'{where}[{i}]', depth + 1) for i, v in enumerate(value))}]"
    fix = "leave the key out" if value is None else "use texts, numbers, truth values, lists and dicts"
    raise ConfigError(f"is {short_repr(value)}, which TOML cannot hold", where=where, fix=fix)
