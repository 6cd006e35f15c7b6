"""Opening a store: quickly, quietly, and without a race for a new database."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from vlrb import StorageError, TrackingError, lock_within
from vlrb_plugins.mlflow.addresses import Address, in_memory, with_file
from vlrb_plugins.mlflow.failures import unusable

LOCK_SECONDS = 60.0
"""How long another process may take to make the tables of a new database."""

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Databases that MLflow takes, by the first part of their addresses, and where they listen unless it is said."""


@attrs.frozen
class Place:
    """Where runs are tracked: a store, an experiment in it, and the seconds until a server counts as down."""

    address: Address
    experiment: str
    timeout: float


def environment(timeout: float) -> dict[str, str]:
    """Return what MLflow is told: no telemetry, no words on stdout, and no trying again for minutes."""
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout))),
    }


def load_mlflow(timeout: float) -> None:
    """Import MLflow, which takes seconds, and have it say little.  Call it in the main thread.

    :param timeout: seconds until a server counts as down; what the user has set in the environment comes first
    """
    for name, value in environment(timeout).items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about itself and what it is built on
        import mlflow.tracking  # noqa: F401
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it shows what it raises as well


def silence_warnings() -> None:
    """Ignore warnings of MLflow about what it is built on; `catch_warnings` would not do, since it is for one thread only."""
    for package in ("mlflow", "sqlalchemy", "alembic"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")


def probe(place: Place) -> None:
    """Open the file of a sqlite address, or a connection to the host of another database: MLflow tries for minutes.

    :raises TrackingError: when that fails
    """
    address = place.address
    refuse_memory(address)
    try:
        if address.file is not None:
            if address.file.exists():
                with contextlib.closing(sqlite3.connect(address.file)) as connection:
                    connection.execute("PRAGMA schema_version")
        elif not address.is_server:
            parts = urlsplit(address.uri)
            port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
            if parts.hostname and port:
                socket.create_connection((parts.hostname, port), timeout=place.timeout).close()
    except (OSError, ValueError, sqlite3.Error) as error:
        raise unusable(address, error) from None


def refuse_memory(address: Address) -> None:
    """Refuse a store in memory, which may be named in the environment.

    :raises TrackingError: for such an address
    """
    if in_memory(address.uri):
        raise TrackingError(
            f"{address.shown} is a store in memory, which is gone when the run ends",
            where=address.source,
            fix='name a file, such as "sqlite:///mlflow.db"',
        )


def active_runs(file: Path) -> set[str] | None:
    """Return the ids of the runs in a sqlite file, read without MLflow; None where that cannot be told."""
    if not file.is_file():
        return set()
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", timeout=1.0, uri=True)
        ) as connection:
            rows = connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'")
            return {str(row[0]) for row in rows}
    except sqlite3.Error:
        return None


def open_store(place: Place) -> tuple[Any, str]:
    """Return an MLflow client and the id of the experiment, which is made if need be.

    :func:`load_mlflow` comes first.

    :raises TrackingError: when the store cannot be reached
    """
    from mlflow.tracking import MlflowClient

    silence_warnings()
    probe(place)
    file = place.address.file
    if file is not None and _is_new(file):
        with _locked(place):
            if _is_new(file):  # still so, now that nobody else is making it
                _make_database(place.address.uri, file)
    client = MlflowClient(tracking_uri=place.address.uri)
    return client, _experiment(client, place)


def _is_new(file: Path) -> bool:
    return not file.exists() or file.stat().st_size == 0


@contextlib.contextmanager
def _locked(place: Place) -> Iterator[None]:
    """Hold the lock next to a new database.

    :raises TrackingError: when it cannot be made, or is held for long
    """
    file = place.address.file
    assert file is not None
    try:
        with lock_within(file, LOCK_SECONDS) as is_held:
            if not is_held:
                raise unusable(place.address, f"the lock {file}.lock has been held for {LOCK_SECONDS:g} seconds")
            yield
    except StorageError as error:
        raise TrackingError(
            f"MLflow at {place.address.shown} cannot be used: {error.problems[0].where} cannot be locked: "
            f"{error.problems[0].message}; the results on disk do not need it",
            where=place.address.source,
            fix="check the permissions of the folder, or name a store elsewhere; then run the same command again",
        ) from None


def _make_database(uri: str, file: Path) -> None:
    """Make a sqlite file with MLflow's tables aside: half of them, after a kill, could never be opened again.

    Call it with the lock of ``file`` held.
    """
    from mlflow.tracking import MlflowClient

    for left in file.parent.glob(f".{file.name}.*.partial*"):
        left.unlink(missing_ok=True)
    # a name of its own each time: MLflow keeps connections by address, even to files that are gone
    aside = file.with_name(f".{file.name}.{os.getpid()}-{time.monotonic_ns()}.partial")
    MlflowClient(tracking_uri=with_file(uri, aside))
    aside.replace(file)


def _experiment(client: Any, place: Place) -> str:
    from mlflow.exceptions import MlflowException

    found = find_experiment(client, place)
    if found is None:
        folder = place.address.artifacts
        try:
            return str(client.create_experiment(place.experiment, folder.as_uri() if folder is not None else None))
        except MlflowException:
            found = find_experiment(client, place)
            if found is None:
                raise
    return str(found.experiment_id)


def find_experiment(client: Any, place: Place) -> Any:
    """Return the experiment of a store; None where it has none of that name.

    :raises TrackingError: when it was deleted
    """
    found = client.get_experiment_by_name(place.experiment)
    if found is not None and found.lifecycle_stage != "active":
        raise TrackingError(
            f"the MLflow experiment {place.experiment!r} was deleted",
            where="[plugin.mlflow] experiment",
            fix="restore it in the UI, or name another experiment",
        )
    return found
