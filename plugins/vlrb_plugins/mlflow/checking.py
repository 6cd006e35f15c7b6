"""Whether a store can be used, found out without making or changing one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from vlrb.errors import TrackingError, VlrbError
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.failures import unusable
from vlrb_plugins.mlflow.lanes import Lanes
from vlrb_plugins.mlflow.store import Place, find_experiment, load_mlflow, probe, silence_warnings


def check_store(uri: str, experiment: str, timeout: float) -> None:
    """Look whether a store can be used: a file is opened to be read, the host of a database called, a server asked.

    MLflow itself is loaded for a server only, and for what it alone may know, since that takes seconds.

    :param timeout: seconds that the whole takes at most, besides loading MLflow
    :raises TrackingError: when the store cannot be used
    """
    place = Place(Address.of(uri), experiment, timeout)
    if place.address.file is not None:
        _check_file(place.address, place.address.file)
    elif not place.address.is_server and urlsplit(place.address.uri).hostname:
        probe(place)
    else:
        _check_by_asking(place)


def _check_file(address: Address, file: Path) -> None:
    try:
        if not file.exists():
            nearest = next(p for p in file.parents if p.exists())
            with tempfile.TemporaryFile(dir=nearest):
                return
        if file.stat().st_size:
            with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", timeout=1.0, uri=True)) as connection:
                connection.execute("SELECT run_uuid FROM runs LIMIT 1")
        if not os.access(file, os.W_OK):
            raise PermissionError(f"permission denied: {file} cannot be written")
    except (OSError, ValueError, sqlite3.Error) as error:
        raise unusable(address, error) from None


def _check_by_asking(place: Place) -> None:
    load_mlflow(place.timeout)
    lanes = Lanes(1)
    lanes.submit("check", lambda: _ask(place))
    if not lanes.wait(place.timeout) and lanes.failure is None:
        lanes.fail(TimeoutError(f"no answer within {place.timeout:g} seconds"))
    failure = lanes.failure
    if isinstance(failure, VlrbError):
        raise TrackingError(failure.problems)
    if isinstance(failure, Exception):
        raise unusable(place.address, failure) from None


def _ask(place: Place) -> None:
    from mlflow.tracking import MlflowClient

    silence_warnings()
    find_experiment(MlflowClient(tracking_uri=place.address.uri), place)
