"""`vlrb check` says whether runs could be tracked, soon, and makes nothing."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import time

import pytest

from vlrb.errors import TrackingError
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.checking import _latest_revision
from vlrb_plugins.mlflow.settings import MlflowSettings


@pytest.fixture
def check():
    """Return a function that checks a store with a timeout of a second."""

    def look(uri: str = "", **more) -> None:
        MlflowPlugin().vlrb_check({"mlflow": MlflowSettings(uri=uri, timeout=1.0, **more)})

    return look


def test_a_database_that_is_not_there_yet_is_not_made(check, tmp_path):
    """Protects a folder from files that only a run should leave."""
    check()
    check(f"sqlite:///{tmp_path}/deep/er/mlflow.db")

    assert not list(tmp_path.iterdir())


def test_a_database_in_use_is_fine_and_left_alone(check, database):
    """Protects a store from a check that changes it."""
    before = database.read_bytes()
    check()

    assert database.read_bytes() == before


@pytest.mark.parametrize("fault", ["broken", "foreign", "folder", "file above", "file store"])
def test_a_store_that_cannot_be_used_is_named(check, tmp_path, fault):
    """Protects a user from finding out after hours that nothing was tracked."""
    file = tmp_path / "mlflow.db"
    uri = ""
    if fault == "broken":
        file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    elif fault == "foreign":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE other (x)")
            connection.commit()
    elif fault == "folder":
        file.mkdir()
    elif fault == "file above":
        file.write_text("x")
        uri = f"sqlite:///{file}/deep/mlflow.db"
    else:
        uri = str(tmp_path / "mlruns")

    with pytest.raises(TrackingError) as caught:
        check(uri)
    assert caught.value.problems[0].fix
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("kind", ["refuses", "hangs"])
def test_a_server_that_does_not_answer_costs_seconds(check, kind):
    """Protects `vlrb check` from waiting for a server as MLflow does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "hangs":
            listener.listen()
        uri = f"http://user:secret@127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(TrackingError) as caught:
            check(uri)

    assert time.monotonic() - began < 15  # of which MLflow takes most to be loaded
    assert "secret" not in str(caught.value)


def test_a_store_in_memory_is_refused(check, monkeypatch):
    """Protects a user whose environment names a store that a run will refuse."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///:memory:")
    with pytest.raises(TrackingError) as caught:
        check()
    assert caught.value.problems[0].where == "MLFLOW_TRACKING_URI"


def test_the_version_of_the_tables_is_known_without_mlflow(database):
    """Protects `vlrb check` from seconds of loading MLflow: what its sources say is what it writes."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(_latest_revision(),)]


@pytest.mark.parametrize("version", ["0000old", "cc1f77228345"])
def test_tables_of_another_version_are_refused(check, database, version):
    """Protects a user from a run that MLflow refuses after hours; the database is left as it is."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
    before = database.read_bytes()
    with pytest.raises(TrackingError) as caught:
        check()
    assert f"mlflow db upgrade sqlite:///{database}" in caught.value.problems[0].fix
    assert database.read_bytes() == before
