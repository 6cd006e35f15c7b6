"""Getting the archive: from this machine if it is there, else from the hub; verified in both cases."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from pathlib import Path, PurePosixPath

import attrs
import click

from vlrb import DataError
from vlrb_plugins.vlmevalkit.fetch.hub import RemoteArchive, UnreachableError, cached_archive, look_up, place_of
from vlrb_plugins.vlmevalkit.fetch.receive import receive_archive, show_megabytes
from vlrb_plugins.vlmevalkit.fetch.request import Request
from vlrb_plugins.vlmevalkit.fetch.unpack import CHUNK, amount, check_space


@attrs.frozen
class LocalArchive:
    """The archive on this machine; ``received`` if this command downloaded it."""

    path: Path
    sha256: str
    revision: str | None
    received: bool = False


def obtain_archive(request: Request) -> LocalArchive:
    """Return the archive: from the hub's cache or from the target's folder if it is there, else from the hub.

    :raises DataError: when it is unavailable, too large, or would be kept where another file is
    """
    beside = request.to / request.name
    try:
        remote = look_up(request)
    except UnreachableError as error:
        return _without_hub(request, beside, error)
    if remote.size > request.max_bytes:
        raise DataError(
            f"has {amount(remote.size)}, more than the {amount(request.max_bytes)} that may come out of it",
            where=place_of(request),
            fix="raise --max-size",
        )
    for path in (cached_archive(request, remote.commit), beside):
        if path is not None and path.is_file() and path.stat().st_size == remote.size:
            found = sha256_of(path, request.name)
            if remote.is_of(remote.size, found):
                return LocalArchive(path, found, remote.commit)
    if request.keep_archive and os.path.lexists(beside):
        fix = "move it away, name another folder with --to, or leave out --keep-archive"
        raise DataError("exists, and is not the archive that the hub has", where=str(beside), fix=fix)
    return _download(request, remote)


def _without_hub(request: Request, beside: Path, error: DataError) -> LocalArchive:
    """Return the archive that is on this machine, unverified; a damaged one fails to unpack."""
    reason = error.problems[0]
    cached = cached_archive(request, request.revision)
    if cached is not None:
        path, commit = cached, cached.parents[len(PurePosixPath(request.file).parts) - 1].name
    elif beside.is_file() and not request.revision:
        path, commit = beside, None
    else:
        absent = f"{reason.message}, and the archive is neither in the hub's cache nor at {beside}"
        raise DataError(absent, where=reason.where, fix=reason.fix)
    click.echo(f"warning: {reason.message}: {path} is used as it is", err=True)
    return LocalArchive(path, sha256_of(path, request.name), commit)


def sha256_of(path: Path, name: str) -> str:
    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file, show_megabytes(f"checking {name}") as show:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            show(done, total)
    return digest.hexdigest()


def _download(request: Request, remote: RemoteArchive) -> LocalArchive:
    """Receive the archive into a hidden file in the target's folder, which is kept until it is complete.

    :raises DataError: when the disk is too small, no more data arrive, or what arrived is not what the hub announced
    """
    known = re.sub(r"\W", "", remote.etag)[:16]
    part = request.to / f".{request.name}.{known}.download"
    for other in request.to.glob(f".{glob.escape(request.name)}.*.download"):
        if other != part or other.stat().st_size > remote.size:
            other.unlink()  # of another version
    have = part.stat().st_size if part.exists() else 0
    check_space(
        request.to, 2 * remote.size - have, place_of(request)
    )  # the archive, and at least as much that it holds
    receive_archive(request, remote, part)
    found = sha256_of(part, request.name)
    if not remote.is_of(part.stat().st_size, found):
        part.unlink()
        raise DataError(
            f"what arrived has the sha256 {found}, but the hub says {remote.etag}",
            where=place_of(request),
            fix="what arrived was deleted: run the command again, or use another HF_ENDPOINT",
        )
    return LocalArchive(part, found, remote.commit, received=True)
