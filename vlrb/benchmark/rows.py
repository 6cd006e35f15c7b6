"""The rows of a part in the cache: their columns, and reading and writing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL

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


def rows_file(folder: Path) -> Path:
    """Return the file of a part's rows: an Arrow file, since parts are many, and Parquet files open slowly."""
    return folder / "rows.arrow"


def rows_writer(folder: Path, schema: pa.Schema) -> pa.RecordBatchFileWriter:
    """Return a writer of a part's rows, to be used as a context manager."""
    return pa.ipc.new_file(str(rows_file(folder)), schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))


def read_rows(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a part, or some of their columns, from its folder in the cache."""
    reader, names = _reader(folder, columns)
    return reader.read_all().select(names)


def iterate_rows(folder: Path, columns: Sequence[str], at_least: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part in batches, however they were streamed.

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
    names = pa.ipc.open_file(file).schema.names
    kept = [i for i, name in enumerate(names) if columns is None or name in columns]
    reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=kept))
    return reader, list(names if columns is None else columns)
