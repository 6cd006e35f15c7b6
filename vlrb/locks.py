"""Locks between processes, on one machine or several, on any file system: on NFS flock may be missing, or local to one client.

The lock of TARGET is the folder ``TARGET.lock`` with one file, the token, which is called ``free`` or after its holder.  Taking
the lock, releasing it and taking it over from a dead holder rename the token.  A rename is atomic on NFSv3 and v4 too (RFC
1813, 3.3.14; RFC 8881, 18.26), only one of several processes can rename a file away from a name, and no holder's name is used
twice: so a process that acts on an outdated view fails.  Exclusive creation and link are atomic as well, but there the files of
former holders have to be removed, and a process that looked before the removal could take a lock that another one holds.

A holder is dead

- at once, if it ran on this machine and its flock on the token is gone (it holds one where the file system has flock);
- else if it has written nothing into the token for ``VLRB_LOCK_PATIENCE`` seconds in which this process has looked.  A thread
  writes into all tokens that its process holds every few seconds.  Clocks of other machines are not used; opening a file on NFS
gets what others have written.

A holder that was only suspended for so long continues without its lock: what it writes appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import logging
import math
import os
import platform
import random
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs

from vlrb.errors import ConfigError, StorageError
from vlrb.storage import aside_of, remove_path

logger = logging.getLogger("vlrb")

SILENT = 2.0
"""Seconds to wait for a lock before saying so."""
POLL = 0.25
"""Longest pause, in seconds, between two looks at a lock that is held."""
BEAT = 5.0
"""Seconds after which a holder writes into its tokens again, unless the patience is short."""
PATIENCE = "VLRB_LOCK_PATIENCE"
MACHINE = "VLRB_LOCK_MACHINE"
"""For tests: replaces what identifies this machine since its start."""
FREE, HELD = "free", "held"
QUICKER = (errno.ENOENT, errno.ESTALE)
"""Errors for a file that another process has renamed or removed meanwhile."""
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def locked(target: Path, *, to_read: bool = False) -> Iterator[None]:
    """Hold the lock of ``target``, a folder named after it; the lock ends with its process.

    :param to_read: where the folder is read-only, nothing is locked, and nothing there can be changed in the block
    :raises StorageError: when there can be no lock
    """
    with _lease(target) as lease:
        if not lease.acquire(SILENT, to_read):
            logger.warning("another process is working on %s (%s): waiting for it", target, lease.holder)
            lease.acquire(math.inf)
        yield


@contextlib.contextmanager
def lock_within(target: Path, seconds: float, *, to_read: bool = False) -> Iterator[bool]:
    """Hold the lock of ``target`` unless it is held elsewhere, or in another part of this process, for so long; yield whether.

    :param to_read: as in :func:`locked`
    :raises StorageError: when there can be no lock
    """
    with _lease(target) as lease:
        yield lease.acquire(seconds, to_read)


def lock_if_free(target: Path, *, to_read: bool = False) -> contextlib.AbstractContextManager[bool]:
    """Hold the lock of ``target`` unless another process, or another part of this one, does; yield whether it is held.

    A holder on another machine is found dead only after this process has looked repeatedly.

    :param to_read: as in :func:`locked`
    :raises StorageError: when there can be no lock
    """
    return lock_within(target, 0, to_read=to_read)


def remove_lock(target: Path) -> bool:
    """Remove the lock of a target that no longer exists, unless it is held; return whether it is removed."""
    with _lease(target) as lease:
        return lease.acquire(0) and lease.remove()


def sweep_cache(cache: Path) -> None:
    """Remove folders that killed processes have left in the cache, unless the lock of their target is held."""
    for left in (p for p in cache.glob("*/.*.partial") if p.is_dir()):
        target = left.with_name(left.name[1:].rsplit(".", 2)[0])
        with contextlib.suppress(StorageError), lock_if_free(target) as is_free:
            if is_free:
                remove_path(left)


def patience() -> float:
    """Return the seconds after which a silent holder counts as dead.

    :raises ConfigError: when the environment variable is not a number of seconds
    """
    text = os.environ.get(PATIENCE) or "60"
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) >= 1:
            return seconds
    raise ConfigError(f"{text!r} is not a number of seconds from 1", where=PATIENCE, fix=f"unset {PATIENCE}: it is 60")


@functools.cache
def _machine() -> str:
    """Return an identity of this machine since its start."""
    known = ""
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            known = Path(file).read_text(encoding="utf-8")
    known = os.environ.get(MACHINE) or f"{platform.node()} {known or uuid.getnode()}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _flock(file: int, tries: int = 1) -> bool | None:
    """Take an open file's flock; False: somebody else has it, None: the file system has none."""
    for number in range(tries):
        if number:
            time.sleep(0.001 * number)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except OSError:
            return None
        return True
    return False


@attrs.frozen
class _Holder:
    """Who holds a lock, as the token's name says; ``sign`` of life: ``flock``, or ``beat`` if it can only write."""

    host: str
    machine: str
    process: str
    nonce: str
    sign: str

    @classmethod
    def this(cls, nonce: str, sign: str) -> _Holder:
        host = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node())[:64]
        return cls(host, _machine(), str(os.getpid()), nonce, sign)

    @classmethod
    def of(cls, token: str) -> _Holder:
        """Return the holder that a token names; a foreign name gives a holder without details."""
        fields = token.split(".")[1:]
        return cls(*fields) if len(fields) == 5 else cls("", "", "", token, "")

    @property
    def token(self) -> str:
        return ".".join((HELD, *attrs.astuple(self)))

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


@attrs.define
class _Watched:
    """A token and its content as first seen, and for how many seconds they have been seen unchanged."""

    state: tuple[str, bytes]
    looked: float
    seconds: float = 0.0


_leases: dict[str, _Lease] = {}
"""Nonce -> what this process holds."""
_watched: dict[Path, _Watched] = {}
_beating: list[threading.Thread] = []


@attrs.define(eq=False)
class _Lease:
    """A lock that this process holds, or tries to take; ``holder`` is who holds it instead, if known."""

    target: Path
    folder: Path
    patience: float = attrs.Factory(patience)
    process: int = attrs.Factory(os.getpid)
    nonce: str = attrs.Factory(lambda: uuid.uuid4().hex[:12])
    token: str = ""
    file: int = -1
    is_held: bool = False
    holder: str = ""

    def acquire(self, seconds: float, to_read: bool = False) -> bool:
        """Take the lock; return False if another process has held it for so long.

        :param to_read: return True also where nothing can be written
        :raises StorageError: when there can be no lock
        """
        limit, pause = time.monotonic() + seconds, 0.0
        unsettled = time.monotonic() + 1
        try:
            while not self._take():
                if time.monotonic() >= (limit if self.holder else max(limit, unsettled)):
                    return False
                if pause:  # the first look after the folder was made is at once
                    time.sleep(random.uniform(0.5, 1) * pause)
                pause = min(2 * pause + 0.001, POLL)
        except OSError as error:
            if to_read and error.errno in READ_ONLY:
                return True
            error.filename = str(self.folder)
            raise StorageError.of(error) from None
        return True

    def _take(self) -> bool:
        self.holder = ""
        try:
            opened = os.open(
                self.folder, os.O_RDONLY | os.O_DIRECTORY
            )  # opening makes an NFS client ask its server what is new in the folder
        except FileNotFoundError:
            return self._make()
        except NotADirectoryError:
            return self._replace_file()
        try:
            # names in the folder that was opened, not in one that was made after this one was removed
            names = os.listdir(opened)  # noqa: PTH208
            tokens = [name for name in names if name.partition(".")[0] in (FREE, HELD)]
            return self._rename(opened, max(tokens)) if tokens else self._make()
        except OSError as error:
            if error.errno not in QUICKER:
                raise
            return False
        finally:
            os.close(opened)
            if not self.is_held:
                self._close()

    def _rename(self, folder: int, token: str) -> bool:
        holder = _Holder.of(token)
        if holder.nonce in _leases:
            self.holder = "another part of it"
            return False
        self.file = os.open(token, os.O_RDWR, dir_fd=folder)
        # a process that renames or releases it right now keeps the flock for a moment; a flock that stays is a suspended process's
        has_flock = _flock(self.file, tries=5 if token == FREE else 1)
        if token != FREE and not self._is_dead(token, holder, has_flock):
            self.holder = str(holder)
            return False
        self.token = _Holder.this(self.nonce, "flock" if has_flock else "beat").token
        try:
            os.rename(token, self.token, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            os.stat(
                self.token, dir_fd=folder
            )  # NFS repeats a request whose answer was lost, and the repetition of a successful rename finds no file
        self.is_held = True
        _leases[self.nonce] = self
        _watched.pop(self.folder, None)
        if not _beating:
            _beating.append(threading.Thread(target=_beat, name="vlrb-locks", daemon=True))
            with contextlib.suppress(
                RuntimeError
            ):  # no more threads: without it, other machines may take the lock over
                _beating[0].start()
        return True

    def _is_dead(self, token: str, holder: _Holder, has_flock: bool | None) -> bool:
        if holder.machine == _machine() and holder.sign == "flock" and has_flock is not None:
            return has_flock
        now, state = time.monotonic(), (token, os.pread(self.file, 32, 0))
        known = _watched.get(self.folder)
        if known is None or known.state != state:
            known = _watched[self.folder] = _Watched(state, now)
        known.seconds += min(now - known.looked, self.patience / 5, BEAT)  # this one may have been suspended too
        known.looked = now
        return known.seconds >= self.patience

    def _make(self) -> bool:
        """Create the folder with its token at once; a folder that another process creates meanwhile stays."""
        aside = aside_of(self.target)
        try:
            if not self.target.parent.is_dir():
                self.target.parent.mkdir(parents=True, exist_ok=True)
            aside.mkdir()
            (aside / FREE).touch()
            aside.rename(self.folder)
        except OSError as error:
            if error.errno not in (*QUICKER, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) or not aside.parent.is_dir():
                raise
        finally:
            remove_path(aside)
        return False

    def _replace_file(self) -> bool:
        """Remove the lock file of an earlier version of vlrb, unless that holds it."""
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            self.file = os.open(self.folder, os.O_RDWR)
            if _flock(self.file) is False:
                self.holder = "of an earlier version of vlrb"
            else:
                self.folder.unlink()
        self._close()
        return False

    def beat(self) -> None:
        """Give a sign of life; warn if the lock was taken over."""
        try:
            file = os.open(self.folder / self.token, os.O_WRONLY)
        except FileNotFoundError:
            if _leases.pop(self.nonce, None) is not None:
                self._warn()
            return
        try:
            os.pwrite(file, b"%020d" % time.monotonic_ns(), 0)
        finally:
            os.close(file)  # NFS sends what was written

    def _warn(self) -> None:
        what = "another process took over the lock of %s: this one was stopped for more than %g s (%s)"
        logger.warning(what, self.target, self.patience, PATIENCE)

    def release(self) -> None:
        """Release the lock, if this process has taken it: a forked one holds none."""
        if self.process != os.getpid():
            return
        is_known = _leases.pop(self.nonce, None) is not None
        try:
            if self.token:
                (self.folder / self.token).rename(self.folder / FREE)
        except FileNotFoundError:
            if is_known:
                self._warn()
        except OSError as error:  # others will find its holder dead
            logger.debug("the lock of %s cannot be given back: %s", self.target, error)
        finally:
            self._close()

    def remove(self) -> bool:
        """Remove the lock, which must be held, unless another process takes it over meanwhile."""
        _leases.pop(self.nonce, None)
        self._close()  # NFS keeps a file that is open
        try:
            (self.folder / self.token).unlink()
            self.folder.rmdir()
        except OSError:  # taken over, or made again
            return False
        finally:
            self.token = ""
        return True

    def _close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


@contextlib.contextmanager
def _lease(target: Path) -> Iterator[_Lease]:
    lease = _Lease(target, target.with_name(f"{target.name}.lock"))
    try:
        yield lease
    finally:
        lease.release()


def _beat() -> None:
    while True:
        time.sleep(min(BEAT, patience() / 5))
        for lease in list(_leases.values()):
            with contextlib.suppress(OSError):  # tried again
                lease.beat()


def _forget_leases() -> None:
    """Hold nothing in a forked process, so that locks end with the process that took them."""
    for lease in _leases.values():
        lease._close()
    for each in (_leases, _watched, _beating):
        each.clear()


os.register_at_fork(after_in_child=_forget_leases)
