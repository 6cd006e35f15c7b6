"""Features as encoders and fusions must return them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from vlrb.api.returned import FIX, plain_array
from vlrb.api.routing import Column, Features
from vlrb.errors import PluginError
from vlrb.texts import is_text


def plain_features(returned: Any, n: int, who: str) -> Features:
    """Return features of n queries as a float32 matrix of numpy's own class and plain columns.

    :raises PluginError: when an encoder or a fusion, ``who``, returned something else
    """
    if not isinstance(returned, Features):
        raise PluginError(f"{who} returned {type(returned).__name__} instead of Features", fix=FIX)
    given: Any = returned.columns
    columns = tuple(_plain_column(c, who) for c in given)
    matrix = plain_array(returned.matrix, "its matrix", who)
    if not columns or matrix.shape != (n, len(columns)):
        what = f"a matrix {matrix.shape} with {len(columns)} columns for {n:,} queries"
        raise PluginError(f"{who} returned {what}", fix="return a row per query and a column per Column, at least one")
    if matrix.dtype != np.float32:
        fix = "return matrix.astype(np.float32)"
        raise PluginError(f"{who} returned a matrix of {matrix.dtype} instead of float32", fix=fix)
    name, count = Counter(c.name for c in columns).most_common(1)[0]
    if count > 1:
        raise PluginError(f"{who} returned {count} columns named {name!r}", fix=FIX)
    return Features(matrix, columns)


def check_values(features: Features, ids: Sequence[str], who: str) -> None:
    """Check that values are finite, or NaN where a column may be missing, and codes those of their categories.

    :param ids: of the rows, as the logs have them
    :raises PluginError: naming the first value that is not
    """
    gaps = np.isnan(features.matrix)
    bad = np.isinf(features.matrix) | (gaps & [not c.may_be_missing for c in features.columns])
    for j, column in enumerate(features.columns):
        if column.kind == "categorical" and column.categories:
            bad[:, j] |= ~gaps[:, j] & ~np.isin(features.matrix[:, j], np.arange(column.categories))
    if bad.any():
        row, place = np.argwhere(bad)[0].tolist()
        column = features.columns[place]
        codes_are = f", whose codes are 0 to {column.categories - 1}" if column.categories else ""
        what = f"{features.matrix[row, place]} in column {column.name!r} of sample {ids[row]!r}{codes_are}"
        raise PluginError(f"{who} returned {what}", fix=FIX)


def _plain_column(column: Any, who: str) -> Column:
    """Return a column with fields of Python's own types."""
    plain = (
        isinstance(column, Column)
        and is_text(column.name)
        and is_text(column.kind)
        and column.kind in ("dense", "numeric", "categorical")
        and isinstance(column.may_be_missing, bool | np.bool_)
        and isinstance(column.categories, int | np.integer)
        and 0 <= column.categories < 2**31
    )
    if not plain:
        raise PluginError(f"{who} returned columns that are not a Column, or have fields of a wrong type", fix=FIX)
    return Column(str.__str__(column.name), column.kind, bool(column.may_be_missing), int(column.categories))
