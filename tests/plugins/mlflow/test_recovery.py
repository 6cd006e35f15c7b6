"""Stores that lost something, were left half made, or never answer; names that MLflow does not take."""

from __future__ import annotations

import shutil
import socket
import time

import attrs
import pytest

from vlrb.errors import TrackingError
from vlrb.redact import without_credentials
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.store import Place, probe


def test_database_made_anew_by_another_run(database, empty_database, read, python):
    """Protects a run whose database was deleted and made again by another run: the file is there, the run is not."""
    first = python("Study(Path.cwd()).show()")
    assert first.communicate()[1] == ""
    shutil.copy(empty_database, database)
    again = python("Study(Path.cwd()).show()")
    assert again.communicate()[1] == ""
    assert {"run", "cell/knn-seed0", "reference/oracle"} <= set(read(database).runs())


@pytest.mark.parametrize("node", ["cell/knn-seed0", "reference/oracle"])
def test_nested_run_deleted_in_mlflow(study, database, read, node):
    """Protects a run of which one nested run was removed: MLflow refuses to log to it, for ever."""
    study.show()
    before = read(database).ids()
    read(database).client.delete_run(before[node])
    study.show()
    after = read(database).runs()
    assert {n for n in before if before[n] != after[n].info.run_id} == {node}
    assert after[node].data.metrics["test/accuracy"] == 61.5
    assert after[node].info.status == "FINISHED"


def test_nested_runs_follow_a_new_parent(study, database, read):
    """Protects the nesting when only the parent was removed: its nested runs would hang under a deleted run."""
    study.show()
    read(database).client.delete_run(read(database).ids()["run"])
    study.show()
    runs = read(database).runs()
    parents = {r.data.tags.get("mlflow.parentRunId") for node, r in runs.items() if node != "run"}
    assert parents == {runs["run"].info.run_id}


def test_tables_are_made_aside(tmp_path, monkeypatch, opened):
    """Protects the next run after a kill while MLflow made its tables: half of them can never be opened again."""
    from mlflow.store.db import utils

    def killed(_engine):
        raise KeyboardInterrupt

    file = tmp_path / "mlflow.db"
    with monkeypatch.context() as patch:
        patch.setattr(utils, "_upgrade_db", killed)
        with pytest.raises(KeyboardInterrupt):
            opened()
    assert not file.exists()
    (tmp_path / ".mlflow.db.999.partial-journal").write_text("left by a killed process")
    opened()
    assert file.is_file()
    assert not list(tmp_path.glob(".mlflow.db.*"))


def test_file_that_cannot_be_opened(study, tmp_path):
    """Protects the time of a user: MLflow tries for 100 seconds to open what is no file."""
    (tmp_path / "mlflow.db").mkdir()
    started = time.monotonic()
    with pytest.raises(TrackingError, match="unable to open database file"):
        study.show(plugin=MlflowPlugin())
    assert time.monotonic() - started < 5


def test_database_server_that_is_down(study, free_port):
    """Protects the time and the password of a user whose database server is down."""
    study.use(uri=f"postgresql://me:secret@127.0.0.1:{free_port}/db")
    started = time.monotonic()
    with pytest.raises(TrackingError, match="refused") as caught:
        study.show()
    assert "secret" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_database_server_that_accepts_and_is_no_database():
    """Protects the probe: it lets a host through that accepts connections, and leaves the rest to MLflow."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe(Place(Address.of(f"mysql+pymysql://u:p@127.0.0.1:{server.getsockname()[1]}/db"), "vlrb", 5.0))


def test_names_that_mlflow_refuses(study, database, read):
    """Protects a run against a parameter with an odd name: MLflow would refuse the whole run."""
    odd = attrs.evolve(study.cells[0], parameters={"w": {"a,b": 1, "a_b": 2, "x" * 300: 3, "/": 4}})
    study.cells = (odd,)
    study.run = attrs.evolve(study.run, cells=study.cells)
    study.show()
    runs = read(database).runs()
    params = runs["cell/knn-seed0"].data.params
    assert params["router.w.a_b"] == "1"
    assert params["router.w.a_b_"] == "2"
    assert sorted(v for k, v in params.items() if k.startswith("router.w")) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("name", ["password", "user", "token"])
def test_credentials_after_a_question_mark(name):
    """Protects passwords that stand in the query of a database's address."""
    assert without_credentials(f"postgresql://h/db?{name}=secret&x=1") == f"postgresql://h/db?{name}=***&x=1"


def test_a_fit_that_is_done_again_draws_its_curve_once(study, database, read):
    """Protects the curve of a fit that was killed after it had logged: the same steps come again when it goes on."""
    for _ in range(2):
        plugin = MlflowPlugin()
        plugin.vlrb_run_start(study.run)
        plugin.vlrb_cell_start(study.run, study.cells[0])
        for step in range(4):
            plugin.vlrb_cell_log(study.run, study.cells[0], step, {"loss": 1.0 / (step + 1)})
        plugin._trackers[study.run.id]._flush(study.cells[0])  # as when time has passed
    plugin.vlrb_cell_log(study.run, study.cells[0], 4, {"loss": 0.1})
    plugin.vlrb_cell_end(study.run, study.done(study.cells[0]))

    reader = read(database)
    node = f"cell/{study.cells[0].name}"
    history = reader.client.get_metric_history(reader.ids()[node], "training/loss")
    assert sorted(m.step for m in history) == [0, 1, 2, 3, 4]


def test_curves_whose_names_mlflow_takes_for_one(study, database, read):
    """Protects two curves from each other: whatever of them is sent first, and when, each has its own values."""
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_cell_start(study.run, study.cells[0])
    for step in range(2):
        plugin.vlrb_cell_log(study.run, study.cells[0], step, {"loss ö": 2.0, "loss ä": 1.0})
        plugin._trackers[study.run.id]._flush(study.cells[0])
    plugin.vlrb_cell_end(study.run, study.done(study.cells[0]))

    reader = read(database)
    run_id = reader.ids()[f"cell/{study.cells[0].name}"]
    for name, value in (("training/loss _", 1.0), ("training/loss __", 2.0)):
        assert [m.value for m in reader.client.get_metric_history(run_id, name)] == [value] * 2
