"""Where runs and the cache are, and how files get there: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb import interrupts
from vlrb.errors import STORAGE, ConfigError, DataError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("vlrb")

CACHE_KINDS = ("benchmarks", "scores", "parts", "features", "fused", "cells", "work")
"""Folders of the cache whose entries vlrb itself makes, and makes again; other folders belong to plugins."""

CLOCK_TICK = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock."""
CLOCKS_DIFFER = 3600 * 10**9
"""Nanoseconds by which the clocks of two machines may differ."""

USES = "uses.json"
"""In a benchmark's folder: the parts and scores of the cache that it was made of."""


@attrs.frozen
class Places:
    """The folder of the runs and that of the cache, both relative to the working directory unless given."""

    runs: Path
    cache: Path

    @classmethod
    def of(cls, runs: str | None = None, cache: str | None = None) -> Places:
        """Return the places that ``--runs`` and ``--cache`` name, else the environment, else the defaults."""
        return cls(
            Path(runs or os.environ.get("VLRB_RUNS") or "runs").absolute(),
            Path(cache or os.environ.get("VLRB_CACHE") or ".vlrb-cache").absolute(),
        )

    def check(self) -> None:
        """Try whether the folders can be made and written, so that it is told before any work is done.

        A cache that is read-only may hold all that is needed.

        :raises ConfigError: naming the folder and the option
        """
        for option, folder in (("--runs", self.runs), ("--cache", self.cache)):
            if folder is self.cache and folder.is_dir() and not os.access(folder, os.W_OK):
                logger.info("the cache %s is read-only: nothing can be added to it", folder)
                continue
            try:
                with tempfile.TemporaryFile(dir=next(p for p in (folder, *folder.parents) if p.exists())):
                    pass
            except OSError as error:
                raise ConfigError(
                    f"cannot write in {folder}: {error.strerror}",
                    where=option,
                    fix=STORAGE.get(error.errno or 0, "name another folder"),
                ) from None

    def use(self) -> None:
        """Make the places known to this process, its children and its plugins."""
        os.environ["VLRB_RUNS"], os.environ["VLRB_CACHE"] = str(self.runs), str(self.cache)


def cache_directory() -> Path:
    """Return the folder of the cache in use, for plugins that keep something there."""
    return Places.of().cache


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Yield the path of a file to write; it becomes ``target`` only when the block ends without an error.

    :raises StorageError: when the disk is full or fails
    """
    aside = aside_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        _put_in_place(aside, target)
    except OSError as error:
        if error.errno in STORAGE:
            if str(error.filename) == str(aside):
                error.filename = str(target)
            raise StorageError.of(error, target) from error
        raise
    finally:
        remove_path(aside)


@contextlib.contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Yield a folder to fill; it becomes ``target`` only when the block ends without an error.

    Call it with the lock of ``target`` held.  What a killed process left is removed first.

    :raises StorageError: when the disk is full or fails, or another process took over the lock
    """
    with new_file(target) as aside:
        _remove_leftovers(target)
        aside.mkdir()  # with the permissions of the user's umask, so that a group may share a cache
        try:
            yield aside
        except Exception as error:
            if aside.is_dir():
                raise
            raise _taken_over(target) from error


def _put_in_place(aside: Path, target: Path) -> None:
    """Rename what is whole to its name; what stands there, perhaps since just now, is replaced as a whole."""
    while True:
        try:
            aside.replace(target)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not os.path.lexists(aside):
                raise _taken_over(target) from error
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            _discard(target)
        else:
            return


def _taken_over(target: Path) -> StorageError:
    what = "another process took over the work on it, while this one was stopped or its files were removed"
    return StorageError(what, where=str(target), fix="run again: what is finished is kept")


def aside_of(target: Path) -> Path:
    """Return a new name next to a file or folder, under which it is written."""
    return target.with_name(f".{_short(target.name)}.{uuid.uuid4().hex[:12]}.partial")


def _short(name: str) -> str:
    """Return a name that leaves room for more in the name of a file, which has at most 255 bytes, or 143 (eCryptfs)."""
    return name if len(os.fsencode(name)) <= 100 else hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def remove_path(path: Path) -> None:
    """Remove a file or folder as far as that can be done."""
    with contextlib.suppress(OSError):  # an error before counts; what is left goes next time
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes have left of a target."""
    begin, names = f".{_short(target.name)}.", list[str]()
    with contextlib.suppress(FileNotFoundError, PermissionError):
        names = os.listdir(target.parent)  # noqa: PTH208  (the cache has thousands: many times faster than glob)
    for name in names:
        if name.startswith(begin) and name.endswith(".partial"):
            remove_path(target.parent / name)


def _discard(folder: Path) -> None:
    aside = aside_of(folder)
    with interrupts.held(), contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
        remove_path(aside)


def remove_folder(folder: Path) -> None:
    """Remove a folder all at once: a kill leaves no part of it under its name, and the rest goes next time."""
    _remove_leftovers(folder)
    _discard(folder)


@attrs.frozen
class Moment:
    """A moment in ns since 1970, by this machine's clock and by that of a file system, which may be another machine's."""

    here: int
    there: int
    device: int

    @classmethod
    def now(cls, folder: Path) -> Moment:
        """Return the present, by the clock of a folder's file system too, as a new file there shows it."""
        with tempfile.TemporaryFile(dir=folder) as file:
            known = os.fstat(file.fileno())
        return cls(time.time_ns(), known.st_mtime_ns, known.st_dev)

    def of(self, device: int) -> int:
        """Return the moment by the clock of a file's device, or one that is surely before it."""
        if device == self.device:
            return self.there - CLOCK_TICK
        # a disk of this machine has a number; network file systems have none, and neither have some others
        return self.here - (CLOCK_TICK if os.major(device) else CLOCKS_DIFFER)


def _touch(folder: Path) -> None:
    """Set a folder's time of change; on NFS it may have been made elsewhere since its absence was seen here."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        os.close(os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY))  # asks the server for what is new
        os.utime(folder)


def mark_used(folder: Path) -> bool:
    """Set a folder's time of change, so that ``vlrb cache prune`` keeps it; return whether it is there."""
    try:
        _touch(folder)
    except FileNotFoundError:
        return False
    except OSError:  # another user's, or read-only
        return folder.is_dir()
    return True


def discard_unless_used(folder: Path, since: float) -> bool:
    """Remove a folder all at once unless it was marked as used; call it with its lock held.

    :param since: seconds since 1970, by the file system's clock
    :return: whether it was removed
    """
    aside = aside_of(folder)
    try:
        if folder.stat().st_mtime > since:
            return False
        folder.rename(aside)
    except FileNotFoundError:
        return False
    if aside.stat().st_mtime > since:  # marked just now
        with contextlib.suppress(OSError):  # made again just now
            aside.rename(folder)
            return False
    remove_path(aside)
    return True


def sweep_run(directory: Path) -> None:
    """Remove what killed processes have left in a run's folder; call it with the run's lock held."""
    for left in directory.rglob(".*.partial"):
        remove_path(left)


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8 by write-then-rename; a lone surrogate, which UTF-8 lacks, becomes an escape (``\\udcff``)."""
    with new_file(target) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(target: Path, value: Any) -> None:
    """Write strict JSON (no NaN, no Infinity) by write-then-rename, piece by piece, since it may be large."""
    with new_file(target) as aside, aside.open("w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(value, file, indent=1, allow_nan=False, ensure_ascii=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    :raises DataError: naming the file when it is missing or truncated
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), fix="delete the folder and run again") from None


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file, or some of its columns; ``pyarrow.parquet.read_table`` would load pandas first.

    :raises OSError: when it is not there
    :raises pyarrow.ArrowInvalid: when it is broken, or lacks a column
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path, memory_map=True).read(columns=columns and list(columns))
    lacking = sorted(set(columns or ()) - set(table.column_names))
    if lacking:
        raise pa.ArrowInvalid(f"there is no column {lacking[0]!r}")
    return table
