"""Reaching MLflow: quickly, quietly, and without a race for a new database."""

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

from vlrb.cache import locked
from vlrb.errors import TrackingError
from vlrb.secrets import without_credentials
from vlrb_plugins.mlflow import MlflowSettings

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Databases that MLflow takes, by the first part of their addresses, and where they listen unless it is said."""


def database_file(uri: str) -> Path | None:
    """Return the file of a sqlite address, absolute, or None for other addresses."""
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None


def absolute(uri: str) -> str:
    """Return the address with the file of a sqlite address made absolute."""
    file = database_file(uri)
    return f"sqlite:///{file}" if file is not None else uri


def artifact_folder(uri: str) -> Path | None:
    """Return where artifacts go: beside the file of a sqlite address; a server has a place of its own (None)."""
    file = database_file(uri)
    return file.parent / "mlartifacts" if file is not None else None


def environment(timeout: float) -> dict[str, str]:
    """Return what MLflow is told: no telemetry, and no waiting for minutes for a server that is down."""
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout))),
    }


@contextlib.contextmanager
def reaching(settings: MlflowSettings) -> Iterator[None]:
    """Turn whatever MLflow, its database or its connection raises into a tracking error without credentials."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own, about itself and what it is built on
            yield
    except TrackingError:
        raise
    except Exception as error:
        raise unreachable(settings, without_credentials(_cause(error))) from error


def _cause(error: Exception) -> str:
    """Return an error in a line; SQLAlchemy may put a remark of its own before the cause."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("(raised as a result of")]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def unreachable(settings: MlflowSettings, detail: str) -> TrackingError:
    """Return the error for a store that cannot be used."""
    return TrackingError(
        f"MLflow at {without_credentials(settings.uri)} cannot be used: {detail}; the results on disk do not need it",
        where="[plugin.mlflow] uri",
        fix="start the server or change the address, then run the same command again: it logs what is missing",
    )


def probe(settings: MlflowSettings) -> None:
    """Ask a server once, and once more, whether it is there; MLflow itself would try for minutes.

    :raises TrackingError: when it does not answer in time
    """
    if not settings.uri.startswith(("http://", "https://")):
        _probe_database(settings)
        return
    import urllib.error
    import urllib.request

    parts = urlsplit(settings.uri)
    place = parts.netloc.rpartition("@")[2]
    address = f"{parts.scheme}://{place}{parts.path.rstrip('/')}/health"
    reason = ""
    for _ in range(2):
        try:
            with urllib.request.urlopen(address, timeout=settings.timeout):
                return
        except urllib.error.HTTPError:
            return  # it answers, even if it wants a password for this page
        except (OSError, ValueError) as error:
            reason = str(error)
    raise unreachable(settings, reason)


def _probe_database(settings: MlflowSettings) -> None:
    """Open the file of a sqlite address, or a connection to the host of another database."""
    file = database_file(settings.uri)
    try:
        if file is not None:
            if file.exists():
                with contextlib.closing(sqlite3.connect(file)) as connection:
                    connection.execute("PRAGMA schema_version")
            return
        parts = urlsplit(settings.uri)
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
        if parts.hostname and port:
            socket.create_connection((parts.hostname, port), timeout=settings.timeout).close()
    except (OSError, ValueError, sqlite3.Error) as error:
        raise unreachable(settings, without_credentials(_cause(error))) from None


def active_runs(file: Path) -> set[str] | None:
    """Return the ids of the runs in a sqlite file, read without MLflow; None where that cannot be told."""
    if not file.is_file():
        return set()
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'")
            return {str(row[0]) for row in rows}
    except sqlite3.Error:
        return None


def _make_database(file: Path) -> None:
    """Make a sqlite file with MLflow's tables aside: half of them, after a kill, could never be opened again.

    Call it with the lock of ``file`` held.
    """
    from mlflow.tracking import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f".{file.name}.*.partial*"):
        left.unlink(missing_ok=True)
    # a name of its own each time: MLflow keeps connections by address, even to files that are gone
    aside = file.with_name(f".{file.name}.{os.getpid()}-{time.monotonic_ns()}.partial").absolute()
    MlflowClient(tracking_uri=f"sqlite:///{aside}")
    aside.replace(file)


def open_store(settings: MlflowSettings) -> tuple[Any, str]:
    """Return an MLflow client and the id of the experiment, which is made if need be.

    The first opening of a sqlite file writes its tables, so it happens under a lock.

    :raises TrackingError: when the store cannot be reached
    """
    probe(settings)
    for name, value in environment(settings.timeout).items():
        os.environ.setdefault(name, value)
    file = database_file(settings.uri)
    with reaching(settings):
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it shows what it raises as well
        with locked(file) if file is not None else contextlib.nullcontext():
            if file is not None and (not file.exists() or file.stat().st_size == 0):
                _make_database(file)
            client = MlflowClient(tracking_uri=absolute(settings.uri))
            return client, _experiment(client, settings)


def _experiment(client: Any, settings: MlflowSettings) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(settings.experiment)
    if found is None:
        folder = artifact_folder(settings.uri)
        try:
            return str(client.create_experiment(settings.experiment, folder.as_uri() if folder is not None else None))
        except MlflowException:
            found = client.get_experiment_by_name(settings.experiment)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the MLflow experiment {settings.experiment!r} was deleted",
            where="[plugin.mlflow] experiment",
            fix="restore it in the UI, or name another experiment",
        )
    return str(found.experiment_id)
