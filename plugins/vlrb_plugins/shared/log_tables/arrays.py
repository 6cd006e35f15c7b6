"""Arrow arrays and types: which values are null, true, or seen before; which types hold texts, lists or bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from vlrb import Array


def nulls_of(array: pa.Array) -> Array:
    """Return bool[n]: which values are null."""
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def true_values(array: pa.Array) -> Array:
    """Return booleans as bool[n], nulls as false."""
    return np.asarray(array.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def repeated_pairs(seen: Array, at: tuple[Array, ...]) -> Array:
    """Return bool[m]: which of m pairs were seen before, or appear earlier among the m.

    :param seen: [n, k], not 0 where a pair was seen
    :param at: rows and columns of the pairs, int[m] each
    """
    flat = at[0].astype(np.int64) * seen.shape[1] + at[1]
    again = np.ones(flat.size, dtype=np.bool_)
    again[np.unique(flat, return_index=True)[1]] = False
    return np.asarray(again | (seen[at] != 0))


def is_text(t: pa.DataType) -> bool:
    """Tell whether a type is one of Arrow's types of text, dictionaries of texts included."""
    inner = t.value_type if pa.types.is_dictionary(t) else t
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def is_list(t: pa.DataType) -> bool:
    """Tell whether a type is one of Arrow's types of lists, maps aside."""
    return bool(pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t))


def is_binary(t: pa.DataType) -> bool:
    """Tell whether a type is one of Arrow's types of bytes."""
    return bool(pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_binary_view(t))
