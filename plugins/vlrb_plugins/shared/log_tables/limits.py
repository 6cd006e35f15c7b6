"""Limits of reading: how much is read at once; special files and tables that are too wide are refused."""

from __future__ import annotations

import stat
from pathlib import Path

from vlrb import DataError

BATCH_ROWS = 100_000
BATCH_BYTES = 32 * 1024**2
MAX_COLUMNS = 10_000
"""Columns of the widest table or object that is read; no log has that many."""


def refuse_special(path: Path) -> None:
    """Refuse a device, a pipe, a socket or a folder: reading one might never end.

    :raises DataError: when it is not a regular file, or cannot be read
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot be read: {reason}", where=str(path), fix="copy the file again, or check its permissions"
        ) from None
    if not stat.S_ISREG(mode):
        raise DataError(
            "is not a regular file", where=str(path), fix="put a file there, not a folder, a device or a pipe"
        )


def too_wide(columns: int, where: str) -> DataError:
    """Return the error for a table that has more than MAX_COLUMNS columns."""
    fix = "check whether rows and columns are swapped, or write the file without the columns that are not needed"
    return DataError(f"has {columns:,} columns, above the limit of {MAX_COLUMNS:,}", where=where, fix=fix)
