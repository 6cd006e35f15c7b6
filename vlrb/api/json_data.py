"""Records as JSON and back.

Paths and infinite numbers are texts; an undefined value is ``{"undefined": REASON}``, with its kind if it failed.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import cattrs
from cattrs.errors import BaseValidationError

from vlrb.api.routing import Undefined
from vlrb.errors import DataError, shorten_list
from vlrb.storage import read_json, write_json

T = TypeVar("T")


def _exactly(value: Any, kind: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"must be {kind.__name__}, not {value!r}")
    return value


def _number(value: Any, _: Any) -> float:
    if value in ("inf", "-inf"):
        return float(value)
    return value if type(value) is int else _exactly(value, float)


def _may_be_undefined(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and Undefined in get_args(kind) and len(get_args(kind)) == 2


def _make_converter(*, detailed: bool) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=detailed)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(float, _number)

    def value_or_undefined(value: Any, kind: Any) -> Any:
        if isinstance(value, dict) and "undefined" in value:
            return Undefined(value["undefined"], value.get("kind", "undefined"))
        return converter.structure(value, next(k for k in get_args(kind) if k is not Undefined))

    converter.register_structure_hook_func(_may_be_undefined, value_or_undefined)
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    converter.register_unstructure_hook(float, lambda value: str(value) if math.isinf(value) else value)
    converter.register_unstructure_hook(Path, str)
    failed = {"undefined": {}, "failed": {"kind": "failed"}}
    converter.register_unstructure_hook(Undefined, lambda value: {"undefined": value.reason, **failed[value.kind]})
    return converter


_converter, _detailed = (_make_converter(detailed=d) for d in (False, True))


def to_json(record: object) -> Any:
    """Return a record, or records in tuples and mappings, as JSON data."""
    return _converter.unstructure(record)


def write_record(file: Path, record: object) -> None:
    """Write a record as JSON, by write-then-rename."""
    write_json(file, to_json(record))


def read_record(
    file: Path, cls: type[T], schema: int | None = None, other: str = "delete the folder and run again"
) -> T:
    """Read a record from a JSON file; keys without a field are ignored.

    :param schema: the schema version that the file must have
    :param other: what to do with a file of another version
    :raises DataError: naming the file when it is missing or damaged, and its folder when it is of another version
    """
    tree = read_json(file)
    if schema is not None and isinstance(tree, dict) and tree.get("schema") != schema:
        what = f"has schema version {tree.get('schema')!r}, this vlrb reads {schema}"
        raise DataError(what, where=str(file.parent), fix=other)
    try:
        with contextlib.suppress(Exception):  # three times as fast, without a useful message
            return _converter.structure(tree, cls)
        return _detailed.structure(tree, cls)
    except BaseValidationError as error:
        reasons = shorten_list(cattrs.transform_error(error, path="$"))
        raise DataError(f"is damaged: {reasons}", where=str(file), fix="delete the folder and run again") from None
