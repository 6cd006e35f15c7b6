"""Images of samples: encoded files kept once per content, memory-mapped, decoded at each access; a broken one is an error."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb.api.frozen import as_tuple
from vlrb.errors import DataError, Problem, shorten_list

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

    from vlrb.api.frozen import Array

MAX_PIXELS = 89_478_485
"""Largest image that is decoded: a quarter of a gigabyte as RGB, Pillow's own limit."""
LARGEST_IMAGE_FILE = 256 * 1024**2
"""Bytes of the largest image file that log sources read."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are decoded: some of Pillow's others start programs or read further files."""
BATCH_BYTES = 32 * 1024**2
REBUILD = "build the benchmark again"


def content_hash(data: bytes) -> str:
    """Return the hash by which equal image files are recognised."""
    return hashlib.sha256(data).hexdigest()


def from_base64(text: str) -> bytes:
    """Decode base64, which may have line breaks, or be part of a data URL.

    :raises ValueError: when it is not base64
    """
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise ValueError("a data URL must have base64: data:image/png;base64,...")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return base64.b64decode("".join(text.split()), validate=True)


def open_image(data: bytes, whose: str) -> Image.Image:
    """Open an image file without decoding its pixels.

    :raises DataError: naming the sample, when it is not an image, or has more than MAX_PIXELS pixels
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # Pillow raises whatever its decoders raise
        unknown = isinstance(error, UnidentifiedImageError)
        raise _unreadable(whose, data, f"it is none of {', '.join(FORMATS)}" if unknown else str(error)) from None
    if image.width * image.height > MAX_PIXELS:
        raise _unreadable(whose, data, f"{image.width} x {image.height} pixels is above the limit of {MAX_PIXELS:,}")
    return image


def decode_image(data: bytes, whose: str) -> Image.Image:
    """Decode an image file.

    :raises DataError: naming the sample, when it is broken or cut off
    """
    image = open_image(data, whose)
    try:
        image.load()
    except Exception as error:  # as above
        raise _unreadable(whose, data, str(error)) from None
    return image


def _unreadable(whose: str, data: bytes, reason: str) -> DataError:
    what = f"an image cannot be read ({len(data):,} bytes): {reason}"
    return DataError(Problem(what, whose, "replace the image, or leave the sample out", [whose]))


@attrs.frozen
class Kept:
    """A kept image file: the hash of its content, and its size in pixels."""

    hash: str
    width: int
    height: int


class ImageWriter:
    """Writes each image file once, by its content, into an Arrow file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._schema = pa.schema([("hash", pa.string()), ("data", pa.large_binary())])
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._known: dict[str, Kept] = {}
        self._waiting: dict[str, bytes] = {}
        self._size = 0

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            self._flush()
            self._writer.close()
        else:  # a second error, such as that the disk is full, would hide the first
            with contextlib.suppress(OSError):
                self._writer.close()

    def add(self, data: bytes, whose: str) -> Kept:
        """Keep an image file, after a look at its header."""
        name = content_hash(data)
        if name not in self._known:
            image = open_image(data, whose)
            self._known[name] = Kept(name, image.width, image.height)
            self._waiting[name] = data
            self._size += len(data)
            if self._size > BATCH_BYTES:
                self._flush()
        return self._known[name]

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            columns = {"hash": [*self._waiting], "data": [*self._waiting.values()]}
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._waiting, self._size = {}, 0


class ImageStore:
    """Image files by content hash, in memory-mapped Arrow files that are opened at the first use."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = tuple(files)
        self._lock = threading.Lock()

    def data(self, name: str) -> bytes:
        """Return the image file with this hash; several threads may ask at once.

        :raises DataError: when it is missing
        """
        with self._lock:  # the first of several threads opens the files
            places = self._places
        if name not in places:
            raise DataError(f"image {name[:12]} is missing", where=shorten_list(self.files), fix=REBUILD)
        column, row = places[name]
        return bytes(column[row].as_py())

    @cached_property
    def _places(self) -> dict[str, tuple[pa.ChunkedArray, int]]:
        import pyarrow as pa

        places: dict[str, tuple[pa.ChunkedArray, int]] = {}
        for file in self.files:
            try:
                table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
            except (OSError, pa.ArrowInvalid) as error:
                raise DataError(f"cannot be read: {error}", where=str(file), fix=REBUILD) from None
            data = table.column("data")
            places.update((name, (data, row)) for row, name in enumerate(table.column("hash").to_pylist()))
        return places


@attrs.frozen(eq=False)
class Images(Sequence[tuple[Any, ...]]):
    """The images of n samples: item i is a tuple of PIL images, decoded at each access."""

    _store: ImageStore = attrs.field(repr=False)
    hashes: tuple[tuple[str, ...], ...] = attrs.field(converter=as_tuple, repr=False)
    _ids: tuple[str, ...] = attrs.field(converter=as_tuple, repr=False)

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return Images(self._store, self.hashes[item], self._ids[item])
        return tuple(decode_image(data, self._ids[item]) for data in self.encoded(item))

    def __iter__(self) -> Iterator[tuple[Image.Image, ...]]:
        return (self[i] for i in range(len(self)))

    def encoded(self, item: int) -> tuple[bytes, ...]:
        """Return the image files of a sample as they were in the logs."""
        return tuple(self._store.data(name) for name in self.hashes[item])

    def take(self, rows: Array) -> Images:
        """Return the images of some samples."""
        index = rows.tolist()
        return Images(self._store, [self.hashes[i] for i in index], [self._ids[i] for i in index])
