"""Files of logs by path, size and time of change, which stand in the keys of the parts that are read from them.

A part's own files are known before it is read.  Files that its rows name, such as pictures, are known afterwards: the first reading
is kept under the key of the own files, with the stamps of the named ones beside its rows.  While these stamps hold, that is the
part's key; else the stamps that hold now count in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vlrb.cache import mark_used, read_json, write_json
from vlrb.errors import DataError
from vlrb.plan import digest_of

NAMED_FILES = "named-files.json"
"""In a part's folder: path -> stamp of the files that its rows name."""

CLOCK_TICK = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock."""


def stamp(file: Path) -> list[Any]:
    """Return path, size and time of change of a part's own file.

    :raises DataError: when it cannot be looked at
    """
    try:
        known = file.stat()
    except OSError as error:
        fix = "fix the link, or remove it" if file.is_symlink() else "check the file's permissions"
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), fix=fix) from None
    return [str(file), known.st_size, known.st_mtime_ns]


def key_with_named_files(key: str, folder: Path) -> str:
    """Return a part's key: the given one while the files that its first reading named are as they were.

    :param key: of the part's own files, and of what reads them
    :param folder: of the part under that key
    """
    stamps = folder / NAMED_FILES
    if not stamps.is_file():
        return key
    mark_used(folder)
    known = read_json(stamps)
    now = {path: _named(path) for path in known}
    return key if now == known else digest_of({"part": key, "named": now})


def write_named_files(folder: Path, files: Iterable[str], began: int) -> None:
    """Write the stamps of the files that a part names, if it names any.

    :param began: when reading began, in ns since 1970: what has changed since may have been read before its change, and such
        a file counts as changed
    """
    stamps = {path: _named(path, began - CLOCK_TICK) for path in files}
    if stamps:
        write_json(folder / NAMED_FILES, stamps)


def _named(path: str, began: int | None = None) -> list[int] | str | None:
    """Return size and time of change of a file; None where there is none."""
    try:
        known = Path(path).stat()
    except (OSError, ValueError):
        return None
    if began is not None and max(known.st_mtime_ns, known.st_ctime_ns) >= began:
        return "changed while it was read"
    return [known.st_size, known.st_mtime_ns]
