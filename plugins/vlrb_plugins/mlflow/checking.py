"""Whether a store can be used, found out without making or changing one."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from vlrb import TrackingError, VlrbError
from vlrb_plugins.mlflow.addresses import Address, with_file
from vlrb_plugins.mlflow.failures import unusable
from vlrb_plugins.mlflow.lanes import Lanes
from vlrb_plugins.mlflow.settings import MlflowSettings
from vlrb_plugins.mlflow.store import Place, find_experiment, load_mlflow, probe, refuse_memory, silence_warnings


def check_store(settings: MlflowSettings) -> None:
    """Check that a store can be used: open a file for reading, connect to a database's host, ask a server.

    MLflow itself is loaded only for a server and for what it alone knows, since that takes seconds.  Besides loading MLflow, the
    check takes ``settings.timeout`` seconds at most.

    :raises TrackingError: when the store cannot be used
    """
    place = Place(Address.of(settings.uri), settings.experiment, settings.timeout)
    refuse_memory(place.address)
    if place.address.file is not None:
        if not _check_file(place.address, place.address.file):
            _check_tables(place, place.address.file)
    elif not place.address.is_server and urlsplit(place.address.uri).hostname:
        probe(place)
    else:
        _check_by_asking(place)


def _check_file(address: Address, file: Path) -> bool:
    """Look whether a file can be used; tell whether its tables, if any, are those of the MLflow that is installed."""
    latest = True
    try:
        if not file.exists():
            nearest = next(p for p in file.parents if p.exists())
            with tempfile.TemporaryFile(dir=nearest):
                return True
        if file.stat().st_size:
            with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", timeout=1.0, uri=True)) as connection:
                connection.execute("SELECT run_uuid FROM runs LIMIT 1")
                found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
                latest = found == [(_latest_revision(),)]
        if not os.access(file, os.W_OK):
            raise PermissionError(f"permission denied: {file} cannot be written")
    except (OSError, ValueError, sqlite3.Error) as error:
        raise unusable(address, error) from None
    return latest


COPY_SECONDS = 60.0
"""How long MLflow may take to open a copy, which it may bring up to date."""

_STATEMENTS = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) != 'sqlite_' ORDER BY type != 'table'"
)
_REVISION = re.compile(r"""^(down_)?revision\b[^=\n]*=\s*["'](\w+)["']""", re.MULTILINE)


def _latest_revision() -> str:
    """Return the version of the tables that the installed MLflow makes, as its sources say; empty if they do not."""
    found = importlib.util.find_spec("mlflow")
    folders = found.submodule_search_locations if found is not None else None
    versions = [p for folder in folders or () for p in Path(folder).glob("store/db_migrations/versions/*.py")]
    pairs = [pair for p in versions for pair in _REVISION.findall(p.read_text(encoding="utf-8"))]
    latest = {name for down, name in pairs if not down} - {name for down, name in pairs if down}
    return latest.pop() if len(latest) == 1 else ""


def _check_tables(place: Place, file: Path) -> None:
    """Have MLflow open a copy of a database without its rows: tables of some other versions it would change as it opens them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        with (
            contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", timeout=1.0, uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            for (statement,) in source.execute(_STATEMENTS):
                target.execute(statement)
            versions = source.execute("SELECT version_num FROM alembic_version").fetchall()
            target.executemany("INSERT INTO alembic_version VALUES (?)", versions)
            target.commit()
        _check_by_asking(attrs.evolve(place, timeout=COPY_SECONDS), with_file(place.address.uri, copy))


def _check_by_asking(place: Place, uri: str = "") -> None:
    load_mlflow(place.timeout)
    lanes = Lanes(1)
    lanes.submit("check", lambda: _ask(place, uri or place.address.uri))
    if not lanes.wait(place.timeout) and lanes.failure is None:
        lanes.fail(TimeoutError(f"no answer within {place.timeout:g} seconds"))
    failure = lanes.failure
    if isinstance(failure, VlrbError):
        raise TrackingError(failure.problems)
    if isinstance(failure, Exception):
        raise unusable(place.address, failure) from None


def _ask(place: Place, uri: str) -> None:
    from mlflow.tracking import MlflowClient

    silence_warnings()
    find_experiment(MlflowClient(tracking_uri=uri), place)
