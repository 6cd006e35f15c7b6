"""Features in the cache: encoded samples by content, in *chunks* that appear whole; and the matrix of a feature set."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.frozen import Array, sealed
from vlrb.api.routing import Column, Features
from vlrb.errors import DataError
from vlrb.storage import new_file, read_json, write_json

logger = logging.getLogger("vlrb")
KEY = np.dtype("S32")
ROWS_AT_ONCE = 8192


@attrs.frozen(eq=False)
class Chunk:
    """Rows that were encoded together: their file, keys S32[n], the columns as JSON, the seconds.

    The rows stay in the file, so that any number of chunks needs neither memory nor open files.
    """

    file: Path
    keys: Array
    columns: str
    seconds: float

    def rows(self) -> Array:
        """Return the rows float32[n, d], mapped."""
        return _mapped(self.file)[1]


@attrs.frozen(eq=False)
class FeatureStore:
    """The chunks of one encoder; remembers which files this process, or the main one, has seen."""

    folder: Path
    key: str
    _seen: set[str] = attrs.field(factory=set, init=False)
    _new: set[bytes] = attrs.field(factory=set, init=False)

    def chunks(self) -> list[Chunk]:
        """Return the chunks; an unusable file is renamed with a warning, so that its samples are encoded again."""
        found: list[Chunk] = []
        for file in sorted(self.folder.glob("*.arrow")):
            self._seen.add(file.name)
            try:
                chunk = self._read(file)
                if found and chunk.columns != found[0].columns:
                    raise ValueError(f"it has other columns than {found[0].file.name}")
                found.append(chunk)
            except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
                aside = file.with_suffix(".rejected")
                done = f"it is renamed to {aside.name}, and its samples are encoded again"
                logger.warning("%s cannot be used (%s): %s", file, error, done)
                with contextlib.suppress(OSError):  # another process was quicker, or the cache is read-only
                    file.rename(aside)
        return found

    def present(self, keys: Array) -> Array:
        """Return bool[m]: whether contents are in chunks that were written since all chunks were read."""
        for file in self.folder.glob("*.arrow"):
            if file.name not in self._seen:
                self._seen.add(file.name)
                with contextlib.suppress(
                    OSError, ValueError, KeyError, IndexError
                ):  # a broken one is found when all are read
                    self._new.update(_mapped(file)[0].tolist())
        return np.array([k in self._new for k in keys.tolist()], dtype=np.bool_)

    def columns(self) -> str:
        """Return the columns of the first usable chunk as JSON; empty where there is none."""
        for file in sorted(self.folder.glob("*.arrow")):
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
                return str(_mapped(file)[2]["columns"])
        return ""

    def _read(self, file: Path) -> Chunk:
        keys, matrix, about = _mapped(file)
        if about.get("of") != self.key:
            raise ValueError("it belongs to another encoder, other weights or another version of vlrb")
        if _checksum(keys, matrix) != about["crc"]:
            raise ValueError("its checksum differs")
        return Chunk(file, keys.copy(), sys.intern(about["columns"]), about["seconds"])

    def write(self, keys: Array, features: Features, seconds: float) -> None:
        """Keep a chunk."""
        matrix = np.ascontiguousarray(features.matrix)
        columns, crc = columns_text(features), _checksum(keys, matrix)
        about = {"of": self.key, "columns": columns, "seconds": seconds, "crc": crc}
        rows = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
        names = pa.array(keys.tolist(), pa.binary(KEY.itemsize))
        table = pa.table({"key": names, "row": rows}).replace_schema_metadata({"vlrb": json.dumps(about)})
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
        with new_file(self.folder / f"{name}.arrow") as aside, pa.ipc.new_file(str(aside), table.schema) as writer:
            writer.write_table(table)


def _mapped(file: Path) -> tuple[Array, Array, dict[str, Any]]:
    """Return keys, rows and what is said about them, of a chunk's file."""
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    about = json.loads(table.schema.metadata[b"vlrb"])
    keys, rows = table.column("key").chunk(0), table.column("row").chunk(0)
    names = np.frombuffer(keys.buffers()[1], dtype=KEY, count=len(keys))
    return names, rows.flatten().to_numpy().reshape(len(keys), -1), about


def _checksum(keys: Array, matrix: Array) -> int:
    return zlib.crc32(matrix.data, zlib.crc32(keys.data))


def columns_text(features: Features) -> str:
    """Return the columns as JSON; the number of categories only where it is known."""
    return json.dumps(
        [[c.name, c.kind, c.may_be_missing, *([c.categories] if c.categories else [])] for c in features.columns]
    )


@attrs.frozen(eq=False)
class Gathered:
    """What an encoder made of the samples of a benchmark, in a file of float32[n, d] in their order."""

    file: Path
    columns: tuple[Column, ...]
    seconds_per_sample: float

    def rows(self, rows: slice) -> Features:
        """Return some rows."""
        width = len(self.columns)
        count, offset = (rows.stop - rows.start) * width, rows.start * width * 4
        values = np.fromfile(self.file, np.float32, count, offset=offset)
        return Features(sealed(values.reshape(-1, width)), self.columns)


def gather(store: FeatureStore, keys: Array, file: Path) -> Gathered:
    """Write the rows of samples in their order into a file, chunk by chunk.

    :param keys: of the samples' contents
    :raises DataError: when one is in no chunk
    """
    chunks = store.chunks()
    contents, first = np.unique(np.concatenate([np.empty(0, KEY), *(c.keys for c in chunks)]), return_index=True)
    if not np.isin(keys, contents).all():
        fix = "run again: the samples are encoded again"
        raise DataError("features disappeared from the cache while they were read", where=str(store.folder), fix=fix)
    rows = first[np.searchsorted(contents, keys)]
    starts = np.cumsum([0, *(len(c.keys) for c in chunks)])
    owner = np.searchsorted(starts, rows, side="right") - 1
    by_owner = np.argsort(owner, kind="stable")
    of_chunks = np.split(by_owner, np.searchsorted(owner[by_owner], np.arange(1, len(chunks))))
    with file.open("wb") as output:
        for chunk, start, mine in zip(chunks, starts[:-1], of_chunks, strict=True):
            if mine.size:
                _put(output.fileno(), mine, chunk.rows()[rows[mine] - start])
    seconds = np.array([c.seconds / len(c.keys) for c in chunks])[owner]
    columns = tuple(Column(*c) for c in json.loads(chunks[0].columns))
    return Gathered(file, columns, float(seconds.mean()))


def _put(file: int, rows: Array, values: Array) -> None:
    """Write rows to their places in a file."""
    size = values.shape[1] * values.itemsize
    for row, value in zip(rows.tolist(), values, strict=True):
        if os.pwrite(file, value.data, row * size) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@attrs.frozen
class FeatureMatrix:
    """The matrix of a feature set of a benchmark, in a folder: ``matrix.npy`` and, written last, ``about.json``."""

    folder: Path

    def read(self, *, check: bool) -> tuple[Features, float] | None:
        """Return the features, mapped, and the seconds that encoding one sample took; None where they are not there, or broken.

        :param check: also the checksum, which reads all values
        """
        if not (self.folder / "about.json").is_file():
            return None
        try:
            about = read_json(self.folder / "about.json")
            matrix = np.asarray(np.load(self.folder / "matrix.npy", mmap_mode="r", allow_pickle=False))
            if check and _checksum_of(matrix) != about["crc"]:
                raise ValueError("its checksum differs")
            return Features(matrix, tuple(Column(*c) for c in about["columns"])), float(about["seconds_per_sample"])
        except (OSError, ValueError, TypeError, KeyError, DataError) as error:
            logger.warning("%s cannot be used (%s): it is made again", self.folder, error)
            return None

    @contextlib.contextmanager
    def writer(self, n: int) -> Iterator[Callable[[Array], int]]:
        """Yield a function that writes the next rows of n, and returns the checksum so far."""
        crc = 0
        with (self.folder / "matrix.npy").open("wb") as file:

            def write(rows: Array) -> int:
                nonlocal crc
                if not file.tell():
                    shape = (n, rows.shape[1])
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                data = np.ascontiguousarray(rows, "<f4").data
                file.write(data)
                crc = zlib.crc32(data, crc)
                return crc

            yield write

    def describe(self, columns: tuple[Column, ...], seconds: float, crc: int) -> None:
        """Write what the matrix holds."""
        text = columns_text(Features(np.empty((0, len(columns)), np.float32), columns))
        write_json(self.folder / "about.json", {"columns": json.loads(text), "seconds_per_sample": seconds, "crc": crc})


def _checksum_of(matrix: Array) -> int:
    """Return the checksum of a matrix, which is read in blocks."""
    crc = 0
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        crc = zlib.crc32(np.ascontiguousarray(matrix[start : start + ROWS_AT_ONCE]).data, crc)
    return crc
