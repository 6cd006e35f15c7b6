"""What the Hugging Face Hub says of the archive, asked through huggingface_hub, and its errors explained."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from vlrb import DataError, without_credentials
from vlrb_plugins.vlmevalkit.fetch.request import REPO, Request

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@attrs.frozen
class RemoteArchive:
    """What the hub says of the archive."""

    commit: str
    etag: str
    size: int

    def is_of(self, size: int, sha256: str) -> bool:
        """Return whether a file is the archive; the hub knows the sha256 of all large files."""
        return size == self.size and (not _SHA256.fullmatch(self.etag) or sha256 == self.etag)


class UnreachableError(DataError):
    """The hub is unreachable: a local archive is used instead, and another attempt may help."""


def hub_library() -> Any:
    """Return huggingface_hub, which sends no telemetry."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when it is imported
    for library in ("httpx", "httpx2"):  # they log whole addresses, with what is secret in them
        logging.getLogger(library).setLevel(logging.WARNING)
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    return huggingface_hub


def hub_endpoint() -> str:
    return without_credentials(hub_library().constants.ENDPOINT)


def place_of(request: Request) -> str:
    """Return the place that errors name: endpoint, data set and file."""
    return f"{hub_endpoint()}/datasets/{request.repo}, file {request.file}"


def look_up(request: Request) -> RemoteArchive:
    """Ask the hub what the archive is.

    :raises UnreachableError: when it is unreachable
    """
    hub = hub_library()
    with explain_errors(request):
        found = hub.get_hf_file_metadata(
            archive_url(request, request.revision), timeout=hub.constants.HF_HUB_ETAG_TIMEOUT
        )
    if not (found.etag and found.size and _COMMIT.fullmatch(found.commit_hash or "")):
        fix = "check HF_ENDPOINT, and whether a proxy or a login page answers in the hub's place"
        raise DataError("does not answer as a hub does: no commit, ETag or size", where=place_of(request), fix=fix)
    return RemoteArchive(found.commit_hash, found.etag, found.size)


def archive_url(request: Request, revision: str | None) -> str:
    url: str = hub_library().hf_hub_url(request.repo, request.file, repo_type="dataset", revision=revision)
    return url


def cached_archive(request: Request, revision: str | None) -> Path | None:
    """Return the archive in the hub's cache, where `hf download` puts it."""
    found = hub_library().try_to_load_from_cache(request.repo, request.file, revision=revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


@contextlib.contextmanager
def explain_errors(request: Request) -> Iterator[None]:
    """Turn errors of huggingface_hub and its HTTP library into errors with a fix."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        explained = _explain(error, request)
        if explained is None:
            raise
        raise explained from None


def _explain(error: Exception, request: Request) -> DataError | None:
    errors = hub_library().errors
    where, revision = place_of(request), request.revision or "main"
    if isinstance(error, errors.OfflineModeIsEnabled):
        fix = f"unset HF_HUB_OFFLINE, or get {request.name} elsewhere and put it into {request.to}"
        return UnreachableError("HF_HUB_OFFLINE is set", where=where, fix=fix)
    if isinstance(error, errors.RevisionNotFoundError):
        return DataError(f"there is no revision {revision!r}", where=where, fix="check --revision")
    if isinstance(error, errors.EntryNotFoundError):
        return DataError(f"there is no such file at {revision!r}", where=where, fix="check --file and --revision")
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_status(error, request)
    if isinstance(error, errors.HFValidationError):
        return DataError("is not the name of a data set", where=where, fix=f"write --repo OWNER/NAME, like {REPO}")
    if isinstance(error, UnicodeEncodeError):
        fix = "set HF_TOKEN again, or run `hf auth login` again"
        return DataError("HF_TOKEN or the stored token has characters that no token has", where=where, fix=fix)
    if isinstance(error, _network_errors()):
        return UnreachableError(
            f"the hub cannot be reached: {error_text(error)}",
            where=where,
            fix="check the network, the proxy and HF_ENDPOINT, and run the command again",
        )
    return None


def _explain_status(error: Any, request: Request) -> DataError:
    """Return the error for an HTTP status."""
    errors = hub_library().errors
    status = error.response.status_code
    login = "set HF_TOKEN or run `hf auth login`"
    if status in _BUSY:
        return UnreachableError(f"the hub answers with status {status}", where=place_of(request), fix="try again later")
    if isinstance(error, errors.GatedRepoError):
        fix = f"accept its conditions on its page, then {login}"
        return DataError("the data set is gated", where=place_of(request), fix=fix)
    if isinstance(error, errors.RepositoryNotFoundError):
        fix = f"check --repo; if it is private, {login}"
        return DataError("there is no such data set, or it is not public", where=place_of(request), fix=fix)
    if status in (401, 403):
        fix = f"{login} with a token that may read it"
        return DataError(f"the hub asks for another token (status {status})", where=place_of(request), fix=fix)
    return DataError(
        f"the hub answers with status {status}", where=place_of(request), fix="check --repo, --file, HF_ENDPOINT"
    )


def _network_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP library that huggingface_hub is built on: httpx or httpx2."""
    library = importlib.import_module(type(hub_library().utils.get_session()).__module__.partition(".")[0])
    return library.RequestError, library.InvalidURL


def error_text(error: Exception) -> str:
    return without_credentials(str(error)) or type(error).__name__
