"""The log source ``records``: a table of samples and a table of outcomes, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import Array, Catalog, DataError, Listing, Part, Problem
from vlrb_plugins.records.checks import check_block, check_names, note_rows
from vlrb_plugins.records.columns import Block, TableSchema, table_of
from vlrb_plugins.records.jsonl import jsonl_blocks
from vlrb_plugins.records.nested import list_elements, rows_of
from vlrb_plugins.records.params import RecordsParams
from vlrb_plugins.records.parquet import parquet_blocks, synthetic_mark
from vlrb_plugins.shared.log_tables.arrays import nulls_of
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.image_files import ImageFolder, ImageProblem
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES
from vlrb_plugins.shared.log_tables.names import NameKind, Names

SUFFIXES = (".parquet", ".jsonl")


class RecordsSource:
    """Reads a table of samples and a table of outcomes."""

    def __init__(self, params: RecordsParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:  # noqa: ARG002  (rows are filtered when they are read)
        """List two parts: the samples of all datasets, and the outcomes of all models.

        :raises DataError: naming folders and files that are not there, or appear twice
        """
        problems: list[Problem] = []
        folder = self.params.path
        if not folder.is_dir():
            problems.append(
                Problem("is not a folder", str(folder), "check [logs] path: it is the folder of the tables")
            )
        if self.params.images is not None and not self.params.images.is_dir():
            problems.append(Problem("is not a folder", str(self.params.images), "check [logs] images"))
        samples = _table_file(folder, "samples", self.params.samples, problems)
        outcomes = _table_file(folder, "outcomes", self.params.outcomes, problems)
        if problems:
            raise DataError(problems)
        marks = {synthetic_mark(f) for f in (samples, outcomes) if f.suffix == ".parquet"} - {""}
        parts = Part("samples", "samples", (samples,)), Part("outcomes", "outcomes", (outcomes,))
        return Listing(parts, synthetic="; ".join(sorted(marks)))

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part.

        :raises DataError: once the file was read, with its problems; no batch follows the first of them
        """
        path, table = part.files[0], table_of(part)
        findings, names = Findings(), Names(catalog)
        kinds: tuple[NameKind, ...] = ("dataset",) if part.kind == "samples" else ("dataset", "model")
        folder = ImageFolder(self.params.images or self.params.path)
        blocks = parquet_blocks if path.suffix == ".parquet" else jsonl_blocks
        for block in blocks(path, table, findings):
            if any(name not in block.columns for name in kinds):
                continue  # it could not be cast, and was noted
            wanted = select(block, kinds, names, findings)
            check_block(wanted, table, findings)
            for batch in _batches(wanted, table, folder, findings):
                if not findings:
                    yield batch
        if not findings:
            names.report(path, kinds, findings)
        findings.stop_if_any()


def _table_file(folder: Path, name: str, given: Path | None, problems: list[Problem]) -> Path:
    """Return the file of a table, noting a problem when there is none, or more than one."""
    if given is not None:
        if given.suffix not in SUFFIXES:
            problems.append(
                Problem("is neither .parquet nor .jsonl", str(given), "write the table in one of these forms")
            )
        elif not given.is_file():
            problems.append(Problem("there is no such file", str(given), f"check [logs] {name}"))
        return given
    files = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    there = [f for f in files if f.is_file()]
    if len(there) == 2:
        fix = f"keep one of them, or name it by {name} in [logs]"
        problems.append(Problem(f"holds the {name} twice: {there[0].name} and {there[1].name}", str(folder), fix))
    elif not there and folder.is_dir():
        message = f"has neither {files[0].name} nor {files[1].name}"
        problems.append(Problem(message, str(folder), f"add one of them, or name the file by {name} in [logs]"))
    return there[0] if there else files[0]


def select(block: Block, kinds: tuple[NameKind, ...], names: Names, findings: Findings) -> Block:
    """Return the rows of the datasets and models that are asked for, under their records' names."""
    keep = np.ones(len(block), dtype=np.bool_)
    columns = dict(block.columns)
    for kind in kinds:
        check_names(block, kind, findings)
        encoded = columns[kind].dictionary_encode()
        if not len(encoded.dictionary):
            return block.filter(np.zeros(len(block), dtype=np.bool_))
        resolved = [names.resolve(kind, n) for n in encoded.dictionary.to_pylist()]
        columns[kind] = pa.array(resolved, pa.string()).take(encoded.indices)
        wanted = np.array([names.wanted(kind, n) for n in resolved], dtype=np.bool_)
        codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        keep &= wanted[codes] & ~nulls_of(columns[kind])
    chosen = Block(block.file, block.unit, block.numbers, columns).filter(keep)
    for kind in kinds:
        names.use(kind, chosen.columns[kind].unique().to_pylist())
    return chosen


# --- batches ------------------------------------------------------------------------------------------------------------


def _batches(block: Block, table: TableSchema, folder: ImageFolder, findings: Findings) -> Iterator[pa.RecordBatch]:
    """Yield a block as batches that follow the core's schema."""
    if not len(block) or findings:
        return
    images = block.columns.get("images")
    if table.kind == "outcomes" or images is None:
        yield _batch(block, table)
    elif images.type.value_type == pa.string():
        yield from _with_loaded_images(block, table, folder, findings)
    else:
        lengths, values = list_elements(images)
        empty = np.zeros(len(block), dtype=np.bool_)
        empty[rows_of(lengths)[_sizes(values) == 0]] = True
        note_rows(block, "images", empty, "an image is empty", "leave it out of the list", findings)
        yield _batch(block, table)


def _sizes(values: pa.Array) -> Array:
    return np.asarray(pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False))


def _with_loaded_images(
    block: Block, table: TableSchema, folder: ImageFolder, findings: Findings
) -> Iterator[pa.RecordBatch]:
    """Yield batches of bounded size with image files in place of their paths."""
    start, size = 0, 0
    loaded: list[list[bytes] | None] = []
    for row, paths in enumerate(block.columns["images"].to_pylist()):
        files = [_loaded(block, row, p, folder, findings) for p in paths] if paths is not None else None
        loaded.append(files)
        size += sum(map(len, files or ()))
        if size > BATCH_BYTES:
            yield _with_images(block, table, start, loaded, folder)
            start, size, loaded = row + 1, 0, []
    if loaded:
        yield _with_images(block, table, start, loaded, folder)


def _loaded(block: Block, row: int, path: str, folder: ImageFolder, findings: Findings) -> bytes:
    try:
        return folder.load(path)
    except ImageProblem as problem:
        findings.add(str(problem), block.where(row, "images"), problem.fix)
        return b""


def _with_images(
    block: Block, table: TableSchema, start: int, images: list[list[bytes] | None], folder: ImageFolder
) -> pa.RecordBatch:
    stop = start + len(images)
    columns = {n: c.slice(start, len(images)) for n, c in block.columns.items()}
    columns["images"] = pa.array(images, pa.list_(pa.binary()))
    batch = _batch(Block(block.file, block.unit, block.numbers[start:stop], columns), table)
    return batch.replace_schema_metadata(folder.named())


def _batch(block: Block, table: TableSchema) -> pa.RecordBatch:
    fields, arrays = [], []
    for column in table.columns:
        if column.name in block.columns or column.name in table.always:
            fields.append(pa.field(column.name, column.type))
            array = block.columns.get(column.name)
            arrays.append(pa.nulls(len(block), column.type) if array is None else array)
    metadata = {"verdict": _verdict(block)} if table.kind == "outcomes" else {}
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata=metadata))


def _verdict(block: Block) -> str:
    scores = block.columns.get("score")
    if scores is None or scores.null_count == len(scores):
        return f"no score in {block.file}"
    return f"score of {block.file}"
