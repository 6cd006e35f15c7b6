"""``vlrb fetch``: the published VL-RouterBench archive, downloaded, verified and unpacked.

Where the archive is and who may have it is asked through huggingface_hub.  Its bytes are received here, into a file
beside the target: the hub's own download starts from nothing again when the process ends, which is hours with an
archive of this size.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import click

from vlrb import ConfigError, DataError
from vlrb_plugins.vlmevalkit.unpack import CHUNK, amount, check_space, unpack

REPO = "KinghtH/VL-RouterBench"
FILE = "vlm_router_data.tar.gz"
RECORD = "vlrb-fetch.json"
"""The file in the unpacked folder that says what it is."""

SUFFIXES = (".tar.gz", ".tgz", ".tar")
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt that follows one which brought nothing."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{7,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@click.command()
@click.option(
    "--to", metavar="DIR", default=".", type=click.Path(path_type=Path, file_okay=False),
    help="Folder in which the archive's folder is made (default: the working directory).",
)  # fmt: skip
@click.option("--repo", default=REPO, show_default=True, help="Data set on the Hugging Face Hub.")
@click.option("--file", default=FILE, show_default=True, help="The archive in it: .tar.gz, .tgz or .tar.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit (default: main).")
@click.option("--keep-archive/--no-keep-archive", default=False, help="Keep the archive beside what it holds.")
@click.option("--force", is_flag=True, help="Fetch again what an earlier fetch has made.")
@click.option(
    "--max-size", metavar="GiB", default=200.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
    help="The most that may come out of the archive.",
)  # fmt: skip
@click.option(
    "--max-files", metavar="N", default=100_000, show_default=True, type=click.IntRange(min=1),
    help="The most files and folders that may come out of it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def fetch(to: Path, as_json: bool, **options: Any) -> None:
    """Download the published VL-RouterBench logs and unpack them.

    A download that was stopped goes on where it stopped.  What is there already is left alone, and an archive that this
    command did not download is used and never deleted: in the hub's cache, where `hf download` puts it, or in DIR.
    HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and the other variables of the Hugging Face Hub are heeded.
    """
    from vlrb import locked

    wanted = _Wanted(to=to, **options)
    outcome = _finished(wanted)
    if outcome is None:
        with locked(wanted.target):
            outcome = _finished(wanted) or _fetch(wanted)
    if as_json:
        click.echo(json.dumps(outcome, indent=1, allow_nan=False, ensure_ascii=False))
    else:
        _tell(wanted, outcome)


def _is_repo(_wanted: _Wanted, _field: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", value):
        raise ConfigError(
            f"{value!r} is not the name of a data set", where="--repo", fix=f"write OWNER/NAME, like {REPO}"
        )


def _is_archive(_wanted: _Wanted, _field: attrs.Attribute[str], value: str) -> None:
    path = PurePosixPath(value)
    folder = re.match(r"\w", path.name) and path.name.endswith(SUFFIXES)  # else it would become DIR itself, or DIR/..
    if path.is_absolute() or ".." in path.parts or "\\" in value or not folder:
        fix = f"name a file {' or '.join(SUFFIXES)} as it is listed in the data set"
        raise ConfigError(f"{value!r} is not the path of an archive in a data set", where="--file", fix=fix)


@attrs.frozen
class _Wanted:
    """What the command line asks for."""

    to: Path
    repo: str = attrs.field(validator=_is_repo)
    file: str = attrs.field(validator=_is_archive)
    revision: str | None
    keep_archive: bool
    force: bool
    max_size: float
    max_files: int

    @property
    def name(self) -> str:
        """The archive's file name."""
        return PurePosixPath(self.file).name

    @property
    def target(self) -> Path:
        """The folder that the archive becomes."""
        return self.to / next(self.name.removesuffix(s) for s in SUFFIXES if self.name.endswith(s))

    @property
    def max_bytes(self) -> int:
        """The most that may come out of the archive."""
        return int(self.max_size * 2**30)

    @property
    def where(self) -> str:
        """The place that errors name: endpoint, data set and file."""
        return f"{_endpoint()}/datasets/{self.repo}, file {self.file}"


@attrs.frozen
class _Remote:
    """What the hub says of the archive."""

    commit: str
    etag: str
    size: int

    def is_of(self, size: int, sha256: str) -> bool:
        """Return whether a file is the archive; the hub knows the sha256 of all large files."""
        return size == self.size and (not _SHA256.fullmatch(self.etag) or sha256 == self.etag)


@attrs.frozen
class _Archive:
    """The archive on this machine; ``received`` tells that this command has downloaded it."""

    path: Path
    sha256: str
    revision: str | None
    received: bool = False


class _UnreachableError(DataError):
    """The hub cannot be asked now: what is on this machine will do, and another attempt may help."""


def _finished(wanted: _Wanted) -> dict[str, Any] | None:
    """Return what an earlier fetch has made and recorded, or nothing if there is work to do.

    :raises DataError: when the folder holds something else
    """
    from vlrb import read_json

    target, where = wanted.target, str(wanted.target)
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return None
    record = read_json(target / RECORD) if (target / RECORD).is_file() else None
    if not isinstance(record, dict):
        fix = "use it as it is ([logs] path), name another folder with --to, or move it away"
        raise DataError("exists, and was not made by `vlrb fetch`", where=where, fix=fix)
    if wanted.force:
        return None
    revision = wanted.revision
    known = revision in (None, record.get("requested_revision")) or _is_commit(revision, record.get("revision"))
    if (record.get("repo"), record.get("file")) != (wanted.repo, wanted.file) or not known:
        held = f"{record.get('repo')} {record.get('file')} at {record.get('revision')}"
        asked = f"{wanted.repo} {wanted.file} at {revision or 'any revision'}"
        fix = "name another folder with --to, or replace it with --force"
        raise DataError(f"holds {held}, not {asked}", where=where, fix=fix)
    return {**record, "folder": str(target.absolute()), "archive": None, "already_there": True}


def _is_commit(revision: str, commit: object) -> bool:
    """Tell whether a revision is a commit, or the beginning of its hash."""
    return isinstance(commit, str) and bool(_SHORT.fullmatch(revision)) and commit.startswith(revision)


def _tell(wanted: _Wanted, outcome: Mapping[str, Any]) -> None:
    done = "is there already" if outcome["already_there"] else "fetched"
    click.echo(f"{outcome['repo']} {outcome['file']} at {outcome['revision'] or 'an unknown revision'}: {done}")
    files = f"{outcome['files']:,} file{'' if outcome['files'] == 1 else 's'}"
    click.echo(f"  folder: {wanted.target} ({files}, {amount(outcome['bytes'])})")
    kept = f", kept as {outcome['archive']}" if outcome["archive"] else ""
    click.echo(f"  archive: {amount(outcome['archive_bytes'])}, sha256 {outcome['sha256']}{kept}")
    if outcome["left_out"]:
        click.echo(f"  left out: {outcome['left_out']} files of macOS (._*)")
    if outcome["already_there"]:
        click.echo("  --force fetches it again")
    click.echo("\nnext, in an experiment file:\n\n[logs]")
    click.echo(f'use = "vlmevalkit"\npath = {json.dumps(str(wanted.target), ensure_ascii=False)}')


def _fetch(wanted: _Wanted) -> dict[str, Any]:
    """Get the archive and unpack it aside; the target appears when all is there."""
    from vlrb import __version__, new_directory, write_json

    archive = _obtain(wanted)
    size = archive.path.stat().st_size
    check_space(wanted.to, size, str(archive.path))
    with new_directory(wanted.target) as aside, _megabytes(f"unpacking {wanted.name}") as show:
        made = unpack(archive.path, aside, wanted.max_bytes, wanted.max_files, show)
        record = {
            "schema": 1,
            "repo": wanted.repo,
            "file": wanted.file,
            "requested_revision": wanted.revision,
            "revision": archive.revision,
            "endpoint": _endpoint(),
            "archive_bytes": size,
            "sha256": archive.sha256,
            **attrs.asdict(made),
            "vlrb": __version__,
        }
        write_json(aside / RECORD, record)
    kept: Path | None = archive.path
    if archive.received and wanted.keep_archive:
        kept = archive.path.replace(wanted.to / wanted.name)
    elif archive.received:
        archive.path.unlink()
        kept = None
    about = {"folder": str(wanted.target.absolute()), "archive": kept and str(kept.absolute())}
    return {**record, **about, "already_there": False}


@contextlib.contextmanager
def _megabytes(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many bytes are done, and of how many."""
    from vlrb import progress_bars

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


def _hub() -> Any:
    """Return huggingface_hub, which sends no telemetry."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    for library in ("httpx", "httpx2"):  # they log whole addresses, with what is secret in them
        logging.getLogger(library).setLevel(logging.WARNING)
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    return huggingface_hub


def _endpoint() -> str:
    from vlrb import without_credentials

    return without_credentials(_hub().constants.ENDPOINT)


def _obtain(wanted: _Wanted) -> _Archive:
    """Return the archive: from the hub's cache or from beside the target if it is there, else from the hub.

    :raises DataError: when it can be had nowhere, is too large, or would be kept where another file is
    """
    beside = wanted.to / wanted.name
    try:
        remote = _look(wanted)
    except _UnreachableError as error:
        return _without_hub(wanted, beside, error)
    if remote.size > wanted.max_bytes:
        raise DataError(
            f"has {amount(remote.size)}, more than the {amount(wanted.max_bytes)} that may come out of it",
            where=wanted.where,
            fix="raise --max-size",
        )
    for path in (_cached(wanted, remote.commit), beside):
        if path is not None and path.is_file() and path.stat().st_size == remote.size:
            found = _sha256(path, wanted.name)
            if remote.is_of(remote.size, found):
                return _Archive(path, found, remote.commit)
    if wanted.keep_archive and os.path.lexists(beside):
        fix = "move it away, name another folder with --to, or leave out --keep-archive"
        raise DataError("exists, and is not the archive that the hub has", where=str(beside), fix=fix)
    return _download(wanted, remote)


def _look(wanted: _Wanted) -> _Remote:
    """Ask the hub what the archive is.

    :raises _UnreachableError: when it cannot be asked, which what is on this machine may make up for
    """
    hub = _hub()
    with _explained(wanted):
        found = hub.get_hf_file_metadata(_url(wanted, wanted.revision), timeout=hub.constants.HF_HUB_ETAG_TIMEOUT)
    if not (found.etag and found.size and _COMMIT.fullmatch(found.commit_hash or "")):
        fix = "check HF_ENDPOINT, and whether a proxy or a login page answers in the hub's place"
        raise DataError("does not answer as a hub does: no commit, ETag or size", where=wanted.where, fix=fix)
    return _Remote(found.commit_hash, found.etag, found.size)


def _url(wanted: _Wanted, revision: str | None) -> str:
    url: str = _hub().hf_hub_url(wanted.repo, wanted.file, repo_type="dataset", revision=revision)
    return url


def _cached(wanted: _Wanted, revision: str | None) -> Path | None:
    """Return the archive in the hub's cache, where `hf download` puts it."""
    found = _hub().try_to_load_from_cache(wanted.repo, wanted.file, revision=revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _without_hub(wanted: _Wanted, beside: Path, error: DataError) -> _Archive:
    """Return the archive that is on this machine, unverified; what is damaged does not unpack."""
    reason = error.problems[0]
    cached = _cached(wanted, wanted.revision)
    if cached is not None:
        path, commit = cached, cached.parents[len(PurePosixPath(wanted.file).parts) - 1].name
    elif beside.is_file() and not wanted.revision:
        path, commit = beside, None
    else:
        absent = f"{reason.message}, and the archive is neither in the hub's cache nor at {beside}"
        raise DataError(absent, where=reason.where, fix=reason.fix)
    click.echo(f"warning: {reason.message}: {path} is used as it is", err=True)
    return _Archive(path, _sha256(path, wanted.name), commit)


def _sha256(path: Path, name: str) -> str:
    digest, total, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file, _megabytes(f"checking {name}") as show:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            show(done, total)
    return digest.hexdigest()


def _download(wanted: _Wanted, remote: _Remote) -> _Archive:
    """Receive the archive into a hidden file beside the target, which is kept until it is whole.

    :raises DataError: when the disk is too small, nothing arrives any more, or what arrived is not what the hub announced
    """
    known = re.sub(r"\W", "", remote.etag)[:16]
    part = wanted.to / f".{wanted.name}.{known}.download"
    for other in wanted.to.glob(f".{glob.escape(wanted.name)}.*.download"):
        if other != part or other.stat().st_size > remote.size:
            other.unlink()  # of another version
    have = part.stat().st_size if part.exists() else 0
    check_space(wanted.to, 2 * remote.size - have, wanted.where)  # the archive, and at least as much that it holds
    _receive_all(wanted, remote, part)
    found = _sha256(part, wanted.name)
    if not remote.is_of(part.stat().st_size, found):
        part.unlink()
        raise DataError(
            f"what arrived has the sha256 {found}, but the hub says {remote.etag}",
            where=wanted.where,
            fix="what arrived was deleted: run the command again, or use another HF_ENDPOINT",
        )
    return _Archive(part, found, remote.commit, received=True)


def _receive_all(wanted: _Wanted, remote: _Remote, part: Path) -> None:
    """Receive what is missing, in as many attempts as it takes while each brings something.

    :raises DataError: when several attempts have brought nothing, or the disk takes no more; what has arrived is kept
    """
    part.touch()
    vain = 0
    with _arriving(wanted.name, part.stat().st_size, remote.size) as show:
        while (have := part.stat().st_size) < remote.size:
            reason = "the connection ended early"
            try:
                with _explained(wanted):
                    _receive(wanted, remote, part, show)
            except _UnreachableError as error:
                reason = error.problems[0].message
            except OSError as error:
                fix = "make room on the disk and check the folder's permissions; what has arrived is kept: run the command again"
                raise DataError(f"cannot be written: {error.strerror}", where=str(part), fix=fix) from None
            now = part.stat().st_size
            vain = 0 if now > have else vain + 1
            if vain >= len(PAUSES):
                kept = f"{amount(now)} of {amount(remote.size)} have arrived and are kept"
                fix = f"{kept}: run the command again to go on"
                raise DataError(reason, where=wanted.where, fix=fix)
            if now < remote.size:
                told = f"after {amount(now)} of {amount(remote.size)}: {reason}; going on"
                _hub().utils.tqdm.write(told, file=sys.stderr)  # on a line of its own, beside a bar
                time.sleep(PAUSES[vain])


def _receive(wanted: _Wanted, remote: _Remote, part: Path, show: Callable[[int], None]) -> None:
    """Receive the rest of a file, or all of it where the server cannot go on in the middle."""
    hub, size, have = _hub(), remote.size, part.stat().st_size
    headers = {**hub.utils.build_hf_headers(), "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    url, timeout = _url(wanted, remote.commit), hub.constants.HF_HUB_DOWNLOAD_TIMEOUT
    with hub.utils.get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
        if response.status_code == 416:
            part.unlink()
            raise _of_another_size("less", wanted, size)
        hub.utils.hf_raise_for_status(response)
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_bytes():
                have += len(chunk)
                if have > size:
                    file.truncate(0)
                    raise _of_another_size("more", wanted, size)
                file.write(chunk)
                show(have)


def _of_another_size(much: str, wanted: _Wanted, size: int) -> DataError:
    return DataError(
        f"{much} arrives than the {amount(size)} that the hub announced",
        where=wanted.where,
        fix="what arrived was deleted: run the command again, or use another HF_ENDPOINT",
    )


@contextlib.contextmanager
def _arriving(name: str, have: int, size: int) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how much has arrived: the hub's bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        with _megabytes(f"downloading {name}") as show:
            yield lambda done: show(done, size)
        return
    with _hub().utils.tqdm(desc=name, initial=have, total=size, unit="B", unit_scale=True) as bar:
        yield lambda done: bar.update(done - bar.n)


@contextlib.contextmanager
def _explained(wanted: _Wanted) -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP library raise into errors that say what to do."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        explained = _explanation(error, wanted)
        if explained is None:
            raise
        raise explained from None


def _explanation(error: Exception, wanted: _Wanted) -> DataError | None:
    errors = _hub().errors
    where, revision = wanted.where, wanted.revision or "main"
    if isinstance(error, errors.OfflineModeIsEnabled):
        fix = f"unset HF_HUB_OFFLINE, or get {wanted.name} elsewhere and put it into {wanted.to}"
        return _UnreachableError("HF_HUB_OFFLINE is set", where=where, fix=fix)
    if isinstance(error, errors.RevisionNotFoundError):
        return DataError(f"there is no revision {revision!r}", where=where, fix="check --revision")
    if isinstance(error, errors.EntryNotFoundError):
        return DataError(f"there is no such file at {revision!r}", where=where, fix="check --file and --revision")
    if isinstance(error, errors.HfHubHTTPError):
        return _answered(error, wanted)
    if isinstance(error, errors.HFValidationError):
        return DataError("is not the name of a data set", where=where, fix=f"write --repo OWNER/NAME, like {REPO}")
    if isinstance(error, UnicodeEncodeError):
        fix = "set HF_TOKEN again, or run `hf auth login` again"
        return DataError("HF_TOKEN or the stored token has characters that no token has", where=where, fix=fix)
    if isinstance(error, _network_errors()):
        return _UnreachableError(
            f"the hub cannot be reached: {_reason(error)}",
            where=where,
            fix="check the network, the proxy and HF_ENDPOINT, and run the command again",
        )
    return None


def _answered(error: Any, wanted: _Wanted) -> DataError:
    """Return what a status that is no success means."""
    errors = _hub().errors
    status = error.response.status_code
    login = "set HF_TOKEN or run `hf auth login`"
    if status in _BUSY:
        return _UnreachableError(f"the hub answers with status {status}", where=wanted.where, fix="try again later")
    if isinstance(error, errors.GatedRepoError):
        fix = f"accept its conditions on its page, then {login}"
        return DataError("the data set is gated", where=wanted.where, fix=fix)
    if isinstance(error, errors.RepositoryNotFoundError):
        fix = f"check --repo; if it is private, {login}"
        return DataError("there is no such data set, or it is not public", where=wanted.where, fix=fix)
    if status in (401, 403):
        fix = f"{login} with a token that may read it"
        return DataError(f"the hub asks for another token (status {status})", where=wanted.where, fix=fix)
    return DataError(
        f"the hub answers with status {status}", where=wanted.where, fix="check --repo, --file, HF_ENDPOINT"
    )


def _network_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP library that huggingface_hub is built on: httpx or httpx2."""
    library = importlib.import_module(type(_hub().utils.get_session()).__module__.partition(".")[0])
    return library.RequestError, library.InvalidURL


def _reason(error: Exception) -> str:
    from vlrb import without_credentials

    return without_credentials(str(error)) or type(error).__name__
