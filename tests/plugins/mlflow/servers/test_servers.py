"""Servers that are slow, busy or cut off: they cost a run seconds, and nothing is lost or logged twice."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb.errors import TrackingError
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.store import load_mlflow

NODES = {"run", "cell/knn-seed0", "cell/linear-seed0", "reference/oracle", "reference/cheapest"}


def busy(status: int) -> Callable[[Any, str], bool]:
    """Return a fault: the server asks to come again in a while."""

    def fault(handler: Any, _path: str) -> bool:
        handler.say(status, {}, Retry_After="45")
        return True

    return fault


def drips(handler: Any, _path: str) -> bool:
    """Send a byte now and then, and never an end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    handler.close_connection = True
    return True


def drips_headers(handler: Any, _path: str) -> bool:
    """Send headers letter by letter."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(200):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            time.sleep(0.1)
    handler.close_connection = True
    return True


def show(study, finished: str = "2026-01-02T03:04:06+00:00") -> list[str]:
    """Show a run to the plugin as the core does, which goes on after an error; return the errors."""
    plugin, errors = MlflowPlugin(), []
    ended = study.result(finished=finished)
    calls = [lambda: plugin.vlrb_run_start(study.run)]
    calls += [lambda cell=cell: plugin.vlrb_cell_end(study.run, cell) for cell in ended.cells]
    for call in (*calls, lambda: plugin.vlrb_run_end(ended)):
        try:
            call()
        except TrackingError as error:
            errors.append(str(error))
    return errors


@pytest.mark.parametrize(
    ("fault", "said"),
    [(busy(429), "busy"), (busy(503), "busy"), (drips, "down"), (drips_headers, "down")],
    ids=["429", "503", "body", "headers"],
)
def test_a_server_that_holds_up_costs_seconds_and_loses_nothing(study, server, fault, said):
    """Protects the time of a run: Retry-After is not waited for, nor a byte now and then; the next run logs everything."""
    study.use(uri=server.uri, timeout=1.0, patience=4.0)
    server.fault = fault
    began = time.monotonic()
    errors = show(study)
    assert time.monotonic() - began < 12, "seconds, also on a busy machine"
    (error,) = errors
    assert said in error
    server.fault = None
    assert show(study) == []
    assert set(server.nodes()) == NODES
    assert {r["status"] for r in server.nodes().values()} == {"FINISHED"}


@pytest.mark.parametrize("ending", ["runs/create", "runs/log-batch", "runs/update"])
def test_an_answer_that_gets_lost_is_no_second_run(study, server, ending):
    """Protects against doubles: the server has done what it was asked, and the connection broke before it said so."""
    study.use(uri=server.uri, timeout=1.0, patience=4.0)
    lost: list[str] = []

    def breaks(handler: Any, path: str) -> bool:
        if not path.endswith(ending) or lost:
            return False
        lost.append(path)
        server.answer(path, handler.sent)
        handler.close_connection = True
        return True

    server.fault = breaks
    first = show(study)
    assert len(first) == 1
    assert show(study) == []
    assert set(server.nodes()) == NODES
    assert {r["status"] for r in server.nodes().values()} == {"FINISHED"}


def test_a_run_that_was_made_late_is_removed(study, server):
    """Protects against doubles for good: a slow server acted on a call after the next run had made the node again."""
    study.use(uri=server.uri)
    assert show(study) == []
    late = server.nodes()["cell/knn-seed0"]
    server.runs["late"] = {**late, "points": [], "status": "RUNNING"}
    assert show(study, finished="2026-01-03T00:00:00+00:00") == []
    assert set(server.nodes()) == NODES
    assert "late" not in server.runs


def test_a_server_that_is_busy_for_a_moment(study, server):
    """Protects a run against a limit of the rate of requests: it is asked again, shortly, and all is logged."""
    study.use(uri=server.uri)
    refused: list[str] = []

    def fault(handler: Any, path: str) -> bool:
        if path.endswith("log-batch") and len(refused) < 2:
            refused.append(path)
            handler.say(429, {}, Retry_After="45")
            return True
        return False

    server.fault = fault
    assert show(study) == []
    assert set(server.nodes()) == NODES


def test_latency_does_not_add_up(study, server):
    """Protects runs that are tracked far away: few calls, and those of different cells at once."""
    study.use(uri=server.uri)
    server.latency = 0.15
    load_mlflow(5.0)  # takes seconds itself
    began = time.monotonic()
    assert show(study) == []
    elapsed = time.monotonic() - began
    assert set(server.nodes()) == NODES
    assert server.peak > 2
    assert elapsed < 0.7 * server.latency * len(server.calls)
    each = Counter(server.calls)
    assert each["runs/create"] == len(NODES)
    assert each["runs/log-batch"] == len(NODES) + 3, "the end of the run, and of two cells what is known only then"


def test_the_patience_with_a_slow_server_ends(study, server):
    """Protects a run against a server that answers in time, but slowly: the next run goes on where this one gave up."""
    study.use(uri=server.uri, timeout=5.0, patience=1.0)
    server.latency = 0.5
    (error,) = show(study)
    assert "within 1 seconds" in error
    server.latency = 0.0
    assert show(study) == []
    assert {n: r["status"] for n, r in server.nodes().items()} == dict.fromkeys(NODES, "FINISHED")


def test_nothing_is_said_on_stdout(study, server, capfd):
    """Protects what a program reads: MLflow prints the address of every run that ends."""
    study.use(uri=server.uri)
    assert show(study) == []
    assert capfd.readouterr() == ("", "")


def test_a_curve_that_was_missed_is_logged_later(study, server):
    """Protects the curve of a long fit: the server was down while it went on, and has each of its points in the end."""
    study.use(uri=server.uri, timeout=1.0)
    server.fault = busy(503)
    info = study.cells[0]
    folder = study.done(info).directory
    table = {"step": [1, 2, 3], "name": ["loss"] * 3, "value": [0.5, 0.25, 0.125]}
    pq.write_table(pa.table(table), folder / "curve.parquet")
    assert len(show(study)) == 1
    server.fault = None
    assert show(study) == []
    points = [(s, v) for k, s, v, _ in server.nodes()[f"cell/{info.name}"]["points"] if k == "training/loss"]
    assert sorted(points) == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_points_that_a_killed_process_sent_are_not_sent_again(study, server):
    """Protects a curve of which MLflow has a part: from a process that was killed before its cell was logged."""
    study.use(uri=server.uri)
    info = study.cells[0]
    killed = MlflowPlugin()
    killed.vlrb_run_start(study.run)
    killed.vlrb_cell_start(study.run, info)
    tracker = killed._trackers[study.run.id]
    tracker._flushed = 0.0  # as when time has passed
    killed.vlrb_cell_log(study.run, info, 1, {"loss": 0.5, "rate": 1.0})
    assert tracker._lanes.wait(10)

    folder = study.done(info).directory
    table = {"step": [1, 1, 2], "name": ["loss", "rate", "loss"], "value": [0.5, 1.0, 0.25]}
    pq.write_table(pa.table(table), folder / "curve.parquet")
    assert show(study) == []
    points = server.nodes()[f"cell/{info.name}"]["points"]
    fit = Counter((k, s) for k, s, _, _ in points if k.startswith("training/"))
    assert fit == {("training/loss", 1): 1, ("training/loss", 2): 1, ("training/rate", 1): 1}


def test_an_interrupted_run_is_killed_on_a_server(study, server):
    """Protects what MLflow shows after Ctrl-C: the run and its open cells are killed, at once and by a second call too."""
    study.use(uri=server.uri)
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_cell_end(study.run, study.done(study.cells[0]))
    plugin.vlrb_cell_start(study.run, study.cells[1])
    assert plugin._trackers[study.run.id]._lanes.wait(10)
    for _ in range(2):
        plugin.vlrb_run_interrupted(study.run)
    states = {n: r["status"] for n, r in server.nodes().items()}
    assert states == {"run": "KILLED", "cell/knn-seed0": "FINISHED", "cell/linear-seed0": "KILLED"}
    study.run = attrs.evolve(study.run)
    assert show(study) == []
    assert {n: r["status"] for n, r in server.nodes().items()} == dict.fromkeys(NODES, "FINISHED")
