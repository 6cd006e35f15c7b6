"""Reaching a store: where it is, who may open it at once, and what it says of secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from vlrb.errors import TrackingError
from vlrb.redact import without_credentials
from vlrb_plugins.mlflow.addresses import Address

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_plugin_imports_no_mlflow():
    """Protects the speed of every command: the plugin is loaded each time, MLflow takes seconds to import."""
    code = "import sys, vlrb_plugins.mlflow, vlrb_plugins.mlflow.ui, vlrb_plugins.mlflow.tracking\n"
    code += "assert not [m for m in sys.modules if m.split('.')[0] in ('mlflow', 'sqlalchemy', 'numpy', 'pandas')]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_fresh_store_opened_by_two_processes(python, tmp_path, read):
    """Protects the first two runs on a machine: MLflow's own first opening of a database fails if done twice."""
    both = [python(f"Study(Path.cwd() / 'study{i}').show()") for i in range(2)]
    for process in both:
        out, error = process.communicate(timeout=120)
        others = [line for line in error.splitlines() if not line.startswith("another process is working on")]
        assert (process.returncode, out, others) == (0, "", []), "a store is opened without a word"
    client = read(tmp_path / "mlflow.db").client
    found = client.search_runs([read(tmp_path / "mlflow.db").experiment.experiment_id])
    assert len(found) == 5, "two runs of one identity would be two"


def test_relative_store_and_its_artifacts(study, empty_database, read, tmp_path, monkeypatch):
    """Protects where files go: relative to the working directory at the start, artifacts beside the database."""
    folder = tmp_path / "project"
    (folder / "tracked").mkdir(parents=True)
    (folder / "tracked" / "runs.db").write_bytes(empty_database.read_bytes())
    monkeypatch.chdir(folder)
    study.use(uri="sqlite:///tracked/runs.db", experiment="mine")
    study.show()
    store = read(folder / "tracked" / "runs.db", "mine")
    assert store.experiment.artifact_location == (folder / "tracked" / "mlartifacts").as_uri()
    reports = list((folder / "tracked" / "mlartifacts").rglob("leaderboard.md"))
    assert [p.read_text(encoding="utf-8") for p in reports] == ["| router |\n"]
    assert {p.name for p in folder.iterdir()} == {"tracked"}


def test_addresses(tmp_path):
    """Protects the forms of an address: relative and absolute files, with a query, and servers, which keep artifacts."""
    assert Address.of("sqlite:///a/b.db").uri == f"sqlite:///{tmp_path}/a/b.db"
    assert Address.of(f"sqlite:///{tmp_path}/b.db?timeout=1").uri == f"sqlite:///{tmp_path}/b.db?timeout=1"
    assert Address.of(f"sqlite:///{tmp_path}/b.db?timeout=1").file == tmp_path / "b.db"
    assert Address.of("sqlite+pysqlite:///b.db").file == tmp_path / "b.db"
    assert Address.of("sqlite:///file:b.db?uri=true").file == tmp_path / "b.db"
    assert Address.of("sqlite:///~/b.db").file == Path.home() / "b.db"
    assert Address.of("http://127.0.0.1:5000").uri == "http://127.0.0.1:5000"
    assert Address.of("http://127.0.0.1:5000").file is None
    assert Address.of("sqlite:///a/b.db").artifacts == tmp_path / "a" / "mlartifacts"
    assert Address.of("http://127.0.0.1:5000").artifacts is None


def test_which_address_is_in_use(monkeypatch, tmp_path):
    """Protects the order: what the experiment file names, then the environment, then the default; each is said."""
    assert Address.of("") == Address(f"sqlite:///{tmp_path}/mlflow.db", "default of [plugin.mlflow] uri")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    assert Address.of("") == Address(f"sqlite:///{tmp_path}/theirs.db", "MLFLOW_TRACKING_URI")
    assert Address.of("sqlite:///mine.db") == Address(f"sqlite:///{tmp_path}/mine.db", "[plugin.mlflow] uri")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at http://user:secret@host:5000/path failed", "at http://***@host:5000/path failed"),
        ("postgresql://user:sec@ret@host/db", "postgresql://***@host/db"),
        ("https://token@host and http://a:b@c", "https://***@host and http://***@c"),
        ("https://host/user@example.org", "https://host/user@example.org"),
        ("mail user@example.org", "mail user@example.org"),
    ],
)
def test_credentials_are_left_out(text, expected):
    """Protects passwords in addresses: nothing of them is shown or stored, and other texts stay as they are."""
    assert without_credentials(text) == expected


@pytest.mark.usefixtures("database")
def test_deleted_experiment(opened):
    """Protects a user who deleted the experiment in the UI: MLflow's own words would not say what to do."""
    client, experiment = opened(experiment="gone")
    client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=r"'gone' was deleted(.|\n)*fix: restore it in the UI"):
        opened(experiment="gone")


@pytest.mark.usefixtures("database")
def test_no_telemetry_and_no_long_waiting(opened):
    """Protects the promise that nothing is sent anywhere, and what a user set in the environment."""
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "77"
    opened()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "true"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_folder_of_the_store_is_made(opened, database):
    """Protects a store in a folder that is not there yet."""
    with mock.patch("vlrb_plugins.mlflow.store._make_database", lambda _uri, file: shutil.copy(database, file)):
        opened("sqlite:///new/folder/mlflow.db?timeout=1")
    assert Path("new/folder/mlflow.db").is_file()
