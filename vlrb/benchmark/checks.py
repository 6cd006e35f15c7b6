"""Checks of what log sources and token counters return, and how messages name parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.frozen import Array
from vlrb.api.logs import Listing, Part
from vlrb.api.returned import FIX, plain_array
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS, OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark.manifest import LeftOut
from vlrb.errors import DataError, PluginError, Problem, did_you_mean, shorten_list
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.texts import is_text, short_repr

NULLABLE = frozenset(
    {"prediction", "score", "input_tokens", "output_tokens", "cost", "hint", "answer", "options", "images"}
)
LIMITS = {"score": 1.0, "cost": HIGHEST_COST, "input_tokens": float(MOST_TOKENS), "output_tokens": float(MOST_TOKENS)}
"""Column -> the largest number allowed in it; the least is 0."""


def label_of(chosen: ConfiguredComponent) -> str:
    """Return a component and its plugin, as messages name them."""
    return f"{chosen.kind.replace('-', ' ')} {chosen.registered.id!r} of {chosen.plugin.label}"


def files_of(part: Part) -> str:
    """Return the files of a part, as messages name them."""
    return shorten_list(part.files) or part.id


def refuse(problems: Iterable[Problem]) -> None:
    """Raise all problems at once, if there are any."""
    if found := list(problems):
        raise DataError(found)


def plain_listing(listing: Any, source: ConfiguredComponent) -> Listing:
    """Return a listing with plain fields; the error names a part or field that is not valid."""
    label = label_of(source)
    if not isinstance(listing, Listing):
        raise PluginError(f"{label} returned {type(listing).__name__} instead of a Listing", fix=FIX)
    parts = tuple(listing.parts)
    for odd in (p for p in parts if not _is_part(p)):
        fix = 'give each part a text as id, kind "samples" or "outcomes", a tuple of paths, and names that are texts'
        raise PluginError(f"{label} listed {short_repr(odd)}, which is not a valid Part", fix=fix)
    for name in (name for name, count in Counter(p.id for p in parts).items() if count > 1):
        raise PluginError(f"{label} listed two parts with the id {name!r}", fix="give each part its own id")
    ignored = {str(file): why for file, why in listing.ignored.items()}
    if not all(map(is_text, [listing.synthetic, *ignored, *ignored.values()])):
        raise PluginError(f"{label} returned a Listing whose ignored or synthetic are not texts", fix=FIX)
    return Listing(parts, ignored, listing.synthetic)


def _is_part(part: object) -> bool:
    return (
        isinstance(part, Part)
        and all(map(is_text, (part.id, part.kind, part.dataset, part.model)))
        and bool(part.id)
        and part.kind in ("samples", "outcomes")
        and isinstance(part.files, tuple | list)
        and all(isinstance(f, Path) and "\0" not in str(f) for f in part.files)
    )


def check_listing(listing: Listing, source: ConfiguredComponent) -> None:
    """Check that each dataset has one part of samples, and outcomes."""
    label = f"log source {source.registered.id!r}"
    asked = [p.dataset for p in listing.parts if p.kind == "samples"]
    answered = {p.dataset for p in listing.parts if p.kind == "outcomes"}
    if not answered:
        fix = "check [logs] path and [benchmark] models; `vlrb check` lists the files that are not read"
        raise DataError("the logs hold no outcomes of any known model", where=label, fix=fix)
    twice = {d for d in asked if d and asked.count(d) > 1}
    checks = [(twice, "samples in two parts", "keep the questions of a dataset in one place")]
    if "" not in {*asked, *answered}:
        leave = "or leave the dataset out of [benchmark] datasets"
        checks += [
            (answered - set(asked), "outcomes but no samples", f"add its questions, {leave}"),
            (set(asked) - answered, "samples but no outcomes", f"add the models' answers, {leave}"),
        ]
    refuse(Problem(f"dataset {d!r} has {what}", label, fix) for names, what, fix in checks for d in sorted(names))


def unused_tables(plan: Plan, datasets: Collection[str], models: Collection[str]) -> list[str]:
    """Return a warning per ``[[dataset]]`` and ``[[model]]`` whose name the logs do not have, unless it is not asked for.

    Files that are included may serve several experiments; no table of theirs is looked at.

    :param datasets: names that the logs have
    """
    found, document, catalog = [], plan.document, plan.catalog
    of_kinds = (("dataset", datasets, catalog.wanted_datasets), ("model", models, catalog.wanted_models))
    for kind, names, wanted in of_kinds:
        for i, table in enumerate(document.tree.get(kind, ())):
            name, path = table["name"], (kind, i, "name")
            asked = wanted is None or name in wanted
            if asked and name not in names and document.origin(path) == document.path:
                what = f"the logs have no {kind} {name!r}, which this table describes"
                found.append(f"{document.where(path)}: {what} ({did_you_mean(name, names)})")
    return found


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


def checked_batch(batch: Any, part: Part, source: ConfiguredComponent) -> pa.RecordBatch:
    """Return a batch with all columns, optional ones filled with nulls; refuse other types, and nulls where none are allowed."""
    samples = part.kind == "samples"
    required, optional = (SAMPLES, SAMPLES_OPTIONAL) if samples else (OUTCOMES, OUTCOMES_OPTIONAL)
    if isinstance(batch, pa.RecordBatch):
        batch.validate(full=True)
        problem = ", ".join(_column_problems(batch, required, optional, part))
    else:
        problem = f"{type(batch).__name__} instead of a RecordBatch"
    if problem:
        schema = "vlrb.SAMPLES" if samples else "vlrb.OUTCOMES, and model where the part has none"
        fix = f"yield pyarrow.RecordBatch objects with the columns of {schema}"
        raise PluginError(f"{label_of(source)} returned {problem}", where=part.id, fix=fix)
    schema = pa.schema([*required, *optional])
    have = batch.schema.names
    columns = {f.name: batch.column(f.name) if f.name in have else pa.nulls(batch.num_rows, f.type) for f in schema}
    if part.model and not samples:
        columns["model"] = pa.repeat(part.model, batch.num_rows)
    return pa.record_batch(list(columns.values()), schema=schema)


def _column_problems(batch: pa.RecordBatch, required: pa.Schema, optional: pa.Schema, part: Part) -> list[str]:
    have = {f.name: f.type for f in batch.schema}
    must = {f.name for f in required} | ({"model"} if part.kind == "outcomes" and not part.model else set())
    fields = [f for f in (*required, *optional) if f.name in must or f.name in have]
    wrong = [
        f"{f.name}: {have.get(f.name, 'missing')} instead of {f.type}" for f in fields if have.get(f.name) != f.type
    ]
    if not wrong and part.dataset:
        others = set(batch.column("dataset").unique().to_pylist()) - {part.dataset}
        wrong += [f"rows of dataset {name!r}" for name in sorted(map(str, others))]
    full = [f.name for f in fields if f.name in have and f.name in must - NULLABLE]
    return wrong + [f"{name}: nulls" for name in full if batch.column(name).null_count]


def check_numbers(batch: pa.RecordBatch, ids: pa.Array, part: Part) -> None:
    """Refuse numbers outside their limits, before they can overflow; the error names the first sample of each column."""
    problems = []
    for name, high in LIMITS.items():
        column = batch.column(name)
        values = column.to_numpy(zero_copy_only=False)
        bad = np.flatnonzero(~((values >= 0) & (values <= high)) & column.is_valid().to_numpy(zero_copy_only=False))
        if bad.size:
            row = int(bad[0])
            more = f" ({bad.size:,} rows are like this)" if bad.size > 1 else ""
            what = f"{name} of sample {ids[row].as_py()!r} is {column[row].as_py()!r}, which is not between 0 and {high:,.0f}"
            fix = "write null where there is no verdict" if name == "score" else "write null where it is not known"
            problems.append(Problem(what + more, files_of(part), fix))
    refuse(problems)


def checked_metadata(metadata: Mapping[bytes, bytes]) -> tuple[dict[str, int], list[str], list[LeftOut]]:
    """Return what a batch's metadata says (see :mod:`vlrb.api.schemas`): counts, files that its rows name, samples left out."""
    defaults = {b"counts": b"{}", b"files": b"[]", b"left_out": b"null"}
    counts, files, note = (json.loads(metadata.get(name, default)) for name, default in defaults.items())
    known = note if isinstance(note, dict) else {}
    said: list[Any] = [known.get(f.name) for f in attrs.fields(LeftOut)]
    keys, reason, fix, drop = said
    sound = isinstance(keys, list) and all(map(is_text, [*keys, reason, fix])) and isinstance(drop, bool)
    counted = isinstance(counts, dict) and all(is_text(k) and type(v) is int for k, v in counts.items())
    for name, value, valid, what in (
        ("counts", counts, counted, "be integers by name"),
        ("files", files, isinstance(files, list) and all(map(is_text, files)), "be a list of paths"),
        ("left_out", note, sound or b"left_out" not in metadata, "hold keys, reason, fix and drop_answers"),
    ):
        if not valid:
            raise ValueError(f"{name} in the metadata of a batch must {what}, not {short_repr(value)}")
    return counts, files, [LeftOut(tuple(keys), reason, fix, drop)] if sound else []
