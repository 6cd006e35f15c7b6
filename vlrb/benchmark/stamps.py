"""Stamps of log files (path, size and time of change), which count in the keys of the parts that are read from them.

A part's own files are known before it is read; files that its rows name, such as pictures, only afterwards.  The first reading is
kept under the key of the own files, with the stamps of the named ones.  While these stamps hold, that is the part's key; otherwise
the present stamps count in it.  A reading under that key may name other files, which are checked in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vlrb.errors import DataError
from vlrb.experiment.plan import digest_of
from vlrb.storage import mark_used, read_json, write_json

NAMED_FILES = "named-files.json"
"""In a part's folder: path -> stamp of the files that its rows name."""

CHANGED = "changed while it was read"
CLOCK_TICK = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock."""


def stamp(file: Path) -> list[Any]:
    """Return path, size and time of change of a part's own file.

    :raises DataError: when it cannot be read
    """
    try:
        known = file.stat()
    except OSError as error:
        fix = "fix the link, or remove it" if file.is_symlink() else "check the file's permissions"
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), fix=fix) from None
    return [str(file), known.st_size, known.st_mtime_ns]


def key_with_named_files(key: str, folder: Callable[[str], Path]) -> str:
    """Return a part's key: that of a reading whose named files are as they were, or one under which nothing was read yet.

    :param key: of the part's own files, and of what reads them
    :param folder: returns a part's folder by its key
    """
    counted: Mapping[str, Any] = {}
    while (stamps := folder(key) / NAMED_FILES).is_file():
        mark_used(stamps.parent)
        known = read_json(stamps)
        now = {path: _named(path) for path in known}
        if all(_holds(known[path], now[path], counted.get(path)) for path in known):
            break
        key, counted = digest_of({"part": key, "named": now}), now
    return key


def _holds(known: Any, now: Any, counted: Any) -> bool:
    """Tell whether a file is as it was when it was read; one that is marked as changed must be as it was before, too."""
    return known == now or (now is not None and known == [*now, CHANGED] and counted == now)


def write_named_files(folder: Path, files: Iterable[str], began: int) -> None:
    """Write the stamps of the files that a part names, if it names any.

    :param began: when reading began, in ns since 1970; a file that has changed since may have been read before its change, and is
        marked as changed
    """
    stamps = {path: _named(path, began - CLOCK_TICK) for path in files}
    if stamps:
        write_json(folder / NAMED_FILES, stamps)


def _named(path: str, began: float = math.inf) -> list[Any] | None:
    """Return size and time of change of a file, with a mark if it has changed since; None for a missing file."""
    try:
        known = Path(path).stat()
    except (OSError, ValueError):
        return None
    changed = max(known.st_mtime_ns, known.st_ctime_ns) >= began
    return [known.st_size, known.st_mtime_ns, *([CHANGED] if changed else [])]
