"""What is logged of a run, and that it is logged once, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import pytest

from vlrb.api.results import CellResult
from vlrb.errors import TrackingError
from vlrb_plugins.mlflow import MlflowPlugin

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

SHORT = {
    "accuracy": 61.5,
    "test-low/accuracy": 58.0,
    "test-high/accuracy": 65.0,
    "test-vs-cheapest/accuracy": 1.5,
    "test-vs-cheapest/accuracy.low": -0.5,
    "test-vs-cheapest/accuracy.high": 3.5,
    "test-vs-cheapest/accuracy.p": 0.04,
    "test-vs-cheapest/accuracy.p-holm": 0.08,
}
"""What the statistics of a run say of a row."""

NODES = {"run", "cell/knn-seed0", "cell/linear-seed0", "reference/oracle", "reference/cheapest"}


# --- what is logged ---------------------------------------------------------------------------------------------------


def test_parent_run_describes_the_run(study, database, read):
    """Protects what a reader of the MLflow UI learns of a run: parameters, tags, benchmark, reports, status."""
    study.show()
    store = read(database)
    run = store.runs()["run"]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "0102-030405 knn (study)"
    assert run.data.params == {
        "split.use": "splits/grouped",
        "split.seed": "7",
        "split.train": "0.7",
        "split.made": "seed 7",
        "split.samples.train": "84",
        "split.samples.dev": "12",
        "split.samples.test": "24",
        "split.digest": "abc123",
        "split.groups": "17",
        "split.grouped_by.image": "120",
        "split.group_also_in_train.dev": "0",
        "split.group_also_in_train.test": "0",
        "split.pooled": "False",
        "split.splits": "1",
        "statistics.draws": "2000",
        "statistics.level": "0.95",
        "statistics.seed": "3",
        "statistics.groups": "20",
        "statistics.baseline": "cheapest",
        "bounds.low": "0.001",
        "bounds.high": "0.02",
        "bounds.rows": "train",
        "protocol": "paper",
        "samples": "120",
        "seeds": "[0]",
        "models": "2",
    }
    tags = run.data.tags
    assert tags["vlrb.protocol"] == "paper"
    assert tags["vlrb.benchmark"] == "f" * 36
    assert tags["vlrb.split"] == "grouped, seed 7"
    assert tags["vlrb.synthetic"] == "made up for tests"
    assert not [name for name in tags if name.startswith("environment")], "they stand in environment.json"
    assert tags["status"] == "done"
    assert tags["leader"] == "knn"
    assert tags["role"] == "run"
    assert tags["mlflow.source.name"] == "vlrb run (study)"
    assert run.data.metrics == SHORT, "those of the leading router"
    assert tags["vlrb.cautions"] == "few groups\nthe best model is nearly the most expensive one"
    assert "selected" not in tags
    assert "mlflow.parentRunId" not in tags
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == "study benchmark"
    assert given.dataset.digest == "f" * 36
    assert json.loads(given.dataset.profile)["datasets"] == {"mmstar": 80, "ai2d": 40}
    assert given.tags[0].value == "benchmark"
    files = {"experiment.json", "plan.json", "environment.json", "results.json", "reports"}
    assert store.artifacts("run") == files
    assert store.artifacts("run", "reports") == {"reports/leaderboard.md"}


def test_cells_and_references_are_nested(study, database, read):
    """Protects the nesting, the names of metrics and parameters, provenance and artifacts of cells and references."""
    study.show()
    store = read(database)
    runs = store.runs()
    assert set(runs) == NODES
    for node in NODES - {"run"}:
        assert runs[node].data.tags["mlflow.parentRunId"] == runs["run"].info.run_id
        assert runs[node].info.status == "FINISHED"
    knn = runs["cell/knn-seed0"]
    assert knn.info.run_name == "knn 0102-030405"
    accuracies = {"accuracy": 61.5, "accuracy/group/general": 60.0, "accuracy/dataset/mmstar": 59.0}
    expected = {"val/accuracy": 61.5, **{f"test/{name}": value for name, value in accuracies.items()}}
    assert knn.data.metrics == {**expected, **SHORT, "timing/fit-seconds": 1.5}
    assert knn.data.params == {
        "router": "feature-routers/knn",
        "label": "knn",
        "seed": "0",
        "features": "text",
        "router.k": "5",
        "router.vote.weights": "uniform",
    }
    wanted = {
        "role": "router",
        "selected": "true",
        "vlrb.cell": "key-of-knn",
        "vlrb.plugin": "feature-routers",
        "vlrb.dist": "vlrb 0.1.0",
        "vlrb.sources": "abc123",
        "status": "done",
        "reused": "false",
        "hardware": "a machine",
    }
    assert {k: knn.data.tags[k] for k in wanted} == wanted
    assert store.artifacts("cell/knn-seed0", "cell") == {"cell/cell.json", "cell/dev.parquet"}
    for run in runs.values():
        assert [i.dataset.name for i in run.inputs.dataset_inputs] == ["study benchmark"]
        assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert knn.data.tags["mlflow.source.name"] == "feature-routers/knn (vlrb 0.1.0)"
    oracle = runs["reference/oracle"]
    assert oracle.data.metrics == {n: v for n, v in expected.items() if n.startswith("test/")} | SHORT
    assert oracle.data.tags["role"] == "reference"
    assert oracle.data.tags["selected"] == "true"


def test_undefined_and_infinite_values_are_in_a_file(study, database, read):
    """Protects the rule that what has no finite value is never a number: MLflow stores inf as 1.8e308."""
    study.show()
    for node in ("cell/knn-seed0", "reference/oracle"):
        data = read(database).runs()[node].data
        assert not [name for name in data.metrics if "brier" in name or "throughput" in name]
        assert not [name for name in data.tags if "undefined" in name]
        reasons = json.loads(read(database).text(node, "undefined.json"))
        assert (reasons["test/brier"], reasons["test/throughput"]) == ("no estimate", "inf")
        assert not [name for name in reasons if not name.startswith(("test/", "val/"))], "intervals have no reasons"


def test_failed_cell(study, database, read):
    """Protects that a failure is a failed MLflow run with its error and without metrics, and the parent says so."""
    study.show(study.failed(study.cells[1], "cannot read https://user:secret@example.org/x"))
    store = read(database)
    failed = store.runs()["cell/linear-seed0"]
    assert failed.info.status == "FAILED"
    assert failed.data.metrics == {}
    assert failed.data.tags["vlrb.error"] == "cannot read https://***@example.org/x"
    assert store.artifacts("cell/linear-seed0", "cell") == {"cell/error.txt"}
    assert store.runs()["run"].info.status == "FAILED"
    assert store.runs()["run"].data.tags["status"] == "failed"
    assert store.runs()["run"].data.tags["vlrb.failed"] == "linear-seed0"
    assert store.runs()["cell/knn-seed0"].info.status == "FINISHED"


def test_failed_cell_is_repaired_in_the_same_run(study, database, read):
    """Protects that a later try of a cell updates its MLflow run: the new error first, then none and its metrics."""
    study.show(study.failed(study.cells[1], "it broke"), finished="2026-01-02T03:04:06+00:00")
    first = read(database).ids()
    study.show(study.failed(study.cells[1], "it broke elsewhere"), finished="2026-01-02T03:04:07+00:00")
    assert read(database).runs()["cell/linear-seed0"].data.tags["vlrb.error"] == "it broke elsewhere"
    study.show(finished="2026-01-02T03:04:08+00:00")
    store = read(database)
    assert store.ids() == first
    repaired = store.runs()["cell/linear-seed0"]
    assert repaired.info.status == "FINISHED"
    assert repaired.data.tags["vlrb.error"] == ""
    assert repaired.data.tags["status"] == "done"
    assert repaired.data.metrics["test/accuracy"] == 61.5
    assert store.artifacts("cell/linear-seed0", "cell") == {"cell/cell.json", "cell/dev.parquet"}
    assert store.runs()["run"].info.status == "FINISHED"
    assert store.runs()["run"].data.tags["status"] == "done"
    assert store.runs()["run"].data.tags["vlrb.failed"] == ""


def test_long_texts_are_kept_whole(study, database, read):
    """Protects long parameters, which MLflow cuts without a word, and long errors and notes, which it refuses."""
    prompt = "word " * 1400
    study.cells = (attrs.evolve(study.cells[0], parameters={"prompt": prompt}), study.cells[1])
    study.run = attrs.evolve(
        study.run, cells=study.cells, benchmark=attrs.evolve(study.run.benchmark, synthetic=prompt * 2)
    )
    study.show(study.failed(study.cells[1], "x" * 9000))
    store = read(database)
    data = store.runs()["cell/knn-seed0"].data
    assert data.params["router.prompt"] == "7000 characters, see artifact parameters/router.prompt.txt"
    assert data.tags["long.router.prompt"] == "parameters/router.prompt.txt"
    assert store.text("cell/knn-seed0", "parameters/router.prompt.txt") == prompt
    assert data.tags["vlrb.synthetic"].endswith("... (14000 characters in all)")
    error = store.runs()["cell/linear-seed0"].data.tags["vlrb.error"]
    assert error.endswith("... (9000 characters in all)")
    assert store.text("cell/linear-seed0", "cell/error.txt") == "x" * 9000


def test_many_parameters_and_metrics(study, database, read, scores):
    """Protects MLflow's limits per request: 100 parameters or tags, 1,000 metrics."""
    study.cells = (attrs.evolve(study.cells[0], parameters={f"p{i}": i for i in range(250)}), study.cells[1])
    study.run = attrs.evolve(study.run, cells=study.cells)
    many = {f"m{i}": float(i) for i in range(1100)} | {f"odd{i}": float("inf") for i in range(250)}
    study.show(study.done(study.cells[0], scores=scores(**many)))
    data = read(database).runs()["cell/knn-seed0"].data
    assert data.params["router.p249"] == "249"
    assert data.metrics["test/m1099"] == 1099.0
    assert json.loads(read(database).text("cell/knn-seed0", "undefined.json"))["test/odd249"] == "inf"


def test_values_of_a_long_fit(study, database, read):
    """Protects values logged during a fit: their steps, odd names, repetitions."""
    plugin, info = MlflowPlugin(), study.cells[0]
    plugin.vlrb_run_start(study.run)
    for step in range(300):
        plugin.vlrb_cell_log(study.run, info, step, {"loss": 1.0 / (step + 1), "top@1": step})
    plugin.vlrb_cell_log(study.run, info, 299, {"loss": 1.0 / 300})
    assert "cell/knn-seed0" in read(database).ids(), "values of a fit that goes on are not kept to its end"
    plugin.vlrb_cell_end(study.run, study.done(info))
    store = read(database)
    run = store.runs()["cell/knn-seed0"]
    history = store.client.get_metric_history(run.info.run_id, "training/loss")
    assert sorted({(m.step, m.value) for m in history}) == [(s, 1.0 / (s + 1)) for s in range(300)]
    assert run.data.metrics["training/top_1"] == 299.0


def test_the_split_is_identified(study, database, read):
    """Protects a reader of two runs: other samples were tested, and MLflow says so on the run and on each cell."""
    study.show()
    runs = read(database).runs()
    assert runs["run"].data.params["split.digest"] == "abc123"
    assert {r.data.tags["vlrb.split.digest"] for r in runs.values()} == {"abc123"}
    assert {r.data.tags["vlrb.split.groups"] for r in runs.values()} == {"17"}
    assert {r.data.tags["vlrb.split.grouped_by"] for r in runs.values()} == {"{'image': 120}"}


def test_what_a_fit_chose_itself(study, database, read):
    """Protects the parameters that a fit chose, such as lambda: they stand with the cell's others."""

    @attrs.frozen
    class WithChosen(CellResult):
        chosen: dict[str, object] = attrs.field(factory=dict)

    known = study.done(study.cells[0])
    result = WithChosen(**{**attrs.asdict(known, recurse=False), "chosen": {"lambda": 10.0, "rule": "soft"}})
    study.show(result)
    params = read(database).runs()["cell/knn-seed0"].data.params
    assert params["chosen.lambda"] == "10.0"
    assert params["chosen.rule"] == "soft"


# --- interrupts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["create_run", "log_batch", "log_artifact", "set_terminated"])
def test_an_interrupt_in_the_middle_of_a_call(study, database, read, monkeypatch, call):
    """Protects what MLflow shows after Ctrl-C at any moment: the call ends, then nothing is shown as running."""
    from mlflow.tracking import MlflowClient

    real = getattr(MlflowClient, call)
    main = threading.current_thread()
    interrupts = 0

    def slow(*args, **kwargs):
        nonlocal interrupts
        interrupts += 1
        if interrupts == 2:
            signal.pthread_kill(main.ident, signal.SIGINT)
            time.sleep(0.2)
        return real(*args, **kwargs)

    plugin, before = MlflowPlugin(), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, call, slow)
            with pytest.raises(KeyboardInterrupt):
                study.show(plugin=plugin)
            plugin.vlrb_run_interrupted(study.run)
    finally:
        signal.signal(signal.SIGINT, before)
    states = {node: r.info.status for node, r in read(database).runs().items()}
    assert states["run"] == "KILLED"
    assert "RUNNING" not in states.values()
    study.show()
    assert {node: r.info.status for node, r in read(database).runs().items()} == dict.fromkeys(NODES, "FINISHED")


def test_an_interrupt_before_anything_was_opened(study):
    """Protects the end of a run that was interrupted before MLflow knew of it: nothing is made, nothing is waited for."""
    plugin = MlflowPlugin()
    plugin.vlrb_run_interrupted(study.run)
    assert not Path("mlflow.db").exists()


def test_what_a_killed_process_left_running(study, database, read):
    """Protects what MLflow shows when a run was killed, went on, and was interrupted: nothing runs."""
    first = MlflowPlugin()
    first.vlrb_run_start(study.run)
    for cell in study.cells:
        first.vlrb_cell_start(study.run, cell)
    second = MlflowPlugin()
    second.vlrb_run_start(study.run)
    second.vlrb_cell_start(study.run, study.cells[0])
    second.vlrb_run_interrupted(study.run)
    assert {r.info.status for r in read(database).runs().values()} == {"KILLED"}


def test_an_interrupt_after_the_end(study, database, read):
    """Protects a finished run against an interrupt that comes after it: it stays finished."""
    plugin = study.show()
    plugin.vlrb_run_interrupted(study.run)
    assert {r.info.status for r in read(database).runs().values()} == {"FINISHED"}


# --- logged once ------------------------------------------------------------------------------------------------------


def test_finished_run_shown_again(study, database, read, python):
    """Protects that a finished run costs nothing when shown again: MLflow is not even imported, nothing is added."""
    study.show()
    before = {node: (r.info.run_id, r.info.end_time) for node, r in read(database).runs().items()}
    again = python("Study(Path.cwd()).show()\nprint([m for m in sys.modules if m.split('.')[0] == 'mlflow'])")
    out, error = again.communicate(timeout=60)
    assert (again.returncode, out.strip(), error) == (0, "[]", "")
    assert {node: (r.info.run_id, r.info.end_time) for node, r in read(database).runs().items()} == before


@pytest.mark.parametrize("lost", ["everything", "damaged", "run", "cell/linear-seed0", "reference/oracle"])
def test_kill_before_the_state_was_written(study, database, read, lost):
    """Protects against doubles: MLflow runs that were made, but not noted before a kill, are found and gone on with."""
    study.show()
    before = read(database).ids()
    if lost == "everything":
        study.state.unlink()
    elif lost == "damaged":
        study.state.write_text(study.state.read_text(encoding="utf-8")[:50], encoding="utf-8")
    else:
        states = json.loads(study.state.read_text(encoding="utf-8"))
        for state in states.values():
            del state["nodes"][lost]
            for noted_later in (lost, "run", *(["start"] if lost == "run" else [])):
                state["done"].pop(noted_later, None)
        study.state.write_text(json.dumps(states), encoding="utf-8")
    study.show()
    assert read(database).ids() == before
    assert {r.info.status for r in read(database).runs().values()} == {"FINISHED"}
    (state,) = json.loads(study.state.read_text(encoding="utf-8")).values()
    assert state["nodes"] == before


@pytest.mark.parametrize(
    ("call", "count"),
    [
        ("create_run", 1),
        ("create_run", 3),
        ("log_batch", 1),
        ("log_batch", 3),
        ("log_batch", 6),
        ("log_inputs", 1),
        ("log_artifact", 1),
        ("log_artifact", 5),
        ("set_terminated", 1),
        ("set_terminated", 5),
    ],
)
def test_kill_at_any_call(study, database, read, monkeypatch, call, count):
    """Protects completeness: wherever a run is interrupted, the next one adds what is missing and nothing twice."""
    from mlflow.tracking import MlflowClient

    calls = 0
    real = getattr(MlflowClient, call)

    def interrupted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.show()
    study.show()
    store = read(database)
    runs = store.runs()
    assert set(runs) == NODES
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    assert runs["run"].data.params["split.seed"] == "7"
    assert len(runs["run"].inputs.dataset_inputs) == 1
    assert store.artifacts("run", "reports") == {"reports/leaderboard.md"}
    for node in ("cell/knn-seed0", "cell/linear-seed0"):
        assert runs[node].data.metrics["test/accuracy"] == 61.5
        assert runs[node].data.params["seed"] == "0"
        assert store.artifacts(node, "cell") == {"cell/cell.json", "cell/dev.parquet"}


def test_deleted_database(study, database, empty_database, read, python, monkeypatch):
    """Protects that a store which is gone is filled again, completely, whatever the state says."""
    earlier = python("Study(Path.cwd()).show()")
    assert earlier.communicate(timeout=60) == ("", "")
    (before,) = json.loads(study.state.read_text(encoding="utf-8")).values()
    database.unlink()
    monkeypatch.setattr(
        "vlrb_plugins.mlflow.store._make_database", lambda _uri, file: shutil.copy(empty_database, file)
    )
    study.show()
    store = read(database)
    assert set(store.runs()) == set(before["nodes"]) == NODES
    assert not set(before["nodes"].values()) & set(store.ids().values())
    assert store.runs()["run"].data.params["protocol"] == "paper"
    assert store.runs()["cell/knn-seed0"].data.metrics["test/accuracy"] == 61.5


def test_parent_deleted_in_mlflow(study, database, read):
    """Protects a resumed run whose MLflow run somebody removed: it is logged again, with its parameters."""
    study.show()
    store = read(database)
    for run_id in store.ids().values():
        store.client.delete_run(run_id)
    study.show(study.failed(study.cells[0]), finished="2026-01-03T00:00:00+00:00")
    study.show(finished="2026-01-04T00:00:00+00:00")
    assert set(store.runs()) == NODES
    assert store.runs()["run"].data.params["protocol"] == "paper"


def test_stores_of_two_folders_are_two(study, database, empty_database, read, tmp_path, monkeypatch):
    """Protects runs seen from two working directories: a relative store is another one in each."""
    study.show()
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "mlflow.db").write_bytes(empty_database.read_bytes())
    monkeypatch.chdir(other)
    study.show()
    assert set(read(other / "mlflow.db").runs()) == NODES
    assert set(read(database).runs()) == NODES
    assert len(json.loads(study.state.read_text(encoding="utf-8"))) == 2


# --- stores that fail -------------------------------------------------------------------------------------------------


def test_dead_server(study, database, free_port, read):
    """Protects the time and the secrets of a user whose server is down: one error soon, then silence; later all."""
    study.use(uri=f"http://user:secret@127.0.0.1:{free_port}")
    plugin, started = MlflowPlugin(), time.monotonic()
    with pytest.raises(TrackingError) as raised:
        plugin.vlrb_run_start(study.run)
    assert time.monotonic() - started < 5
    assert f"http://***@127.0.0.1:{free_port}" in str(raised.value)
    assert "fix:" in str(raised.value)
    for step in range(300):
        plugin.vlrb_cell_log(study.run, study.cells[0], step, {"loss": 1.0})
    result = study.result()
    for cell in result.cells:
        plugin.vlrb_cell_end(study.run, cell)
    plugin.vlrb_run_end(result)
    assert time.monotonic() - started < 5
    assert "secret" not in str(raised.value)
    assert not study.state.is_file() or "secret" not in study.state.read_text(encoding="utf-8")
    assert "secret" not in str(os.environ)
    study.use()
    study.show()
    assert set(read(database).runs()) == NODES


@pytest.fixture(params=["says 500", "closes", "is silent"])
def dying_server(request) -> Iterator[str]:
    """Return the address of a server that is well when asked, and fails at everything else."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.send_response(200)
                self.end_headers()
            elif request.param == "says 500":
                self.send_error(500)
            elif request.param == "is silent":
                release.wait(30)
            self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_server_that_dies(study, dying_server):
    """Protects a run from MLflow's patience: it tries again for minutes by default, at every call."""
    study.use(uri=dying_server, timeout=1.0)
    plugin, started = MlflowPlugin(), time.monotonic()
    with pytest.raises(TrackingError, match=r"cannot be used.*the results on disk do not need it"):
        plugin.vlrb_run_start(study.run)
    assert time.monotonic() - started < 20
    started = time.monotonic()
    result = study.result()
    for cell in result.cells:
        plugin.vlrb_cell_end(study.run, cell)
    plugin.vlrb_run_end(result)
    assert time.monotonic() - started < 1


def test_file_that_is_no_database(study, tmp_path, capfd, caplog):
    """Protects against an unforeseen kind of error: whatever MLflow raises is one error that names store and cause."""
    (tmp_path / "mlflow.db").write_bytes(b"this is no database, " * 100)
    with pytest.raises(
        TrackingError, match=r"mlflow\.db cannot be used: .*file is not a database; the results on disk"
    ):
        study.show()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_store_that_fails_in_the_middle(study, database, monkeypatch, read, capfd):
    """Protects the words of a database's error in the middle of a run, here of a file system that became read-only."""
    plugin, result = MlflowPlugin(), study.result()
    plugin.vlrb_run_start(study.run)
    read(database).client._tracking_client.store.engine.dispose()
    with monkeypatch.context() as patch:
        import sqlite3

        real = sqlite3.connect
        patch.setattr(sqlite3.dbapi2, "connect", lambda file, **k: real(f"file:{file}?mode=ro", uri=True, **k))
        with pytest.raises(
            TrackingError, match="attempt to write a readonly database; the results on disk do not need it"
        ):
            plugin.vlrb_cell_end(study.run, result.cells[0])
    plugin.vlrb_cell_end(study.run, result.cells[1])
    plugin.vlrb_run_end(result)
    assert capfd.readouterr() == ("", "")
    read(database).client._tracking_client.store.engine.dispose()
    study.show()
    assert set(read(database).runs()) == NODES
