"""Parquet files as tables of logs: opened within limits, their columns checked, their rows streamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb import DataError, shorten_list
from vlrb_plugins.shared.log_tables.arrays import is_binary, is_list
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES, BATCH_ROWS, MAX_COLUMNS, refuse_special, too_wide
from vlrb_plugins.shared.messages import first_line

FEW_ROWS = 1_000
"""Most rows of a batch with image files: the file's metadata counts the sizes of distinct images only."""

MAX_ROW_BYTES = 1024**3
"""Bytes of the largest row, images included."""

_FIRST_ROWS = 16
_BUFFER = 1024**2


@attrs.frozen
class Expected:
    """A column that a file may have: what it holds in the words of messages, and which types can hold that."""

    name: str
    holds: str
    fits: Callable[[pa.DataType], bool]
    required: bool = True


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file without reading its rows.

    :raises DataError: when it is not one, or cut off
    """
    refuse_special(path)
    try:
        file = pq.ParquetFile(path, buffer_size=_BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    if file.metadata.num_columns > MAX_COLUMNS:
        raise too_wide(file.metadata.num_columns, str(path))
    _refuse_vast_rows(path, file.metadata)
    return file


def _refuse_vast_rows(path: Path, about: pq.FileMetaData) -> None:
    """Refuse rows that take too much memory, by the sizes of the row groups in the file's metadata."""
    for i in range(about.num_row_groups):
        group = about.row_group(i)
        if group.total_byte_size > max(group.num_rows, 1) * MAX_ROW_BYTES:
            size, rows = group.total_byte_size, group.num_rows
            raise DataError(
                f"row group {i + 1} unpacks to {size:,} bytes for {rows:,} rows, above the limit of {MAX_ROW_BYTES:,} a row",
                where=str(path),
                fix="check where the file comes from, and write it again with smaller images",
            )


def check_schema(path: Path, schema: pa.Schema, columns: Sequence[Expected], findings: Findings) -> None:
    """Note columns that appear twice, are missing, or have a type that cannot hold what they should."""
    names = Counter(schema.names)  # Arrow makes the list again each time
    for name in sorted(n for n, count in names.items() if count > 1):
        findings.add(f"has several columns {name!r}", str(path), "keep one of them")
    for column in columns:
        if column.required and column.name not in names:
            fix = f"add it; the columns are: {shorten_list(names, 20)}"
            findings.add(f"has no column {column.name!r}", str(path), fix)
    for column in columns:
        if names[column.name] == 1 and not column.fits(found := schema.field(column.name).type):
            where = f"{path}, column {column.name}"
            findings.add(f"holds {found}, must hold {column.holds}", where, "write the column with another type")


def parquet_batches(path: Path, file: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Stream the rows in batches of bounded size.

    :raises DataError: when the file turns out to be broken
    """
    try:
        for batch in file.iter_batches(_rows_at_once(file, columns), columns=columns):
            if batch.num_rows:
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> DataError:
    what = f"is not a readable Parquet file: {first_line(error)}"
    return DataError(what, where=str(path), fix="write or copy the file again")


def _rows_at_once(file: pq.ParquetFile, columns: list[str] | None) -> int:
    """Return the rows of a batch of about BATCH_BYTES.

    A text that many rows share is held once in the file, but once per row in memory: the first rows show this.
    """
    about = file.metadata
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    rows = int(BATCH_BYTES * about.num_rows // max(size, 1))
    first = next(file.iter_batches(_FIRST_ROWS, columns=columns), None)
    if first is not None and first.num_rows:
        rows = min(rows, BATCH_BYTES * first.num_rows // max(first.nbytes, 1))
    images = file.schema_arrow.field("images").type if "images" in file.schema_arrow.names else None
    holds_files = images is not None and is_list(images) and is_binary(images.value_type)
    return max(1, min(rows, FEW_ROWS if holds_files else BATCH_ROWS))
