"""Messages of workers to the main process: pickled tuples (mark, kind, content ...), as events of a topic of the scheduler."""

from __future__ import annotations

import pickle
import zlib
from typing import Any

STARTED, PROGRESS, LOG, ENDED, DIED, UNKNOWN = "started", "progress", "log", "ended", "died", "unknown"
"""The task begins; its progress; values at a step; its result; its process died; the worker lost the job (it restarted)."""


def pack(value: Any) -> bytes:
    """Pickle and compress a value for :func:`unpack`."""
    return zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 1)


def unpack(packed: bytes) -> Any:
    """Return a value that another process of this run has packed: whoever can reach the scheduler may run code anyway."""
    return pickle.loads(zlib.decompress(packed))  # noqa: S301
