"""Folders that an export fills: new or empty, and there only when complete."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from vlrb import DataError, cache_directory, locked, new_directory


@contextlib.contextmanager
def export_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill, which becomes ``target`` when the block ends without an error.

    :param target: an absolute path
    :raises DataError: when ``target`` is there and not an empty folder, before or after the block
    """
    _check_empty(target)
    lock = cache_directory() / "exports" / hashlib.sha256(str(target).encode()).hexdigest()[:20]
    with locked(lock), new_directory(target) as aside:
        yield aside
        _check_empty(target)


def _check_empty(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "is not empty" if target.is_dir() else "is not a folder"
        raise DataError(what, where=str(target), fix="name a new folder; nothing is ever overwritten")
