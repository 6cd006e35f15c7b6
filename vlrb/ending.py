"""The end of a process: threads that a plugin has left do not hold it up."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time

logger = logging.getLogger("vlrb")

GRACE = 3.0
"""Seconds in which a process that is to end may remove what it has begun."""


def end_in_time(status: int, seconds: float = GRACE) -> None:
    """End this process within some seconds, when the work is done and written; Python would wait for all threads.

    Call it last in the main thread.  Without threads that are left, the process ends as usual.

    :param status: the exit status, should threads be left
    """
    threading.Thread(target=_watch, args=(status, seconds), name="vlrb-end", daemon=True).start()


def _watch(status: int, seconds: float) -> None:
    time.sleep(seconds)
    left = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if left:
        logger.warning("threads that plugins have left are ended: %s", ", ".join(left))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # a closed terminal
                stream.flush()
        os._exit(status)
