"""Receiving the archive into a partial file, resumed where an earlier attempt stopped.

The hub's own download starts over when the process ends, which costs hours with an archive of this size.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vlrb import DataError
from vlrb_plugins.vlmevalkit.fetch.hub import (
    RemoteArchive,
    UnreachableError,
    archive_url,
    explain_errors,
    hub_library,
    place_of,
)
from vlrb_plugins.vlmevalkit.fetch.request import Request
from vlrb_plugins.vlmevalkit.fetch.unpack import amount

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt that follows one that brought nothing."""


def receive_archive(request: Request, remote: RemoteArchive, part: Path) -> None:
    """Receive the rest, in as many attempts as it takes while each brings data.

    :raises DataError: when several attempts brought nothing, or the disk is full; what has arrived is kept
    """
    part.touch()
    vain = 0
    with _show_arriving(request.name, part.stat().st_size, remote.size) as show:
        while (have := part.stat().st_size) < remote.size:
            reason = "the connection ended early"
            try:
                with explain_errors(request):
                    _receive(request, remote, part, show)
            except UnreachableError as error:
                reason = error.problems[0].message
            except OSError as error:
                fix = "make room on the disk and check the folder's permissions; what has arrived is kept: run the command again"
                raise DataError(f"cannot be written: {error.strerror}", where=str(part), fix=fix) from None
            now = part.stat().st_size
            vain = 0 if now > have else vain + 1
            if vain >= len(PAUSES):
                kept = f"{amount(now)} of {amount(remote.size)} have arrived and are kept"
                fix = f"{kept}: run the command again to go on"
                raise DataError(reason, where=place_of(request), fix=fix)
            if now < remote.size:
                told = f"after {amount(now)} of {amount(remote.size)}: {reason}; going on"
                hub_library().utils.tqdm.write(told, file=sys.stderr)  # on a line of its own, next to a bar
                time.sleep(PAUSES[vain])


def _receive(request: Request, remote: RemoteArchive, part: Path, show: Callable[[int], None]) -> None:
    """Receive the rest of a file, or all of it from a server without ranges."""
    hub, size, have = hub_library(), remote.size, part.stat().st_size
    headers = {**hub.utils.build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    url, timeout = archive_url(request, remote.commit), hub.constants.HF_HUB_DOWNLOAD_TIMEOUT
    with hub.utils.get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
        if response.status_code == 416:
            part.unlink()
            raise _wrong_size("less", request, size)
        hub.utils.hf_raise_for_status(response)
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_bytes():
                have += len(chunk)
                if have > size:
                    file.truncate(0)
                    raise _wrong_size("more", request, size)
                file.write(chunk)
                show(have)


def _wrong_size(much: str, request: Request, size: int) -> DataError:
    return DataError(
        f"{much} arrives than the {amount(size)} that the hub announced",
        where=place_of(request),
        fix="what arrived was deleted: run the command again, or use another HF_ENDPOINT",
    )


@contextlib.contextmanager
def _show_arriving(name: str, have: int, size: int) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how much has arrived: the hub's bar on a terminal, else occasional lines."""
    if not sys.stderr.isatty():
        with show_megabytes(f"downloading {name}") as show:
            yield lambda done: show(done, size)
        return
    with hub_library().utils.tqdm(desc=name, initial=have, total=size, unit="B", unit_scale=True) as bar:
        yield lambda done: bar.update(done - bar.n)


@contextlib.contextmanager
def show_megabytes(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many bytes are done, and of how many."""
    from vlrb import progress_bars  # imports rich, which `vlrb --help` does without

    latest = -1
    with progress_bars() as progress:

        def show(done: int, total: int) -> None:
            nonlocal latest
            whole = -(-total // 10**6)
            now = whole if done >= total else min(done // 10**6, whole - 1)
            if now != latest:
                latest = now
                progress(f"{what} (MB)", now, whole)

        yield show
