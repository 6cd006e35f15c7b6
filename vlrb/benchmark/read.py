"""Reading the parts of a log tree into the cache, each once."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
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
from vlrb.benchmark.batches import check_numbers, checked_batch, checked_left_out, token_column
from vlrb.benchmark.findings import LeftOut, PairCounts, PartFindings
from vlrb.benchmark.listing import check_listing, counter_of, files_of, plain_listing
from vlrb.benchmark.manifest import SCHEMA_VERSION
from vlrb.benchmark.rows import OUTCOME_ROWS, SAMPLE_ROWS, rows_writer
from vlrb.benchmark.stamps import key_with_named_files, stamp, write_named_files
from vlrb.errors import DataError
from vlrb.experiment.plan import Plan, digest_of
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, new_directory
from vlrb.texts import is_text, short_repr

Columns = tuple[pa.RecordBatch, dict[str, Any]]
"""A batch of a log source, and the columns that its rows have besides."""


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
            listing = plain_listing(self.source.list(self.plan.catalog), self.plan)
        check_listing(listing, self.plan)
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
                notes = _Notes(part)
                asked = part.kind == "samples"
                schema, columns = (SAMPLE_ROWS, self._samples) if asked else (OUTCOME_ROWS, self._outcomes)
                with rows_writer(aside, schema) as writer:
                    for batch, more in columns(part, self._batches(part, notes, aside), aside):
                        if not asked:
                            notes.count(batch)
                        writer.write_batch(_batch(batch, more, schema))
                write_record(aside / "part.json", notes.findings())

    def _batches(self, part: Part, notes: _Notes, folder: Path) -> Iterator[pa.RecordBatch]:
        began = time.time_ns()
        doing = f"reading {part.id}"
        with blame(self.plan.logs.plugin, doing):
            batches = self.source.read(part, self.plan.catalog)
        for batch in blamed(batches, self.plan.logs.plugin, doing):
            with blame(self.plan.logs.plugin, doing):
                checked = checked_batch(batch, part, self.plan.logs)
                notes.note(batch.schema.metadata or {}, checked)
            yield checked
        write_named_files(folder, notes.named, began)

    def _samples(self, part: Part, batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[Columns]:
        """Yield batches of samples with their ids, images and tokens."""
        who = counter_of(self.plan)
        with ImageWriter(folder / "images.arrow") as images:
            for batch in batches:
                ids = _ids(batch)
                files = zip(ids.to_pylist(), batch.column("images").to_pylist(), strict=True)
                kept = [[images.add(f, f"{files_of(part)}: {i}") for f in fs or ()] for i, fs in files]
                counts = sealed(np.array([len(k) for k in kept], dtype=np.int64))
                with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                    tokens = token_column(self.counter.sample_tokens(batch, counts), batch.num_rows, part, who)
                yield (
                    batch,
                    {
                        "id": ids,
                        "images": [[k.hash for k in ks] for ks in kept],
                        "image_sizes": [[{"width": k.width, "height": k.height} for k in ks] for ks in kept],
                        "input_tokens": tokens,
                    },
                )

    def _outcomes(self, part: Part, batches: Iterable[pa.RecordBatch], _: Path) -> Iterator[Columns]:
        """Yield batches of outcomes with their ids and tokens."""
        who = counter_of(self.plan)
        for batch in batches:
            ids = _ids(batch)
            check_numbers(batch, ids, part)
            with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                counted = self.counter.outcome_tokens(batch)
                inputs, outputs = (token_column(t, batch.num_rows, part, who) for t in counted)
            yield batch, {"id": ids, "input_tokens": inputs, "output_tokens": outputs}


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

    def note(self, metadata: Mapping[bytes, bytes], batch: pa.RecordBatch) -> None:
        """Take over what a batch says of itself."""
        self.rows += batch.num_rows
        self.datasets.update(batch.column("dataset").unique().to_pylist())
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
            self.left_out.append(checked_left_out(json.loads(metadata[b"left_out"])))

    def count(self, batch: pa.RecordBatch) -> None:
        """Count the rows of every pair of dataset and model: all, the unjudged, those of failed calls and of failed judges."""
        marks = {
            "rows": pa.repeat(1, batch.num_rows),
            "unjudged": pc.cast(batch.column("score").is_null(), pa.int64()),
            **{m: pc.cast(pc.fill_null(batch.column(m), False), pa.int64()) for m in ("failed", "judge_failed")},
        }
        table = pa.table({"dataset": batch.column("dataset"), "model": batch.column("model"), **marks})
        for row in table.group_by(["dataset", "model"]).aggregate([(m, "sum") for m in marks]).to_pylist():
            self.pairs[row["dataset"], row["model"]].update({m: row[f"{m}_sum"] for m in marks})

    def findings(self) -> PartFindings:
        """Return what is kept with the rows.

        :raises DataError: when there are no rows
        """
        if not self.rows:
            raise DataError(
                "holds no rows", where=files_of(self.part), fix="remove the file, or replace it with a complete one"
            )
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


def _ids(batch: pa.RecordBatch) -> pa.Array:
    return pc.binary_join_element_wise(batch.column("dataset"), batch.column("key"), "/")


def _batch(batch: pa.RecordBatch, more: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | more
    arrays = [c if isinstance(c := columns[f.name], pa.Array) else pa.array(c, f.type) for f in schema]
    return pa.record_batch(arrays, schema=schema)
