"""``vlrb ui``: it opens, answers, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from vlrb.errors import TrackingError
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow import ui as page

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

# SIGINT is ignored in what a shell starts in the background; here it is what Ctrl-C is
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from vlrb.cli import main
main()
"""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").is_file(), reason="needs /proc to see the processes of a group"
)


def command(*arguments: str) -> list[str]:
    """Return the command line of ``vlrb``."""
    return [sys.executable, "-c", COMMAND, *arguments]


@pytest.fixture
def start(tmp_path, free_port) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Return a function that starts ``vlrb ui`` and returns its process and address once it says that it is open."""
    begun: list[subprocess.Popen[str]] = []

    def starting() -> tuple[subprocess.Popen[str], str]:
        with (tmp_path / "ui.log").open("w") as log:
            process = subprocess.Popen(
                command("ui", "--port", str(free_port)), stdout=subprocess.PIPE, stderr=log, text=True
            )
        begun.append(process)
        assert process.stdout is not None
        address = f"http://127.0.0.1:{free_port}"
        for line in process.stdout:
            if address in line and "Ctrl-C" in line:
                return process, address
        raise AssertionError((tmp_path / "ui.log").read_text(encoding="utf-8"))

    yield starting
    for process in begun:
        process.terminate()
        process.communicate(timeout=30)


def group_of(process: subprocess.Popen[str]) -> int:
    """Return the process group that ``vlrb ui`` started."""
    (group,) = {group for _, parent, group, _ in processes() if parent == process.pid}
    assert group != process.pid
    return group


def members(group: int) -> set[int]:
    """Return the living processes of a group."""
    return {pid for pid, _, of, state in processes() if of == group and state != "Z"}


def gone(group: int) -> bool:
    """Return whether a group has no living process, at once or within seconds."""
    deadline = time.monotonic() + 5
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not members(group)


def processes() -> Iterator[tuple[int, int, int, str]]:
    """Return id, parent, group and state of every process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(folder.name), int(fields[1]), int(fields[2]), fields[0]


@pytest.mark.usefixtures("database")
@needs_proc
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_opens_answers_and_ends(start, ending):
    """Protects the whole life of ``vlrb ui``: MLflow's many processes end with it, by Ctrl-C or by kill."""
    process, address = start()
    group = group_of(process)
    assert members(group)
    with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"MLflow" in answer.read()
    process.send_signal(ending)
    process.send_signal(ending)  # an impatient second time changes nothing
    assert process.wait(30) == 0
    assert gone(group)
    assert process.stdout is not None
    assert "#/experiments/" not in process.stdout.read(), "the store has no experiment of the default name"


def test_address_of_the_leaderboards(start, study, database, read):
    """Protects the way to the run table: the address names the default experiment, and its filter finds the rows."""
    study.show()
    process, address = start()
    shown = (line for line in process.stdout if "#/experiments/" in line)  # MLflow shows requests there too
    runs, rows = (next(shown).split(": ")[-1].strip() for _ in range(2))
    store = read(database)
    for line, view in ((runs, "vlrb-runs"), (rows, "vlrb-leaderboard")):
        table, _, query = line.partition("?")
        assert table == f"{address}/#/experiments/{store.experiment.experiment_id}/runs"
        assert parse_qs(query, strict_parsing=True) == {
            "workflowType": ["machine_learning"],
            "viewStateShareKey": [view],
        }
    view = json.loads(store.experiment.tags["mlflow.sharedViewState.vlrb-leaderboard"])
    found = store.client.search_runs([store.experiment.experiment_id], view["searchFilter"])
    assert {r.data.tags["vlrb.node"] for r in found} == set(store.runs()) - {"run"}


@needs_proc
def test_run_whose_server_ends_in_the_middle(start, study, database, read):
    """Protects a run tracked by a server that goes away, here with its terminal: one error, soon; the rest later."""
    process, address = start()
    group = group_of(process)
    study.use(uri=address, timeout=5.0)
    plugin, result = MlflowPlugin(), study.result()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_cell_end(study.run, result.cells[0])
    assert plugin._trackers[study.run.id]._lanes.wait(60), "calls to a server are made aside"
    before = read(database).ids()
    assert set(before) == {"run", "cell/knn-seed0"}
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 0
    assert gone(group)
    started = time.monotonic()
    with pytest.raises(TrackingError, match="cannot be used"):
        plugin.vlrb_cell_end(study.run, result.cells[1])
        plugin.vlrb_run_end(result)
    plugin.vlrb_run_end(result)  # told once
    assert time.monotonic() - started < 20
    study.use()
    study.show()
    store = read(database)
    assert len(store.ids()) == 5
    assert before.items() <= store.ids().items()
    assert {r.info.status for r in store.runs().values()} == {"FINISHED"}


@pytest.mark.usefixtures("database")
def test_the_environment_names_the_store(refused, tmp_path, monkeypatch):
    """Protects users of MLFLOW_TRACKING_URI: `vlrb ui` looks where their runs went, and says who named the place."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    said = refused("ui")
    assert f"MLFLOW_TRACKING_URI: there is no database {tmp_path / 'theirs.db'}" in said


@pytest.fixture
def refused() -> Callable[..., str]:
    """Return a function that runs a command which must fail as a usage error, and returns what it says."""

    def run(*arguments: str) -> str:
        done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 4, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    return run


def test_missing_database(refused, tmp_path):
    """Protects a user in the wrong folder: MLflow would show an empty database, made on the spot."""
    said = refused("ui")
    assert f"there is no database {tmp_path / 'mlflow.db'}" in said
    assert "fix: do a `vlrb run` here first, or name the store with --uri" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("database")
def test_taken_port(refused):
    """Protects a user who has something else on the port: the error names it and the way out."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused("ui", "--port", str(port))
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "fix: name another" in said


def test_server_that_is_down(free_port):
    """Protects a user who tracks on a server, and the password in its address."""
    uri = f"http://user:secret@127.0.0.1:{free_port}"
    done = subprocess.run(command("ui", "--uri", uri), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 6
    assert f"http://***@127.0.0.1:{free_port} cannot be used: the server is down" in done.stderr
    assert "secret" not in done.stderr


@needs_proc
def test_a_real_server(start, study, database, read, tmp_path):
    """Protects users of a server: all of a run is logged there, and `vlrb ui` tells the address of its run table."""
    _, address = start()
    figure = study.run.directory / "reports" / "figures" / "calls.svg"
    figure.parent.mkdir(parents=True)
    figure.write_text("<svg/>")
    study.use(uri=address, experiment="mine", timeout=20.0)
    study.show()
    store = read(database, "mine")
    assert len(store.runs()) == 5
    assert store.artifacts("run", "reports/figures") == {"reports/figures/calls.svg"}
    said = subprocess.run(command("ui", "--uri", address), capture_output=True, text=True, timeout=60, check=True)
    runs, rows = (line.split(": ")[-1] for line in said.stdout.splitlines())
    table = f"{address}/#/experiments/{store.experiment.experiment_id}/runs?workflowType=machine_learning"
    assert (runs, rows) == (f"{table}&viewStateShareKey=vlrb-runs", f"{table}&viewStateShareKey=vlrb-leaderboard")


@needs_proc
@pytest.mark.parametrize(("option", "opened"), [("--open", True), ("--no-open", False)])
def test_the_browser(start, study, database, tmp_path, option, opened):
    """Protects who works at a terminal: the run table is opened, unless that is switched off or nobody sees it."""
    study.show()
    _, address = start()
    script, shown = tmp_path / "browser", tmp_path / "shown"
    script.write_text(f'#!/bin/sh\necho "$1" >> {shown}\n')
    script.chmod(0o755)
    environment = {**os.environ, "BROWSER": str(script)}
    arguments = command("ui", "--uri", address, option)
    subprocess.run(arguments, env=environment, capture_output=True, timeout=60, check=True)
    assert not shown.exists(), "stdout is not a terminal"
    ours, theirs = os.openpty()
    subprocess.run(arguments, env=environment, stdout=theirs, timeout=60, check=True)
    os.close(theirs)
    os.close(ours)
    assert shown.exists() == opened
    assert not opened or "viewStateShareKey=vlrb-runs" in shown.read_text()


def test_why_no_run_table_is_shown(monkeypatch, tmp_path, capsys, free_port):
    """Protects who waits for the address of the run table: the UI stays open, and stderr says why there is none."""

    class Process:
        pid = 0

        def wait(self) -> int:
            raise KeyboardInterrupt

    def fail(*_: object) -> None:
        raise TrackingError("the server is too slow", where="here", fix="wait")

    (tmp_path / "mlflow.db").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(page.subprocess, "Popen", lambda *_, **__: Process())
    for name in ("load_mlflow", "_wait_until_open", "_end_group"):
        monkeypatch.setattr(page, name, lambda *_: None)
    monkeypatch.setattr(page, "_tables", fail)
    page.ui.callback(uri="", host="127.0.0.1", port=free_port, experiment="", opens=True)
    said = capsys.readouterr()
    assert "MLflow UI of" in said.out
    assert "no run table can be shown: here: the server is too slow" in said.err


def test_no_such_experiment(start, study, database):
    """Protects a typing error in the name of an experiment."""
    _, address = start()
    arguments = command("ui", "--uri", address, "--experiment", "mien")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "has no experiment 'mien'" in done.stderr
