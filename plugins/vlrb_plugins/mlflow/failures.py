"""What is wrong with a store, told by kind: of another version, broken, held, a file store, busy, or down."""

from __future__ import annotations

import re

from vlrb import TrackingError, without_credentials
from vlrb_plugins.mlflow.addresses import Address

_REFUSES = ("the server refuses the user", "look at user name, password and token")
_KINDS = tuple(
    (re.compile(pattern, re.IGNORECASE), what, fix)
    for pattern, what, fix in (
        (
            "out-of-date database schema|can't locate revision",
            "the tables of the database are of another version of MLflow",
            "copy the database for safety, then run `mlflow db upgrade {uri}`; "
            "if a newer MLflow made it, install that one",
        ),
        (
            "filesystem tracking backend|file ?store",
            "it is a file store, which MLflow has given up",
            'name a database such as "sqlite:///mlflow.db", or a server',
        ),
        (
            "database (table )?is locked|the lock",
            "another process holds the database",
            "wait for that process, or end it",
        ),
        (
            "not a database|malformed|no such (table|column)|file is encrypted",
            "the database is broken",
            "move the file away, so that a new one is made, or name another",
        ),
        (
            "readonly|read-only|unable to open|permission denied|is a directory|not a directory|full",
            "the database cannot be opened or written",
            "check its folder, the permissions and the free space, or name another",
        ),
        ("unauthori[sz]ed|authentication failed|access denied", *_REFUSES),
    )
)
REFUSED, BUSY = (401, 403), (429, 503)
"""HTTP statuses of servers that refuse the user, and of those that are busy."""

_STATUS = re.compile(
    r"(?:error code|status(?: code)?|too many)[ :=]{1,3}(\d{3})\b|\b(\d{3}) (?:client|server) error\b", re.IGNORECASE
)
"""How MLflow, requests and urllib3 word an HTTP status."""

_PLACE = re.compile(r"""'[^']*/[^']*'|"[^"]*/[^"]*"|\S*/\S*""")
"""An address or a path: what it is called says nothing of what went wrong."""

_WAITS = ("the server is busy", "wait until the server takes requests")
_DOWN = ("the server is down", "start the server or change the address")
_OTHER = ("MLflow failed", "check the store, or name another")


def unusable(address: Address, detail: str | Exception) -> TrackingError:
    """Return the error for a store that cannot be used: what is wrong by kind, and in the words of who found it."""
    said = without_credentials(detail if isinstance(detail, str) else _line(detail))
    what, fix = _kind(address, said, status_of(detail))
    return TrackingError(
        f"MLflow at {address.shown} cannot be used: {what}: {said}; the results on disk do not need it",
        where=address.source,
        fix=f"{fix.format(uri=address.shown)}; then run the same command again: it logs what is missing",
    )


def status_of(error: str | BaseException) -> int:
    """Return the HTTP status that an error of MLflow or requests carries or words as such; 0 without one."""
    response = getattr(error, "response", None)
    carried = getattr(error, "get_http_status_code", lambda: getattr(response, "status_code", 0))()
    if carried in REFUSED + BUSY:
        return int(carried)
    found = _STATUS.search(_without_places(str(error)))
    return int(found[1] or found[2]) if found else 0


def _kind(address: Address, said: str, status: int) -> tuple[str, str]:
    """Return what is wrong, and what to do about it."""
    if status in REFUSED:
        return _REFUSES
    if status in BUSY:
        return _WAITS
    for own in (address.shown, str(address.file)):  # a path may have spaces
        said = said.replace(own, " ")
    words = _without_places(said)
    return next(((w, f) for p, w, f in _KINDS if p.search(words)), _DOWN if address.file is None else _OTHER)


def _without_places(text: str) -> str:
    return _PLACE.sub(" ", text)


def _line(error: Exception) -> str:
    """Return an error in a line; SQLAlchemy may put a remark of its own before the cause."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("(raised as a result of")]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
