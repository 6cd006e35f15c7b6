"""Interrupts: Ctrl-C, SIGTERM (Slurm, docker, systemd) and SIGHUP (a closed terminal) are one thing, a KeyboardInterrupt.

Python drops an exception that falls into a weak-reference callback or a ``__del__``, and plugins and C code may swallow one.
So the handler also notes the interrupt: a dropped one is sent again, and :func:`check`, called between steps, raises one
that was swallowed.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from vlrb.errors import ExitCode

logger = logging.getLogger("vlrb")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME = 2.0
"""Seconds during which further signals belong to the same interrupt: ``uv run`` or a shell forwards what a group got anyway."""
PATIENCE = 10.0
"""Seconds that the end of the work may take before another signal ends the process at once."""
GRACE = 3.0
"""Seconds in which a process that is to end may remove what it has begun."""
PAUSE = 0.01
"""Seconds until a dropped interrupt is sent again."""


class _State:
    """What has come so far; a plain class, as every command imports this module."""

    pid = 0
    received = 0
    since = 0.0
    raised = float("-inf")
    dropped = False
    held = 0


_state = _State()


def install(signals: Sequence[signal.Signals] = SIGNALS) -> None:
    """Handle signals as interrupts from now on, except those that are ignored already (``nohup``, ``command &``)."""
    previous = sys.unraisablehook

    def unraisable(dropped: Any) -> None:
        if _state.received and issubclass(dropped.exc_type, KeyboardInterrupt):
            _state.dropped = True
            _thread.start_new_thread(_send_again, ())  # threading's locks may be held where an object is collected
        else:
            previous(dropped)

    def ignore() -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)

    _state.pid = os.getpid()
    # registered first, so called last: the interpreter's own handlers would change the exit status while it is taken down
    atexit.register(ignore)
    sys.unraisablehook = unraisable
    for number in signals:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def _send_again() -> None:
    time.sleep(PAUSE)
    signal.pthread_kill(threading.main_thread().ident or 0, _state.received)


def _handle(number: int, _frame: FrameType | None) -> None:
    if os.getpid() != _state.pid:  # in a process that a plugin has forked
        end_by(number)
        return
    now = time.monotonic()
    if not _state.received:
        _state.received, _state.since = number, now
    elif _state.held and now - _state.since > PATIENCE:
        os._exit(ExitCode.INTERRUPTED)
    if not _state.held and (_state.dropped or now - _state.raised > SAME):
        _raise()


def _raise() -> None:
    _state.dropped = False
    _state.raised = time.monotonic()
    raise KeyboardInterrupt


def end_by(number: int) -> None:
    """End this process by a signal, as if nobody handled it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def received() -> int:
    """Return the number of the first signal that came, or 0."""
    return _state.received


def check() -> None:
    """Raise an interrupt that came and was swallowed.  Call this between steps of a long work.

    :raises KeyboardInterrupt: when a signal has come, unless interrupts are held
    """
    if _state.received and not _state.held:
        _raise()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let no interrupt come into a block that must be done whole; one that came meanwhile is raised at its end."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    if _state.raised < _state.since:
        check()


def close() -> None:
    """Raise no interrupt any more: the work has ended, and the process is about to."""
    _state.held += 1


def end_in_time(status: int) -> None:
    """End this process within :data:`GRACE` when the work is done and written; Python would wait for all threads.

    Call it last in the main thread.  If no threads are left, the process ends as usual.

    :param status: the exit status, should threads be left
    """

    def watch() -> None:
        time.sleep(GRACE)
        left = [t.name for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
        if left:
            logger.warning("threads that plugins have left are ended: %s", ", ".join(left))
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):  # a closed terminal
                    stream.flush()
            os._exit(status)

    threading.Thread(target=watch, name="vlrb-end", daemon=True).start()
