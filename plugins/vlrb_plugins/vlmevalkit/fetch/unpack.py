"""Unpacking an archive that came from elsewhere: each member is checked before it is written, and a failure leaves nothing behind.

tarfile's ``data`` filter is one line of defence.  It bounds neither number nor size, takes a damaged header for the end
of the archive, and lets links be written through; so names, kinds, sizes and the end are checked here, and links are
made last, when nothing is written any more.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import struct
import tarfile
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import attrs

from vlrb import DataError

Progress = Callable[[int, int], None]
"""Told how many bytes of the archive have been read, and how many there are."""

CHUNK = 1 << 20
LARGEST_READ = 8 * CHUNK
"""Bytes that tarfile may ask for at once: it reads extended headers whole, whatever their size."""

LONGEST_PATH = 1024
LONGEST_NAME = 255
LATEST = 1 << 33
"""A time of change beyond this (the year 2242) is a mistake that file systems may refuse."""

_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, struct.error, ValueError, OverflowError, IndexError)
_UNTRUSTED = "nothing was unpacked: get the archive from its publisher again, and tell them if it stays like this"
_AGAIN = "nothing was unpacked: delete the archive and get it again"


@attrs.frozen
class Unpacked:
    """What came out of an archive: files, their bytes, and how many of macOS's ``._`` files were left out."""

    files: int
    bytes: int
    left_out: int = 0


def unpack(
    archive: Path, target: Path, max_bytes: int, max_files: int, progress: Progress = lambda _done, _total: None
) -> Unpacked:
    """Unpack a tar archive, plain or compressed with gzip, into the folder ``target``, which must be absent or empty.

    If all of the archive lies in one folder, that folder's content becomes the target's; if there is more at its top,
    everything is unpacked as it is.  Owners and permissions are not kept, modification times are.

    :param max_bytes: of what comes out, headers included
    :param max_files: of files and folders
    :raises DataError: naming archive, member and fix; the target is then as it was before
    """
    there = target.exists()
    if there and (not target.is_dir() or any(target.iterdir())):
        raise DataError(
            f"{target} exists and is not an empty folder", where=str(archive), fix="unpack into a new folder"
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        return _Unpacking(archive, target, max_bytes, max_files).run(progress)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if there:
            target.mkdir(exist_ok=True)
        if isinstance(error, OSError):
            raise _unwritten(archive, error) from None
        raise


def check_space(folder: Path, needed: int, where: str) -> None:
    """Check that the disk of ``folder`` has room.

    :raises DataError: saying how much is needed and how much there is
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{amount(needed)} are needed in {folder}, where {amount(free)} are free",
            where=where,
            fix="make room on the disk, or use a folder on another one",
        )


def amount(size: int) -> str:
    """Return a number of bytes in readable form."""
    if size < 1000:
        return f"{size} bytes"
    power = min(int(math.log10(size)) // 3, 5)
    return f"{size / 1000**power:.3g} {' kMGTP'[power]}B"


def _unwritten(archive: Path, error: OSError) -> DataError:
    file = f" {error.filename}" if error.filename else ""
    fix = "check the folder's permissions and the disk's space"
    return DataError(f"cannot be unpacked{file}: {error.strerror or error}", where=str(archive), fix=fix)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else name[:120] + "...")


class _Stream:
    """What tarfile reads from: forwards only, never more than was allowed, with an error that names the archive."""

    def __init__(self, archive: Path, content: BinaryIO, limit: int, read: Callable[[], None]) -> None:
        self.last = b""
        self._archive, self._content, self._limit, self._read = archive, content, limit, read
        self._position = self._due = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end."""
        if not 0 <= size <= LARGEST_READ:
            raise DataError("holds a header of impossible size", where=str(self._archive), fix=_UNTRUSTED)
        try:
            self.last = self._content.read(size)
        except _DAMAGED as error:
            raise _damaged(self._archive, str(error)) from None
        self._position += len(self.last)
        if self._position > self._limit:
            raise _too_large(self._archive, self._limit)
        if self._position >= self._due:
            self._due = self._position + CHUNK
            self._read()
        return self.last

    def seek(self, position: int) -> None:
        """Go forwards."""
        if position < self._position:
            raise DataError("leads backwards", where=str(self._archive), fix=_UNTRUSTED)
        while position > self._position and self.read(min(position - self._position, CHUNK)):
            pass

    def tell(self) -> int:
        """Return how much has been read."""
        return self._position


def _damaged(archive: Path, reason: str) -> DataError:
    return DataError(f"is damaged or was cut off: {reason}", where=str(archive), fix=_AGAIN)


def _too_large(archive: Path, limit: int, member: str = "") -> DataError:
    what = f"{_shown(member)} makes it more" if member else "holds more"
    return DataError(
        f"{what} than the {amount(limit)} that may come out of it",
        where=str(archive),
        fix="nothing was unpacked: raise --max-size if you trust the archive",
    )


@attrs.define
class _Unpacking:
    archive: Path
    target: Path
    max_bytes: int
    max_files: int
    kinds: dict[str, str] = attrs.Factory(dict)
    links: dict[str, str] = attrs.Factory(dict)
    seen: int = 0
    files: int = 0
    bytes: int = 0
    left_out: int = 0

    def run(self, progress: Progress) -> Unpacked:
        try:
            raw = self.archive.open("rb")
        except OSError as error:
            fix = "check that the archive exists, and its permissions"
            raise DataError(f"cannot be read: {error.strerror}", where=str(self.archive), fix=fix) from None
        with raw:
            total = self.archive.stat().st_size
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if packed else raw as content:
                read = cast(BinaryIO, content)
                stream = _Stream(self.archive, read, self.max_bytes, lambda: progress(raw.tell(), total))
                self._members(stream)
                self._end(stream)
            progress(total, total)
        self._hoist()
        self._make_links()
        return Unpacked(self.files, self.bytes, self.left_out)

    def _members(self, stream: _Stream) -> None:
        """Write all files and folders."""
        tar, member = self._open(stream)
        while member is not None:
            self._take(tar, member)
            cast(Any, tar).members.clear()  # it keeps them all otherwise
            member = self._next(tar)
        if not self.files:
            raise DataError("holds no files", where=str(self.archive), fix=_UNTRUSTED)

    def _open(self, stream: _Stream) -> tuple[tarfile.TarFile, tarfile.TarInfo | None]:
        try:
            tar = tarfile.TarFile(fileobj=cast(BinaryIO, stream), errorlevel=1, copybufsize=CHUNK)
            return tar, tar.next()
        except (*_DAMAGED, RecursionError):
            fix = "it must be one, plain or compressed with gzip: check --file, or delete it and get it again"
            raise DataError("is not a tar archive", where=str(self.archive), fix=fix) from None

    def _next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        try:
            return tar.next()
        except (*_DAMAGED, RecursionError) as error:
            raise _damaged(self.archive, f"{error} after {self._latest()}") from None

    def _latest(self) -> str:
        return _shown(next(reversed(self.kinds), ""))

    def _end(self, stream: _Stream) -> None:
        """Check that the archive ended where it says so: tarfile takes a damaged header for the end."""
        if stream.last.count(0) != tarfile.BLOCKSIZE:
            raise _damaged(self.archive, f"there is neither a member nor the end mark after {self._latest()}")
        while chunk := stream.read(CHUNK):
            if chunk.count(0) != len(chunk):
                raise DataError("goes on after its end mark", where=str(self.archive), fix=_UNTRUSTED)

    def _refuse(self, member: tarfile.TarInfo, why: str, fix: str = _UNTRUSTED) -> DataError:
        return DataError(f"member {_shown(member.name)} {why}", where=str(self.archive), fix=fix)

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Check a member, then write it; a link is made later."""
        self._count(member)
        path = self._path(member)
        if path == ".":
            return
        if PurePosixPath(path).name.startswith("._"):
            self.left_out += 1
            return
        kind = self._kind(member)
        self._place(member, path, kind)
        if kind == "link":
            self.links[path] = member.linkname
        elif member.islnk():
            self._hard_link(member, path)
        else:
            self._write(tar, member, path)
        self.files += kind == "file"

    def _count(self, member: tarfile.TarInfo) -> None:
        self.seen += 1
        if max(self.seen, len(self.kinds)) > self.max_files:
            fix = "nothing was unpacked: raise --max-files if you trust the archive"
            raise self._refuse(
                member, f"is one more than the {self.max_files:,} files and folders that an archive may hold", fix
            )
        if member.size < 0:
            raise self._refuse(member, f"has the impossible size {member.size}")
        self.bytes += member.size if member.isreg() else 0
        if self.bytes > self.max_bytes:
            raise _too_large(self.archive, self.max_bytes, member.name)

    def _path(self, member: tarfile.TarInfo) -> str:
        """Return the member's path, normalised."""
        name = member.name
        path = PurePosixPath(name)
        if not name.strip("/") or "\0" in name:
            raise self._refuse(member, "has no usable name")
        if name.startswith("/") or "\\" in name or name[1:2] == ":":
            raise self._refuse(member, "has an absolute path or one of another system")
        if ".." in path.parts:
            raise self._refuse(member, "leads out of the archive")
        if len(os.fsencode(str(path))) > LONGEST_PATH or any(len(os.fsencode(p)) > LONGEST_NAME for p in path.parts):
            raise self._refuse(member, "has too long a path")
        return str(path)

    def _kind(self, member: tarfile.TarInfo) -> str:
        if member.isdir():
            return "folder"
        if member.issym():
            return "link"
        if member.islnk() or (member.isreg() and not member.issparse()):
            return "file"
        if member.issparse():
            raise self._refuse(member, "is a sparse file, which are not unpacked")
        raise self._refuse(member, "is neither file, folder nor link but a device, a pipe or something unknown")

    def _place(self, member: tarfile.TarInfo, path: str, kind: str) -> None:
        """Check that nothing is in the way: not the same path, nor a file or link where a folder is needed."""
        for parent in PurePosixPath(path).parents[:-1]:  # the last is the archive itself
            if self.kinds.setdefault(str(parent), "folder") != "folder":
                raise self._refuse(member, f"lies inside {_shown(str(parent))}, which is not a folder")
        if path in self.kinds and (kind, self.kinds[path]) != ("folder", "folder"):
            raise self._refuse(member, "appears twice")
        self.kinds[path] = kind

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        if member.isreg():
            check_space(self.target, member.size, str(self.archive))
        when = int(member.mtime) if math.isfinite(member.mtime) else 0
        plain = member.replace(name=path, mtime=min(max(when, 0), LATEST), mode=cast(int, None))
        try:
            tar.extract(plain, self.target, filter="data")
        except tarfile.FilterError as error:
            raise self._refuse(member, f"is refused: {error}") from None
        except tarfile.TarError as error:
            raise _damaged(self.archive, f"{error} in {_shown(path)}") from None

    def _hard_link(self, member: tarfile.TarInfo, path: str) -> None:
        to = str(PurePosixPath(member.linkname))
        if self.kinds.get(to) != "file" or to == path:
            raise self._refuse(member, f"is a link to {_shown(to)}, which is not a file before it in the archive")
        file = self.target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.target / to, file)

    def _hoist(self) -> None:
        """Put what lies in the archive's only folder in that folder's place."""
        tops = {PurePosixPath(p).parts[0] for p in self.kinds}
        top = tops.pop()
        if tops or self.kinds[top] != "folder":
            return
        aside = self.target / uuid.uuid4().hex
        (self.target / top).rename(aside)
        for each in list(aside.iterdir()):
            each.rename(self.target / each.name)
        aside.rmdir()
        self.links = {p.removeprefix(f"{top}/"): to for p, to in self.links.items()}

    def _make_links(self) -> None:
        """Make the symbolic links, and check where they really lead when all are there."""
        for path, to in self.links.items():
            if to.startswith("/") or not to or "\0" in to:
                raise self._misled(path, to)
            (self.target / path).parent.mkdir(parents=True, exist_ok=True)
            (self.target / path).symlink_to(to)
        root = self.target.resolve()
        for path, to in self.links.items():
            ends = None
            with suppress(OSError, RuntimeError):  # a loop, or nothing there
                ends = (self.target / path).resolve(strict=True)
            if ends is None or not ends.is_relative_to(root):
                raise self._misled(path, to)

    def _misled(self, path: str, to: str) -> DataError:
        why = f"member {_shown(path)} is a link to {_shown(to)}, out of the archive or to nothing in it"
        return DataError(why, where=str(self.archive), fix=_UNTRUSTED)
