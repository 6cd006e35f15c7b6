"""Where runs and the cache are, and how files get there: written under another name, then renamed, under locks."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb import interrupts
from vlrb.errors import STORAGE, ConfigError, DataError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    from filelock import BaseFileLock

logger = logging.getLogger("vlrb")

PATIENCE = 2.0
"""Seconds for which a lock is waited for in silence."""

CACHE_KINDS = ("benchmarks", "scores", "parts", "features", "fused", "cells", "work")
"""Folders of the cache whose entries vlrb itself makes, and makes again; other folders belong to plugins."""

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

        :raises ConfigError: naming the folder and the option
        """
        for option, folder in (("--runs", self.runs), ("--cache", self.cache)):
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
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of ``target``, a file with its name; it ends with its process.

    :raises StorageError: when there can be no lock
    """
    with _lock(target, PATIENCE) as is_held, contextlib.ExitStack() as stack:
        if not is_held:
            logger.warning("another process is working on %s: waiting for it", target)
            stack.enter_context(_lock(target, -1))
        yield


@contextlib.contextmanager
def lock_if_free(target: Path) -> Iterator[bool]:
    """Hold the lock of ``target`` unless another process, or another part of this one, does; yield whether it is held.

    :raises StorageError: when there can be no lock
    """
    with _lock(target, 0) as is_held:
        yield is_held


@contextlib.contextmanager
def _lock(target: Path, timeout: float) -> Iterator[bool]:
    """Hold the lock of ``target``; yield False if somebody else holds it for so many seconds (-1: wait as long as it takes)."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        if timeout:
            target.parent.mkdir(parents=True, exist_ok=True)
        acquire_lock(lock, timeout)
    except Timeout:
        pass
    except OSError as error:
        raise StorageError.of(error, lock.lock_file) from None
    try:
        yield lock.is_locked
    finally:
        lock.release()


def acquire_lock(lock: BaseFileLock, timeout: float = -1) -> None:
    """Acquire a lock of the operating system.

    If there is none, filelock would fall back on a file that a killed process leaves behind.

    :raises filelock.Timeout: when another process, or another part of this one, holds it for so many seconds
    :raises OSError: when there can be no lock; ENOLCK if the file system has none
    """
    from filelock import SoftFileLock, Timeout

    missing: BaseException | None = None
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        if not isinstance(lock, SoftFileLock):
            raise
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP):
            raise
        missing = error
    if missing or isinstance(lock, SoftFileLock):
        lock.release()
        raise OSError(errno.ENOLCK, "the file system has no locks (flock)", lock.lock_file) from None


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Yield the path of a file to write; it becomes ``target`` only when the block ends without an error.

    :raises StorageError: when the disk is full or fails
    """
    aside = _aside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(target)
    except OSError as error:
        if error.errno in STORAGE:
            if str(error.filename) == str(aside):
                error.filename = str(target)
            raise StorageError.of(error, target) from error
        raise
    finally:
        _remove(aside)


@contextlib.contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Yield a folder to fill; it becomes ``target`` only when the block ends without an error.

    Call it with the lock of ``target`` held.  What a killed process left is removed first.

    :raises StorageError: when the disk is full or fails
    """
    with new_file(target) as aside:
        _remove_leftovers(target)
        aside.mkdir()  # with the permissions of the user's umask, so that a group may share a cache
        yield aside
        _discard(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{_short(target.name)}.{uuid.uuid4().hex[:12]}.partial")


def _short(name: str) -> str:
    """Return a name that leaves room for more in the name of a file, which has at most 255 bytes, or 143 (eCryptfs)."""
    return name if len(os.fsencode(name)) <= 100 else hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # an error before counts; what is left goes next time
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes have left of a target."""
    for left in target.parent.glob(f".{glob.escape(_short(target.name))}.*.partial"):
        _remove(left)


def _discard(folder: Path) -> None:
    if folder.exists():
        aside = _aside(folder)
        with interrupts.held():
            folder.rename(aside)
            _remove(aside)


def remove_folder(folder: Path) -> None:
    """Remove a folder all at once: a kill leaves no part of it under its name, and the rest goes next time."""
    _remove_leftovers(folder)
    _discard(folder)


def mark_used(folder: Path) -> bool:
    """Set a folder's time of change, so that ``vlrb cache prune`` keeps it; return whether it is there."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    except OSError:  # another user's, or read-only
        return folder.is_dir()
    return True


def discard_unless_used(folder: Path, since: float) -> bool:
    """Remove a folder all at once unless it was marked as used; call it with its lock held.

    :param since: seconds since 1970
    :return: whether it was removed
    """
    aside = _aside(folder)
    try:
        if folder.stat().st_mtime > since:
            return False
        folder.rename(aside)
    except FileNotFoundError:
        return False
    if aside.stat().st_mtime > since:  # marked just now
        aside.rename(folder)
        return False
    _remove(aside)
    return True


def sweep_cache(cache: Path) -> None:
    """Remove folders that killed processes have left in the cache, unless somebody holds the lock of what one was for."""
    for left in (p for p in cache.glob("*/.*.partial") if p.is_dir()):
        target = left.with_name(left.name[1:].rsplit(".", 2)[0])
        with contextlib.suppress(StorageError), lock_if_free(target) as is_free:
            if is_free:
                _remove(left)


def sweep_run(directory: Path) -> None:
    """Remove what killed processes have left in a run's folder; call it with the run's lock held."""
    for left in directory.rglob(".*.partial"):
        _remove(left)


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8 by write-then-rename; a lone surrogate, which UTF-8 lacks, becomes an escape (``\\udcff``)."""
    with new_file(target) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(target: Path, value: Any) -> None:
    """Write strict JSON (no NaN, no Infinity) by write-then-rename."""
    write_text(target, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


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
