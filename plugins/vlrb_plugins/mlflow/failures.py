"""What is wrong with a store, told by kind: of another version, broken, held, a file store, busy, or down."""

from __future__ import annotations

import re

from vlrb.errors import TrackingError
from vlrb.secrets import without_credentials
from vlrb_plugins.mlflow.addresses import Address

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
        (
            r"\b(401|403)\b|unauthori[sz]ed|authentication failed|access denied",
            "the server refuses the user",
            "check user name, password and token",
        ),
        (r"\b(429|503)\b", "the server is busy", "wait until the server takes requests"),
    )
)
_DOWN = ("the server is down", "start the server or change the address")
_OTHER = ("MLflow failed", "check the store, or name another")


def unusable(address: Address, detail: str | Exception) -> TrackingError:
    """Return the error for a store that cannot be used: what is wrong by kind, and in the words of who found it."""
    said = without_credentials(detail if isinstance(detail, str) else _line(detail))
    local = address.file is not None
    what, fix = next(((w, f) for p, w, f in _KINDS if p.search(said)), _OTHER if local else _DOWN)
    return TrackingError(
        f"MLflow at {address.shown} cannot be used: {what}: {said}; the results on disk do not need it",
        where=address.source,
        fix=f"{fix.format(uri=address.shown)}; then run the same command again: it logs what is missing",
    )


def _line(error: Exception) -> str:
    """Return an error in a line; SQLAlchemy may put a remark of its own before the cause."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("(raised as a result of")]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
