"""Parts of a log tree: read into the cache, each once, and read back from there.

A part's key holds the stamps of its files (path, size and time of change).  Files that its rows name, such as pictures, are known
only after it is read: the first reading is kept under the key of the own files, with the stamps of the named ones.  While these
hold, that is the part's key; otherwise the present stamps count in it.  A reading under that key may name other files, and so on.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import __version__
from vlrb.api.frozen import sealed
from vlrb.api.images import ImageWriter
from vlrb.api.json_data import write_record
from vlrb.api.logs import Listing, LogSource, Part, TokenCounter
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark import checks
from vlrb.benchmark.manifest import SCHEMA_VERSION, LeftOut, PairCounts, PartFindings
from vlrb.errors import DataError
from vlrb.experiment.plan import Plan, digest_of
from vlrb.locks import locked
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.sources import core_digest
from vlrb.storage import Moment, Places, mark_used, new_directory, read_json, write_json

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

NAMED_FILES = "named-files.json"
"""In a part's folder: path -> stamp of the files that its rows name."""

CHANGED = "changed while it was read"


class PartBuilder:
    """Reads parts of a log tree into the cache; holds the experiment's log source and token counter."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self.plan = plan
        self.places = places
        self.source: LogSource = plan.logs.make("list", "read")
        self.counter: TokenCounter = plan.counter.make("sample_tokens", "outcome_tokens")

    def list(self) -> Listing:
        """List the parts; refuse logs without outcomes, and datasets without samples."""
        with blame(self.plan.logs.plugin, "listing the logs"):
            listing = checks.plain_listing(self.source.list(self.plan.catalog), self.plan.logs)
        checks.check_listing(listing, self.plan.logs)
        return listing

    def keys(self, listing: Listing) -> dict[str, str]:
        """Return the cache key of every part: it changes when its files, or those that its rows name, do, or its readers."""
        readers = {"source": self.plan.logs.identity(), "counter": self.plan.counter.identity()}
        return {p.id: key_with_named_files(self._key(p, readers), self.folder) for p in listing.parts}

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
            with new_directory(target) as aside, contextlib.ExitStack() as writers:
                began, notes = Moment.now(aside), _Notes(part)
                schema, images = OUTCOME_ROWS, None
                if part.kind == "samples":
                    schema, images = SAMPLE_ROWS, writers.enter_context(ImageWriter(aside / "images.arrow"))
                rows = writers.enter_context(rows_writer(aside, schema))
                source, doing = self.plan.logs, f"reading {part.id}"
                with blame(source.plugin, doing):
                    batches = self.source.read(part, self.plan.catalog)
                for given in blamed(batches, source.plugin, doing):
                    with blame(source.plugin, doing):
                        batch = checks.checked_batch(given, part, source)
                        notes.add(batch, given.schema.metadata or {})
                    columns = self._columns(batch, part, images)
                    arrays = [pa.array(columns[f.name], f.type) for f in schema]
                    rows.write_batch(pa.record_batch(arrays, schema=schema))
                write_named_files(aside, notes.named, began)
                write_record(aside / "part.json", notes.findings())

    def _columns(self, batch: pa.RecordBatch, part: Part, images: ImageWriter | None) -> dict[str, Any]:
        """Return a batch's columns by name, with ids and tokens; of samples (with ``images``) also the images' hashes and sizes."""
        ids = pc.binary_join_element_wise(batch.column("dataset"), batch.column("key"), "/")
        columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | {"id": ids}
        counting = blame(self.plan.counter.plugin, f"counting the tokens of {part.id}")
        about = batch.num_rows, part, checks.label_of(self.plan.counter)
        if images is None:
            checks.check_numbers(batch, ids, part)
            with counting:
                inputs, outputs = (checks.token_column(t, *about) for t in self.counter.outcome_tokens(batch))
            return columns | {"input_tokens": inputs, "output_tokens": outputs}
        files = zip(ids.to_pylist(), batch.column("images").to_pylist(), strict=True)
        kept = [[images.add(f, f"{checks.files_of(part)}: {i}") for f in fs or ()] for i, fs in files]
        counts = sealed(np.array([len(ks) for ks in kept], dtype=np.int64))
        with counting:
            inputs = checks.token_column(self.counter.sample_tokens(batch, counts), *about)
        sizes = [[{"width": k.width, "height": k.height} for k in ks] for ks in kept]
        return columns | {"images": [[k.hash for k in ks] for ks in kept], "image_sizes": sizes, "input_tokens": inputs}


@attrs.define(eq=False)
class _Notes:
    """What is noted of a part while it is read."""

    part: Part
    rows: int = 0
    verdicts: set[str] = attrs.Factory(set)
    counts: Counter[str] = attrs.Factory(Counter)
    datasets: set[str] = attrs.Factory(set)
    named: dict[str, None] = attrs.Factory(dict)
    pairs: dict[tuple[str, str], Counter[str]] = attrs.Factory(lambda: defaultdict(Counter))
    left_out: list[LeftOut] = attrs.Factory(list)

    def add(self, batch: pa.RecordBatch, metadata: Mapping[bytes, bytes]) -> None:
        """Take over what a batch says of itself; count the outcomes of every pair of dataset and model."""
        counts, files, left_out = checks.checked_metadata(metadata)
        self.rows += batch.num_rows
        self.datasets.update(batch.column("dataset").unique().to_pylist())
        self.verdicts |= {metadata[b"verdict"].decode()} if metadata.get(b"verdict") else set()
        self.counts.update(counts)
        self.named.update(dict.fromkeys(files))
        self.left_out += left_out
        if self.part.kind == "samples":
            return
        columns = {name: batch.column(name) for name in ("dataset", "model", "failed", "judge_failed")}
        columns |= {"rows": pa.repeat(1, batch.num_rows), "unjudged": batch.column("score").is_null()}
        marks = [f.name for f in attrs.fields(PairCounts)[2:]]
        sums = (
            pa.table(columns).group_by(["dataset", "model"], use_threads=False).aggregate([(m, "sum") for m in marks])
        )
        for row in sums.to_pylist():
            self.pairs[row["dataset"], row["model"]].update({m: row[f"{m}_sum"] or 0 for m in marks})

    def findings(self) -> PartFindings:
        """Return what is kept with the rows; refuse a part without any."""
        if not self.rows:
            fix = "remove the file, or replace it with a complete one"
            raise DataError("holds no rows", where=checks.files_of(self.part), fix=fix)
        return PartFindings(
            part=self.part.id,
            files=tuple(map(str, self.part.files)),
            rows=self.rows,
            verdict="; ".join(sorted(self.verdicts)),
            counts=self.counts,
            left_out=tuple(self.left_out),
            datasets=tuple(sorted(self.datasets)),
            pairs=tuple(PairCounts(d, m, **counts) for (d, m), counts in sorted(self.pairs.items())),
        )


def rows_file(folder: Path) -> Path:
    """Return the file of a part's rows: an Arrow file, since parts are many, and Parquet files open slowly."""
    return folder / "rows.arrow"


def rows_writer(folder: Path, schema: pa.Schema) -> pa.RecordBatchFileWriter:
    """Return a writer of a part's rows, to be used as a context manager."""
    # the parts are shared by processes: threads of each would only wait for the others'
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    return pa.ipc.new_file(str(rows_file(folder)), schema, options=options)


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a part, or some of their columns, from its folder in the cache."""
    reader, names = _reader(folder, columns)
    return reader.read_all().select(names)


def iterate_rows(folder: Path, columns: Sequence[str], at_least: int) -> Iterator[pa.RecordBatch]:
    """Yield a part's rows in batches of ``at_least`` rows and less than twice as many, but for the last; however they came."""
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
    names = pa.ipc.open_file(file).schema.names
    kept = [i for i, name in enumerate(names) if columns is None or name in columns]
    reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=kept))
    return reader, list(names if columns is None else columns)


def stamp(file: Path) -> list[Any]:
    """Return path, size and time of change of a part's own file; the error says why it cannot be read."""
    try:
        known = file.stat()
    except OSError as error:
        fix = "fix the link, or remove it" if file.is_symlink() else "check the file's permissions"
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), fix=fix) from None
    return [str(file), known.st_size, known.st_mtime_ns]


def key_with_named_files(key: str, folder: Callable[[str], Path]) -> str:
    """Return a part's key: that of a reading whose named files are as they were, or one under which nothing was read yet.

    :param key: of the part's own files, and of what reads them
    :param folder: returns a part's folder by its key
    """
    counted: Mapping[str, Any] = {}
    while (stamps := folder(key) / NAMED_FILES).is_file():
        mark_used(stamps.parent)
        known = read_json(stamps)
        now = {path: _named(path) for path in known}
        if all(_holds(known[path], now[path], counted.get(path)) for path in known):
            break
        key, counted = digest_of({"part": key, "named": now}), now
    return key


def _holds(known: Any, now: Any, counted: Any) -> bool:
    """Tell whether a file is as it was when it was read; one that is marked as changed must be as it was before, too."""
    return known == now or (now is not None and known == [*now, CHANGED] and counted == now)


def write_named_files(folder: Path, files: Iterable[str], began: Moment) -> None:
    """Write the stamps of the files that a part names, if any.

    :param began: when reading began; a file changed since may have been read before, and is marked as changed
    """
    stamps = {path: _named(path, began) for path in files}
    if stamps:
        write_json(folder / NAMED_FILES, stamps)


def _named(path: str, began: Moment | None = None) -> list[Any] | None:
    """Return size and time of change of a file, with a mark if it has changed since; None for a missing file."""
    try:
        known = Path(path).stat()
    except (OSError, ValueError):
        return None
    changed = began is not None and max(known.st_mtime_ns, known.st_ctime_ns) >= began.of(known.st_dev)
    return [known.st_size, known.st_mtime_ns, *([CHANGED] if changed else [])]
