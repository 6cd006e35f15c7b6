"""Checks of what log sources stream and token counters count."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.frozen import Array
from vlrb.api.logs import Part
from vlrb.api.returned import FIX, plain_array
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS, OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark.findings import LeftOut
from vlrb.benchmark.listing import files_of
from vlrb.errors import DataError, PluginError, Problem
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.texts import is_text, short_repr

MAY_BE_NULL = frozenset(
    {"prediction", "score", "input_tokens", "output_tokens", "cost", "hint", "answer", "options", "images"}
)


def token_column(tokens: Array | pa.Array | None, rows: int, part: Part, who: str) -> pa.Array:
    if tokens is None:
        return pa.nulls(rows, pa.int64())
    counts = tokens if isinstance(tokens, pa.Array) else pa.array(plain_array(tokens, "what it returned", who))
    some = pa.types.is_integer(counts.type) and len(counts) > counts.null_count
    low, high = pc.min_max(counts).as_py().values() if some else (0, 0)
    if len(counts) != rows or not pa.types.is_integer(counts.type) or not 0 <= low <= high <= MOST_TOKENS:
        what = f"{rows:,} integers between 0 and {MOST_TOKENS:,}"
        raise PluginError(f"{who} returned {short_repr(tokens)} instead of {what}", where=part.id, fix=FIX)
    return counts.cast(pa.int64())


def checked_batch(batch: Any, part: Part, chosen: ConfiguredComponent) -> pa.RecordBatch:
    """Return a batch with all columns, the optional ones filled with nulls where it lacks them.

    :raises PluginError: when a column is missing or of another type, or has gaps where there may be none
    """
    samples = part.kind == "samples"
    required, optional = (SAMPLES, SAMPLES_OPTIONAL) if samples else (OUTCOMES, OUTCOMES_OPTIONAL)
    if not isinstance(batch, pa.RecordBatch):
        problem = f"{type(batch).__name__} instead of a RecordBatch"
    else:
        batch.validate(full=True)
        problem = ", ".join(_column_problems(batch, required, optional, part))
    if problem:
        raise PluginError(
            f"log source {chosen.registered.id!r} of {chosen.plugin.label} returned {problem}",
            where=part.id,
            fix="return batches as vlrb.api.schemas says",
        )
    arrays = [
        batch.column(f.name) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type)
        for f in (*required, *optional)
    ]
    filled = pa.record_batch(arrays, schema=pa.schema([*required, *optional]))
    if part.model and not samples:
        position = filled.schema.get_field_index("model")
        filled = filled.set_column(position, "model", pa.array([part.model] * batch.num_rows, pa.string()))
    return filled


def _column_problems(batch: pa.RecordBatch, required: pa.Schema, optional: pa.Schema, part: Part) -> list[str]:
    have = {f.name: f.type for f in batch.schema}
    schema = [*required, *(f for f in optional if f.name in have)]
    wrong = [
        f"{f.name}: {have.get(f.name, 'missing')} instead of {f.type}" for f in schema if have.get(f.name) != f.type
    ]
    if not wrong and part.dataset:
        others = set(batch.column("dataset").unique().to_pylist()) - {part.dataset}
        wrong += [f"rows of dataset {name!r}" for name in sorted(map(str, others))]
    must = [f.name for f in required if f.name not in MAY_BE_NULL]
    must += ["model"] if part.kind == "outcomes" and not part.model else []
    wrong += [f"{n}: missing" for n in must if n not in have and n == "model"]
    return wrong + [f"{n}: nulls" for n in must if n in have and batch.column(n).null_count]


_LIMITS = {"score": 1.0, "cost": HIGHEST_COST, "input_tokens": float(MOST_TOKENS), "output_tokens": float(MOST_TOKENS)}
"""Column -> the largest number that may stand in it; the least is 0."""


def check_numbers(batch: pa.RecordBatch, ids: pa.Array, part: Part) -> None:
    """Refuse numbers outside their limits, before they can overflow anything.

    :raises DataError: naming the first sample of each column, and the files
    """
    problems = []
    for name, high in _LIMITS.items():
        column = batch.column(name)
        values = column.to_numpy(zero_copy_only=False)
        bad = np.flatnonzero(~((values >= 0) & (values <= high)) & column.is_valid().to_numpy(zero_copy_only=False))
        if bad.size:
            row = int(bad[0])
            more = f" ({bad.size:,} rows are like this)" if bad.size > 1 else ""
            said = f"{name} of sample {ids[row].as_py()!r} is {column[row].as_py()!r}, which is not between 0 and {high:,.0f}"
            fix = "write null where there is no verdict" if name == "score" else "write null where it is not known"
            problems.append(Problem(said + more, files_of(part), fix))
    if problems:
        raise DataError(problems)


def checked_left_out(note: Any) -> LeftOut:
    """Return what the metadata of a batch says of samples that were left out, see :mod:`vlrb.api.schemas`.

    :raises ValueError: when it says something else
    """
    known = note if isinstance(note, dict) else {}
    said: list[Any] = [known.get(f.name) for f in attrs.fields(LeftOut)]
    keys, reason, fix, drop = said
    if not isinstance(keys, list) or not all(map(is_text, [*keys, reason, fix])) or not isinstance(drop, bool):
        what = "left_out in the metadata of a batch must hold keys, reason, fix and drop_answers"
        raise ValueError(f"{what}, not {short_repr(note)}")
    return LeftOut(tuple(keys), reason, fix, drop)
