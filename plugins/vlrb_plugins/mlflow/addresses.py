"""Addresses of stores: where one is named, what file it is, and where its artifacts go."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote

import attrs

from vlrb import without_credentials

KEY = "[plugin.mlflow] uri"
VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_URI = "sqlite:///mlflow.db"

_SQLITE = re.compile(r"(?P<scheme>sqlite(?:\+\w+)?)://(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?")
"""As SQLAlchemy reads such an address: what stands after the third slash, up to a question mark, is the database."""


def in_memory(uri: str) -> bool:
    """Tell whether an address is one of sqlite's stores in memory, which end with the process."""
    found = _SQLITE.fullmatch(uri)
    if found is None:
        return False
    database = found["database"] or ""
    return not database or ":memory:" in database or "memory" in parse_qs(found["query"] or "").get("mode", ())


def database_file(uri: str) -> Path | None:
    """Return the file of a sqlite address, absolute, or None for other addresses."""
    found = _SQLITE.fullmatch(uri)
    if found is None or in_memory(uri):
        return None
    database = found["database"]
    if database.startswith("file:"):
        database = unquote(database.removeprefix("file:"))
    return Path(database).expanduser().absolute()


def with_file(uri: str, file: Path) -> str:
    """Return a sqlite address with another file; what stands after the question mark stays."""
    found = _SQLITE.fullmatch(uri)
    assert found is not None
    prefix = "file:" if found["database"].startswith("file:") else ""
    query = f"?{found['query']}" if found["query"] else ""
    return f"{found['scheme']}:///{prefix}{file}{query}"


@attrs.frozen
class Address:
    """A store's address, absolute where it is a file, and where it was named."""

    uri: str = attrs.field(repr=False)
    source: str

    @classmethod
    def of(cls, given: str, key: str = KEY) -> Address:
        """Return the address that is in use.

        :param given: by the user, under ``key``; empty for what ``MLFLOW_TRACKING_URI`` names, or else the default
        """
        named = os.environ.get(VARIABLE, "")
        uri, source = (given, key) if given else (named, VARIABLE) if named else (DEFAULT_URI, f"default of {key}")
        file = database_file(uri)
        return cls(with_file(uri, file) if file is not None else uri, source)

    @property
    def shown(self) -> str:
        """The address without what is secret in it."""
        return without_credentials(self.uri)

    @property
    def file(self) -> Path | None:
        """The file of a sqlite address."""
        return database_file(self.uri)

    @property
    def is_server(self) -> bool:
        """Whether it is a tracking server."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def artifacts(self) -> Path | None:
        """Where artifacts go: next to the file of a sqlite address; a server has a place of its own (None)."""
        return self.file.parent / "mlartifacts" if self.file is not None else None
