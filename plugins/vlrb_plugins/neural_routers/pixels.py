"""Pixels of images: decoded and resized once, kept as bytes in memory-mapped files that all routers and runs share.

The cache has a folder per way of resizing.  Each subfolder has some thousand images: ``pixels.npy`` (uint8[n, height, width, 3])
and ``images.json``, the hashes of their contents.  The model normalises, so that one file serves every mean and deviation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from vlrb import Array, DataError, Images, decode_image, locked, new_directory, read_json, write_json
from vlrb_plugins.shared.pretrained.preparing import rgb

if TYPE_CHECKING:
    from PIL import Image

SCHEMA_VERSION = 2
SHARD_BYTES = 256 * 1024**2
"""Bytes of pixels in one subfolder, which is the work that an interruption may lose."""

Progress = Callable[[int, int], None]


@attrs.frozen
class Resizing:
    """How an image becomes a square of ``size`` pixels.

    ``squash`` gives both sides this length; ``crop`` scales the shorter side to ``edge`` and crops the centre, with margins
    rounded down as in transformers; ``crop-rounded`` rounds margins as torchvision, and so the reference, does.  ``filter`` is
    Pillow's number of the filter (2 bilinear, 3 bicubic).
    """

    size: int
    mode: Literal["squash", "crop", "crop-rounded"] = "squash"
    edge: int = 0
    filter: int = 2

    @property
    def name(self) -> str:
        """Return the name of the folder for images resized like this."""
        edge = "" if self.mode == "squash" else f"-{self.edge}"
        return f"{self.size}-{self.mode}{edge}-filter{self.filter}-v{SCHEMA_VERSION}"

    def __call__(self, image: Image.Image) -> Array:
        """Return the pixels, uint8[size, size, 3]."""
        image = rgb(image)
        if self.mode == "squash":
            return np.asarray(image.resize((self.size, self.size), self._filter))
        shorter = min(image.size)
        width, height = (self.edge * side // shorter for side in image.size)
        image = image.resize((width, height), self._filter)
        left, top = (self._margin(side) for side in image.size)
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))

    def _margin(self, side: int) -> int:
        """Return the pixels to crop at the start of a side."""
        beyond = side - self.size
        return beyond // 2 if self.mode == "crop" else round(beyond / 2)

    @property
    def _filter(self) -> Any:
        from PIL import Image

        return Image.Resampling(self.filter)


@attrs.frozen(eq=False)
class Pixels:
    """Resized images, spread over arrays uint8[n, size, size, 3] that may be memory-mapped.

    ``where`` int64[m, 2] has the index of each image's array and its row there.
    """

    size: int
    arrays: tuple[Array, ...]
    where: Array

    def take(self, images: Array) -> Array:
        """Return a copy of some images, uint8[j, size, size, 3]."""
        taken = np.empty((len(images), self.size, self.size, 3), dtype=np.uint8)
        places = self.where[images]
        for number in np.unique(places[:, 0]).tolist():
            here = np.flatnonzero(places[:, 0] == number)
            taken[here] = self.arrays[number][places[here, 1]]
        return taken


def wanted(images: Images, most: int) -> dict[str, tuple[int, int]]:
    """Return hash -> (sample, index among the sample's images) of the first ``most`` images of every sample."""
    found: dict[str, tuple[int, int]] = {}
    for sample, hashes in enumerate(images.hashes):
        for slot, name in enumerate(hashes[:most]):
            found.setdefault(name, (sample, slot))
    return found


def resized(images: Images, at: tuple[int, int], resizing: Resizing, ids: Sequence[str]) -> Array:
    """Decode and resize one image.

    :param at: the sample, and the index among its images
    :raises DataError: naming the sample, when the image cannot be decoded
    """
    return resizing(decode_image(images.encoded(at[0])[at[1]], ids[at[0]]))


def in_memory(images: Images, ids: Sequence[str], most: int, resizing: Resizing, pool: ThreadPoolExecutor) -> Pixels:
    """Decode the images of a few samples, in the order of ``wanted``."""
    todo = list(wanted(images, most).values())
    rows = list(pool.map(lambda at: resized(images, at, resizing, ids), todo))
    array = np.stack(rows) if rows else np.empty((0, resizing.size, resizing.size, 3), np.uint8)
    return Pixels(resizing.size, (array,), np.stack([np.zeros(len(rows), np.int64), np.arange(len(rows))], axis=1))


def cached(
    images: Images, ids: Sequence[str], most: int, resizing: Resizing, folder: Path, threads: int, progress: Progress
) -> Pixels:
    """Return the images of many samples from the cache, in the order of ``wanted``; missing ones are added to it.

    :param folder: the folder of all resized images
    :raises DataError: naming the sample, when an image cannot be decoded; images that were written before are kept
    """
    names = wanted(images, most)
    target = folder / resizing.name
    shards = _shards(target)
    if not _covered(shards, names):
        with locked(target):
            shards = _shards(target)
            todo = {n: at for n, at in names.items() if all(n not in index for _, index in shards)}
            for part in _parts(list(todo), resizing):
                done = len(names) - len(todo)
                shards.append(_write(target, {n: todo.pop(n) for n in part}, images, ids, resizing, threads))
                progress(done + len(part), len(names))
    index = {n: (number, row) for number, (_, rows) in enumerate(shards) for n, row in rows.items()}
    arrays = tuple(_opened(path, len(rows), resizing) for path, rows in shards)
    where = np.array([index[n] for n in names], dtype=np.int64).reshape(-1, 2)
    return Pixels(resizing.size, arrays, where)


Shard = tuple[Path, dict[str, int]]


def _shards(target: Path) -> list[Shard]:
    """Return the subfolders with the row of each hash."""
    files = (f for f in sorted(target.glob("*/images.json")) if not f.parent.name.startswith("."))
    return [(f.parent, {n: row for row, n in enumerate(read_json(f)["images"])}) for f in files]


def _covered(shards: list[Shard], names: dict[str, Any]) -> bool:
    known = set().union(*(rows for _, rows in shards)) if shards else set()
    return known >= names.keys()


def _parts(names: list[str], resizing: Resizing) -> Iterator[list[str]]:
    step = max(1, SHARD_BYTES // (3 * resizing.size**2))
    return (names[i : i + step] for i in range(0, len(names), step))


def _write(
    target: Path, at: dict[str, tuple[int, int]], images: Images, ids: Sequence[str], resizing: Resizing, threads: int
) -> Shard:
    names = list(at)
    folder = target / hashlib.sha256("".join(names).encode()).hexdigest()[:20]
    with new_directory(folder) as aside, ThreadPoolExecutor(max(1, threads)) as pool:
        shape = (len(names), resizing.size, resizing.size, 3)
        array = np.lib.format.open_memmap(aside / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
        made = pool.map(lambda place: resized(images, place, resizing, ids), at.values())
        try:
            for row, pixels in enumerate(made):
                array[row] = pixels
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        array.flush()
        write_json(aside / "images.json", {"schema": SCHEMA_VERSION, "images": names})
    return folder, {n: row for row, n in enumerate(names)}


def _opened(folder: Path, rows: int, resizing: Resizing) -> Array:
    """Map a file of pixels into memory."""
    file = folder / "pixels.npy"
    try:
        array: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _broken(file, str(error)) from None
    if array.dtype != np.uint8 or array.shape != (rows, resizing.size, resizing.size, 3):
        raise _broken(file, f"holds {array.dtype} {array.shape}")
    return array


def _broken(file: Path, why: str) -> DataError:
    return DataError(f"cannot be used: {why}", where=str(file), fix="delete the folder it is in and run again")
