"""Lists and maps in Arrow, as lengths and elements: what is checked or rebuilt without a loop over rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import TEXTS, Array
from vlrb_plugins.shared.log_tables.arrays import nulls_of


def list_elements(lists: pa.Array) -> tuple[Array, pa.Array]:
    """Return the lengths int64[n] of lists (0 for a null) and all their elements, one after the other."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths, lists.flatten()


def rows_of(lengths: Array) -> Array:
    """Return for every element the row of its list."""
    return np.repeat(np.arange(len(lengths)), lengths)


def places_of(lengths: Array) -> Array:
    """Return for every element its place in its list, from 0."""
    starts = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) - np.repeat(starts, lengths))


def _offsets(lengths: Array, null: Array) -> pa.Array:
    """Return the offsets of lists; a null offset marks a list that is null."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.array(offsets, mask=np.concatenate([null, [False]]))


def make_lists(lengths: Array, values: pa.Array, null: Array) -> pa.Array:
    """Put lists together again; where ``null`` is true, the list is null."""
    return pa.ListArray.from_arrays(_offsets(lengths, null), values)


def map_entries(maps: pa.Array) -> tuple[Array, pa.Array, pa.Array]:
    """Return the lengths of maps, all their keys and all their values."""
    key, value = maps.type.key_type, maps.type.item_type
    pairs = maps.cast(pa.list_(pa.struct([("key", key), ("value", value)])))
    lengths, both = list_elements(pairs)
    return lengths, both.field("key"), both.field("value")


def make_text_maps(lengths: Array, keys: pa.Array, values: pa.Array, null: Array) -> pa.Array:
    """Put maps of text to text together; an entry whose value is null is left out."""
    there = ~nulls_of(values)
    kept = np.bincount(rows_of(lengths)[there], minlength=len(lengths))
    mask = pa.array(there)
    texts = [a.filter(mask).cast(pa.string()) for a in (keys, values)]
    return pa.MapArray.from_arrays(_offsets(kept, null), *texts).cast(TEXTS)


def struct_entries(structs: pa.Array) -> tuple[Array, pa.Array, pa.Array]:
    """Return structs as entries: the same keys, the names of the fields, in every row."""
    names = [f.name for f in structs.type]
    n, m = len(structs), len(names)
    columns = [c.cast(pa.string()) for c in structs.flatten()]
    values = pa.concat_arrays(columns) if columns else pa.nulls(0, pa.string())
    order = np.arange(n * m).reshape(m, n).T.reshape(-1)
    return np.full(n, m), pa.array(names * n, pa.string()), values.take(pa.array(order))
