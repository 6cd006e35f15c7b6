"""Stores that cannot be used: each kind has words of its own, comes soon, names its place, and hides its secrets."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from vlrb import locked
from vlrb.errors import TrackingError
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.failures import unusable
from vlrb_plugins.mlflow.settings import MlflowSettings

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def refused(study):
    """Return a function that starts a run on a store that cannot be used, and returns what is said."""

    def start(uri: str = "", seconds: float = 20.0) -> str:
        study.use(uri=uri, timeout=1.0)
        began = time.monotonic()
        with pytest.raises(TrackingError) as raised:
            MlflowPlugin().vlrb_run_start(study.run)
        assert time.monotonic() - began < seconds
        assert "run the same command again" in str(raised.value)
        return str(raised.value)

    return start


def changed(database: Path, statement: str) -> None:
    """Change a database behind MLflow's back."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(statement)
        connection.commit()


def test_database_of_another_version(refused, database):
    """Protects a user whose database an older MLflow made: what to run is said, and the server is not blamed."""
    changed(database, "UPDATE alembic_version SET version_num = 'cc1f77228345'")
    said = refused()
    assert f"mlflow db upgrade sqlite:///{database}" in said
    assert "server" not in said


def test_broken_database(refused, database):
    """Protects a user whose file is damaged: it is said that it is."""
    database.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    said = refused()
    assert "broken" in said
    assert "server" not in said


def test_database_that_another_process_holds(refused, database):
    """Protects a user against a lock that is never given back: one error, after seconds."""
    with contextlib.closing(sqlite3.connect(database)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        said = refused(seconds=60.0)
    assert "another process holds the database" in said


@pytest.mark.parametrize("uri", ["mlruns", "file:mlruns"])
def test_file_store(refused, uri):
    """Protects a user of MLflow's old folders: they are told that it is a folder, and what to name instead."""
    said = refused(uri)
    assert "file store" in said
    assert "sqlite:///mlflow.db" in said
    assert "server is down" not in said


def test_lock_that_is_held(refused, tmp_path, monkeypatch):
    """Protects the first run in a folder: who holds the lock of the new database is waited for, but not for ever."""
    monkeypatch.setattr("vlrb_plugins.mlflow.store.LOCK_SECONDS", 0.2)
    with locked(tmp_path / "mlflow.db"):
        said = refused()
    assert "mlflow.db.lock" in said
    assert "[plugin.mlflow] uri" in said


def test_lock_that_cannot_be_made(refused, tmp_path):
    """Protects a user whose folder does not let files be locked: the file is named."""
    (tmp_path / "mlflow.db.lock").symlink_to("mlflow.db.lock")
    assert "mlflow.db.lock" in refused()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Detected out-of-date database schema (found version 1)", "mlflow db upgrade"),
        ("OperationalError: (sqlite3.OperationalError) database is locked", "holds the database"),
        ("DatabaseError: database disk image is malformed", "broken"),
        ("OperationalError: attempt to write a readonly database", "permissions"),
        ("API request failed with exception: too many 429 error responses", "busy"),
        ("API request to endpoint failed with error code 401 != 200", "password"),
        ("Connection refused", "is down"),
    ],
)
def test_kinds(text, kind):
    """Protects what is said of each kind of failure, and that secrets in addresses are not."""
    said = str(unusable(Address.of("http://me:secret@host:1"), f"{text} at http://me:secret@host:1"))
    assert kind in said
    assert "secret" not in said
    assert said.startswith("[plugin.mlflow] uri: ")


NOBODY = "Max retries exceeded with url: {} (Caused by NewConnectionError: [Errno 111] Connection refused)"


class Answer(Exception):
    """What requests raises for an answer, as far as it is looked at."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("uri", "error", "kind"),
    [
        ("http://h:503", ConnectionError("host='h', port=503: " + NOBODY.format("/api/x")), "is down"),
        ("http://h", ConnectionError(NOBODY.format("/api/get?experiment_id=403")), "is down"),
        ("http://h", "API request to http://h/error code 503/x failed with error code 500 != 200", "is down"),
        ("http://h", "503 Server Error: Service Unavailable for url: http://h/x", "is busy"),
        ("http://h", Answer("come again", 429), "is busy"),
        ("http://h", Answer("no", 403), "refuses the user"),
        ("sqlite:////data/filestore/m.db", PermissionError(13, "Permission denied", "/data/filestore/m.db"), "opened"),
        ("sqlite:////is full/of file store/m", "RuntimeError: /is full/of file store/m is odd", "MLflow failed"),
    ],
)
def test_numbers_and_words_in_addresses_say_nothing(uri, error, kind):
    """Protects a user from a fix for another fault: ports, ids and folders are not taken for a status or a kind of store."""
    said = str(unusable(Address(uri, "x"), error))
    assert kind in said.split(" cannot be used: ")[1].split(": ")[0]


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///x?mode=memory&uri=true",
    ],
)
def test_stores_in_memory(uri, study, monkeypatch):
    """Protects results from a store that is gone when the run ends: in the experiment file, and in the environment."""
    with pytest.raises(ValueError, match="memory"):
        MlflowSettings(uri=uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_URI: .* in memory"):
        MlflowPlugin().vlrb_run_start(study.run)


def test_store_in_memory_is_refused_before_anything_is_run(project):
    """Protects the time of a user: the experiment file is refused, by the name of the key."""
    file = project.experiment(more='[plugin.mlflow]\nuri = "sqlite:///:memory:"\n')
    from vlrb import cli

    assert cli.run(["check", str(file)]) == 4
    assert "plugin.mlflow.uri" in project._capsys.readouterr().err


def test_address_with_a_query(study, database, read, tmp_path):
    """Protects what an address says of sqlite itself: it goes to sqlite, and the file is the same."""
    study.use(uri="sqlite:///mlflow.db?timeout=1")
    study.show()
    assert len(read(database).runs()) == 5
    assert not list(tmp_path.glob("*[?]*"))


def test_the_environment_names_the_store(study, empty_database, read, tmp_path, monkeypatch):
    """Protects users of MLFLOW_TRACKING_URI: their store is used where the experiment file names none."""
    shutil.copy(empty_database, tmp_path / "theirs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/theirs.db")
    study.show()
    assert len(read(tmp_path / "theirs.db").runs()) == 5
    assert not (tmp_path / "mlflow.db").exists()


def test_the_store_in_use_is_said(study, database, caplog, monkeypatch):
    """Protects a user who wonders where a run went: store and the one who named it, without its password."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    caplog.set_level("INFO", logger="vlrb")
    study.use(timeout=1.0)
    with pytest.raises(TrackingError):
        MlflowPlugin().vlrb_run_start(study.run)
    assert "http://***@127.0.0.1:9 (MLFLOW_TRACKING_URI)" in caplog.text
    assert "secret" not in caplog.text
