"""Encoded samples, kept by content in *chunks*: Arrow files that appear whole, so that a kill loses one chunk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
import zlib
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.frozen import Array
from vlrb.api.routing import Features
from vlrb.storage import new_file

logger = logging.getLogger("vlrb")
KEY = np.dtype("S32")


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
    """The chunks of one encoder."""

    folder: Path
    key: str

    def chunks(self) -> list[Chunk]:
        """Return the chunks; an unusable file is renamed with a warning, so that its samples are encoded again."""
        found: list[Chunk] = []
        for file in sorted(self.folder.glob("*.arrow")):
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
