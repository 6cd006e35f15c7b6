"""Reaching a store: where it is, who may open it at once, and what it says of secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlrb.errors import TrackingError
from vlrb.secrets import without_credentials
from vlrb_plugins.mlflow import MlflowSettings
from vlrb_plugins.mlflow.store import absolute, artifact_folder, open_store

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
    """Protects the forms of an address: relative and absolute files, and servers, which keep artifacts themselves."""
    assert absolute("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    assert absolute(f"sqlite:///{tmp_path}/b.db") == f"sqlite:///{tmp_path}/b.db"
    assert absolute("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert artifact_folder("sqlite:///a/b.db") == tmp_path / "a" / "mlartifacts"
    assert artifact_folder("http://127.0.0.1:5000") is None


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
def test_deleted_experiment():
    """Protects a user who deleted the experiment in the UI: MLflow's own words would not say what to do."""
    settings = MlflowSettings(experiment="gone")
    client, experiment = open_store(settings)
    client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=r"'gone' was deleted(.|\n)*fix: restore it in the UI"):
        open_store(settings)


@pytest.mark.usefixtures("database")
def test_no_telemetry_and_no_long_waiting():
    """Protects the promise that nothing is sent anywhere, and what a user set in the environment."""
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "77"
    open_store(MlflowSettings())
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "true"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_folder_of_the_store_is_made():
    """Protects a store in a folder that is not there yet."""
    settings = MlflowSettings(uri="sqlite:///new/folder/mlflow.db")
    open_store(settings)
    assert Path("new/folder/mlflow.db").is_file()
