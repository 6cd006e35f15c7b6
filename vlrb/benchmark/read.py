"""Reading the parts of a log tree into the cache, each once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import __version__
from vlrb.api.images import ImageWriter
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS, OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.api.types import Array, Listing, LogSource, Part, TokenCounter, sealed
from vlrb.benchmark.matrices import SCHEMA_VERSION
from vlrb.benchmark.stamps import key_with_named_files, stamp, write_named_files
from vlrb.errors import DataError, PluginError, Problem, shortened
from vlrb.experiment.plan import Chosen, Plan, digest_of
from vlrb.faults import is_text, short_repr
from vlrb.plugins.loading import blame, blamed
from vlrb.plugins.returned import FIX, plain_array
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, new_directory, write_json

SAMPLE_ROWS = pa.schema(
    [
        ("id", pa.string()),
        *(SAMPLES.field(n) for n in ("dataset", "question", "options", "hint", "answer")),
        ("images", pa.list_(pa.string())),
        ("image_sizes", pa.list_(pa.struct([("width", pa.int32()), ("height", pa.int32())]))),
        *SAMPLES_OPTIONAL,
        ("input_tokens", pa.int64()),
    ]
)
"""The rows of a samples part in the cache: images by their content hashes."""

OUTCOME_ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("dataset", pa.string()),
        *OUTCOMES_OPTIONAL,
        *(OUTCOMES.field(n) for n in ("prediction", "score", "input_tokens", "output_tokens", "cost")),
    ]
)
"""The rows of an outcomes part in the cache; ``score`` is the verdict that the logs hold."""

MAY_BE_NULL = frozenset(
    {"prediction", "score", "input_tokens", "output_tokens", "cost", "hint", "answer", "options", "images"}
)


COUNTED = ("rows", "unjudged", "failed", "judge_failed")
"""What is counted of every pair, see :class:`PairCounts`."""


@attrs.frozen
class PairCounts:
    """What a part holds of one model on one dataset."""

    dataset: str
    model: str
    rows: int = 0
    unjudged: int = 0
    failed: int = 0
    judge_failed: int = 0


class PartBuilder:
    """Reads parts of a log tree into the cache; holds the experiment's log source and token counter."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self.plan = plan
        self.places = places
        self.source: LogSource = plan.logs.make("list", "read")
        self.counter: TokenCounter = plan.counter.make("sample_tokens", "outcome_tokens")

    def list(self) -> Listing:
        """List the parts.

        :raises DataError: when there are none, or a dataset has no samples
        """
        with blame(self.plan.logs.plugin, "listing the logs"):
            listing = _plain_listing(self.source.list(self.plan.catalog), self.plan)
        _check_listing(listing, self.plan)
        return listing

    def keys(self, listing: Listing) -> dict[str, str]:
        """Return the cache key of every part: it changes when its files, or those that its rows name, do, or its readers."""
        readers = {"source": self.plan.logs.identity(), "counter": self.plan.counter.identity()}
        keys = {p.id: self._key(p, readers) for p in listing.parts}
        return {part: key_with_named_files(key, self.folder) for part, key in keys.items()}

    def _key(self, part: Part, readers: Mapping[str, Any]) -> str:
        catalog = self.plan.catalog
        known = [d for d in catalog.datasets if part.dataset in ("", d.name)]
        wanted = [sorted(w) if w is not None else None for w in (catalog.wanted_datasets, catalog.wanted_models)]
        aliases = [[m.name, *m.aliases] for m in catalog.models]
        return digest_of(
            {
                "schema": SCHEMA_VERSION,
                "vlrb": [__version__, core_digest("part")],
                **readers,
                "part": [part.id, part.kind, part.dataset, part.model],
                "files": [stamp(f) for f in part.files],
                "datasets": [attrs.asdict(d) for d in known],
                "several": None if part.dataset and (part.model or part.kind == "samples") else [wanted, aliases],
            }
        )

    def folder(self, key: str) -> Path:
        """Return the folder of a part in the cache."""
        return self.places.cache / "parts" / key[:20]

    def read(self, part: Part, key: str) -> None:
        """Read a part into its folder, unless it is there."""
        target = self.folder(key)
        with locked(target):
            if (target / "part.json").is_file():
                mark_used(target)
                return
            with new_directory(target) as aside:
                reading = self._read_samples if part.kind == "samples" else self._read_outcomes
                write_json(aside / "part.json", reading(part, aside))

    def _batches(self, part: Part, about: _About, folder: Path) -> Iterator[pa.RecordBatch]:
        began = time.time_ns()
        doing = f"reading {part.id}"
        with blame(self.plan.logs.plugin, doing):
            batches = self.source.read(part, self.plan.catalog)
        for batch in blamed(batches, self.plan.logs.plugin, doing):
            with blame(self.plan.logs.plugin, doing):
                checked = _checked(batch, part, self.plan.logs)
                about.note(batch.schema.metadata or {}, batch.num_rows)
            yield checked
        write_named_files(folder, about.named, began)

    def _read_samples(self, part: Part, folder: Path) -> dict[str, Any]:
        about = _About(part)
        with (
            ImageWriter(folder / "images.arrow") as images,
            rows_writer(folder, SAMPLE_ROWS) as writer,
        ):
            for batch in self._batches(part, about, folder):
                ids = _ids(batch)
                files = batch.column("images").to_pylist()
                kept = [
                    [images.add(f, f"{files_of(part)}: {i}") for f in fs or ()]
                    for i, fs in zip(ids.to_pylist(), files, strict=True)
                ]
                counts = sealed(np.array([len(k) for k in kept], dtype=np.int64))
                with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                    who = counter_of(self.plan)
                    tokens = _token_column(self.counter.sample_tokens(batch, counts), batch.num_rows, part, who)
                columns = {n: batch.column(n) for n in batch.schema.names if n in SAMPLE_ROWS.names}
                columns |= {
                    "id": ids,
                    "images": [[k.hash for k in ks] for ks in kept],
                    "image_sizes": [[{"width": k.width, "height": k.height} for k in ks] for ks in kept],
                    "input_tokens": tokens,
                }
                about.datasets |= set(batch.column("dataset").unique().to_pylist())
                writer.write_batch(_batch(columns, SAMPLE_ROWS))
        return about.document()

    def _read_outcomes(self, part: Part, folder: Path) -> dict[str, Any]:
        about = _About(part)
        with rows_writer(folder, OUTCOME_ROWS) as writer:
            for batch in self._batches(part, about, folder):
                ids = _ids(batch)
                _check_numbers(batch, ids, part)
                with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                    counted = self.counter.outcome_tokens(batch)
                    who = counter_of(self.plan)
                    inputs, outputs = (_token_column(t, batch.num_rows, part, who) for t in counted)
                columns = {n: batch.column(n) for n in batch.schema.names if n in OUTCOME_ROWS.names} | {
                    "id": ids,
                    "input_tokens": inputs,
                    "output_tokens": outputs,
                }
                about.count(batch)
                writer.write_batch(_batch(columns, OUTCOME_ROWS))
        return about.document()


@attrs.define(eq=False)
class _About:
    """What is noted of a part while it is read."""

    part: Part
    rows: int = 0
    verdicts: set[str] = attrs.Factory(set)
    counts: Counter[str] = attrs.Factory(Counter)
    datasets: set[str] = attrs.Factory(set)
    named: dict[str, None] = attrs.Factory(dict)
    pairs: Counter[tuple[str, str, str]] = attrs.Factory(Counter)
    left_out: list[Mapping[str, Any]] = attrs.Factory(list)

    def note(self, metadata: Mapping[bytes, bytes], rows: int) -> None:
        """Take over what a batch says of itself."""
        self.rows += rows
        self.verdicts |= {metadata[b"verdict"].decode()} if metadata.get(b"verdict") else set()
        counts = json.loads(metadata.get(b"counts", b"{}"))
        files = json.loads(metadata.get(b"files", b"[]"))
        if not isinstance(counts, dict) or not all(is_text(k) and type(v) is int for k, v in counts.items()):
            raise ValueError(f"counts in the metadata of a batch must be integers by name, not {short_repr(counts)}")
        if not isinstance(files, list) or not all(map(is_text, files)):
            raise ValueError(f"files in the metadata of a batch must be a list of paths, not {short_repr(files)}")
        self.counts.update(counts)
        self.named.update(dict.fromkeys(files))
        if b"left_out" in metadata:
            self.left_out.append(_left_out(json.loads(metadata[b"left_out"])))

    def count(self, batch: pa.RecordBatch) -> None:
        """Count the rows of every pair of dataset and model: all, the unjudged, those of failed calls and of failed judges."""
        marks = {
            "rows": pa.repeat(1, batch.num_rows),
            "unjudged": pc.cast(batch.column("score").is_null(), pa.int64()),
            **{m: pc.cast(pc.fill_null(batch.column(m), False), pa.int64()) for m in ("failed", "judge_failed")},
        }
        table = pa.table({"dataset": batch.column("dataset"), "model": batch.column("model"), **marks})
        for row in table.group_by(["dataset", "model"]).aggregate([(m, "sum") for m in marks]).to_pylist():
            for mark in marks:
                self.pairs[row["dataset"], row["model"], mark] += row[f"{mark}_sum"]

    def document(self) -> dict[str, Any]:
        """Return what is kept beside the rows, as JSON data.

        :raises DataError: when there are no rows
        """
        files = [str(f) for f in self.part.files]
        if not self.rows:
            raise DataError(
                "holds no rows", where=files_of(self.part), fix="remove the file, or replace it with a complete one"
            )
        pairs = sorted({(d, m) for d, m, _ in self.pairs})
        return {
            "part": self.part.id,
            "files": files,
            "rows": self.rows,
            "verdict": "; ".join(sorted(self.verdicts)),
            "counts": dict(self.counts),
            "left_out": self.left_out,
            "datasets": sorted(self.datasets) or sorted({d for d, _ in pairs}),
            "pairs": [attrs.asdict(PairCounts(d, m, **{c: self.pairs[d, m, c] for c in COUNTED})) for d, m in pairs],
        }


def _ids(batch: pa.RecordBatch) -> pa.Array:
    return pc.binary_join_element_wise(batch.column("dataset"), batch.column("key"), "/")


def _batch(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in schema]
    return pa.record_batch(arrays, schema=schema)


def _token_column(tokens: Array | pa.Array | None, rows: int, part: Part, who: str) -> pa.Array:
    if tokens is None:
        return pa.nulls(rows, pa.int64())
    counts = tokens if isinstance(tokens, pa.Array) else pa.array(plain_array(tokens, "what it returned", who))
    some = pa.types.is_integer(counts.type) and len(counts) > counts.null_count
    low, high = pc.min_max(counts).as_py().values() if some else (0, 0)
    if len(counts) != rows or not pa.types.is_integer(counts.type) or not 0 <= low <= high <= MOST_TOKENS:
        what = f"{rows:,} integers between 0 and {MOST_TOKENS:,}"
        raise PluginError(f"{who} returned {short_repr(tokens)} instead of {what}", where=part.id, fix=FIX)
    return counts.cast(pa.int64())


def _checked(batch: Any, part: Part, chosen: Chosen) -> pa.RecordBatch:
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


def _check_numbers(batch: pa.RecordBatch, ids: pa.Array, part: Part) -> None:
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


def rows_file(folder: Path) -> Path:
    """Return the file of a part's rows: an Arrow file, since parts are many, and opening Parquet files takes its time."""
    return folder / "rows.arrow"


def rows_writer(folder: Path, schema: pa.Schema) -> pa.RecordBatchFileWriter:
    """Return a writer of a part's rows, to be used as a context manager."""
    return pa.ipc.new_file(str(rows_file(folder)), schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a part.

    :param folder: of the part in the cache
    :param columns: those that are read; default: all
    """
    reader, names = _reader(folder, columns)
    return reader.read_all().select(names)


def iterate_rows(folder: Path, columns: Sequence[str], at_least: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part in batches, however they were streamed.

    :param folder: of the part in the cache
    :param columns: those that are read
    :param at_least: rows of every batch but the last; none has twice as many
    """
    reader, names = _reader(folder, columns)
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number).select(names)
        for start in range(0, batch.num_rows, at_least):
            waiting.append(batch.slice(start, at_least))
            rows += waiting[-1].num_rows
            if rows >= at_least:
                yield pa.concat_batches(waiting)
                waiting, rows = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


def _reader(folder: Path, columns: Sequence[str] | None) -> tuple[pa.RecordBatchFileReader, list[str]]:
    file = pa.memory_map(str(rows_file(folder)))
    if columns is None:
        reader = pa.ipc.open_file(file)
        return reader, reader.schema.names
    kept = [i for i, name in enumerate(pa.ipc.open_file(file).schema.names) if name in columns]
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=kept)), list(columns)


def counter_of(plan: Plan) -> str:
    """Return the token counter and its plugin, as messages name them."""
    return f"token counter {plan.counter.registered.id!r} of {plan.counter.plugin.label}"


def files_of(part: Part) -> str:
    """Return the files of a part, as messages name them."""
    return shortened(part.files) or part.id


def _left_out(note: Any) -> Mapping[str, Any]:
    """Return what the metadata of a batch says of samples that were left out, see :mod:`vlrb.api.schemas`.

    :raises ValueError: when it says something else
    """
    known = note if isinstance(note, dict) else {}
    keys, drop = known.get("keys"), known.get("drop_answers")
    texts = [known.get("reason"), known.get("fix")]
    if not isinstance(keys, list) or not all(map(is_text, [*keys, *texts])) or not isinstance(drop, bool):
        what = "left_out in the metadata of a batch must hold keys, reason, fix and drop_answers"
        raise ValueError(f"{what}, not {short_repr(note)}")
    return known


def _plain_listing(listing: Any, plan: Plan) -> Listing:
    """Return a listing with plain fields.

    :raises PluginError: naming a part, or a field, that is none
    """
    label = f"log source {plan.logs.registered.id!r} of {plan.logs.plugin.label}"
    if not isinstance(listing, Listing):
        raise PluginError(f"{label} returned {type(listing).__name__} instead of a Listing", fix=FIX)
    parts = tuple(listing.parts)
    odd = next((p for p in parts if not _is_part(p)), None)
    if odd is not None:
        fix = 'give each part a text as id, kind "samples" or "outcomes", a tuple of paths, and names that are texts'
        raise PluginError(f"{label} listed {short_repr(odd)}, which is not a Part", fix=fix)
    ids = Counter(p.id for p in parts)
    twice = next((name for name, count in ids.items() if count > 1), None)
    if twice is not None:
        raise PluginError(f"{label} listed two parts with the id {twice!r}", fix="give each part its own id")
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


def _check_listing(listing: Listing, plan: Plan) -> None:
    label = f"log source {plan.logs.registered.id!r}"
    if not any(p.kind == "outcomes" for p in listing.parts):
        fix = "check [logs] path and [benchmark] models; `vlrb check` lists the files that are not read"
        raise DataError("the logs hold no outcomes of any known model", where=label, fix=fix)
    asked = [p.dataset for p in listing.parts if p.kind == "samples"]
    answered = {p.dataset for p in listing.parts if p.kind == "outcomes"}
    problems = [
        Problem(f"dataset {d!r} has samples in two parts", label, "keep the questions of a dataset in one place")
        for d in sorted({d for d in asked if d and asked.count(d) > 1})
    ]
    leave = "or leave the dataset out of [benchmark] datasets"
    if "" not in asked and "" not in answered:
        problems += [
            Problem(f"dataset {d!r} has outcomes but no samples", label, f"add its questions, {leave}")
            for d in sorted(answered - set(asked))
        ]
        problems += [
            Problem(f"dataset {d!r} has samples but no outcomes", label, f"add the models' answers, {leave}")
            for d in sorted(set(asked) - answered)
        ]
    if problems:
        raise DataError(problems)


def duplicates(ids: pa.Array | pa.ChunkedArray, where: Sequence[str]) -> None:
    """Refuse ids that stand there twice.

    :raises DataError: naming some of them
    """
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        raise DataError(f"holds samples twice: {shortened(twice)}", where=shortened(where), fix="keep one row of each")
