"""``vlrb ui``: the MLflow UI on the right store, ended cleanly."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from vlrb import ConfigError, TrackingError, echo, has_display
from vlrb_plugins.mlflow.addresses import DEFAULT_URI, VARIABLE, Address, in_memory
from vlrb_plugins.mlflow.failures import unusable
from vlrb_plugins.mlflow.store import environment, load_mlflow
from vlrb_plugins.mlflow.views import ROWS, ROWS_VIEW, RUNS_VIEW, VIEW_TAG, table_address

STARTUP_SECONDS = 60.0
ANSWER_SECONDS = 10.0
GRACE_SECONDS = 5.0
OPENING_SECONDS = 2.0

_ABOVE = "see what MLflow printed above, then run the command again"


@click.command()
@click.option(
    "--uri", default="", show_default=f"{VARIABLE}, else {DEFAULT_URI}", help="The store, as in [plugin.mlflow]."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the server listens on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Its port.")
@click.option("--experiment", default="", show_default="that of the latest run", help="The MLflow experiment to show.")
@click.option("--open/--no-open", "opens", default=True, help="Open the run table in a browser, from a terminal.")
def ui(uri: str, host: str, port: int, experiment: str, opens: bool) -> None:
    """Open the MLflow UI on the runs that were tracked here, which Ctrl-C ends, or on those of a tracking server."""
    address = Address.of(uri, "--uri")
    if address.is_server:
        load_mlflow(ANSWER_SECONDS)
        parts = urlsplit(address.uri)
        server = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        _show_tables(_tables(address, address.uri, server, experiment), opens)
        return
    _check(address, host, port)
    with _first_signal_as_interrupt():
        # MLflow starts processes of its own: in a group of their own they can be ended together
        process = subprocess.Popen(_command(host, port), env=_environment(address), start_new_session=True)
        try:
            load_mlflow(ANSWER_SECONDS)  # meanwhile
            _wait_until_open(process, host, port)
            click.echo(f"MLflow UI of {address.shown} ({address.source}): http://{host}:{port} (Ctrl-C ends it)")
            server = f"http://{host}:{port}"
            try:
                _show_tables(_tables(address, server, server, experiment), opens)
            except TrackingError as error:  # the UI is there all the same
                echo(f"no run table can be shown: {error}", err=True)
            status = process.wait()
            raise TrackingError(f"the MLflow UI ended by itself with status {status}", where=address.source, fix=_ABOVE)
        except KeyboardInterrupt:
            click.echo("ended", err=True)
        finally:
            _end_group(process)


def _check(address: Address, host: str, port: int) -> None:
    if in_memory(address.uri):
        raise ConfigError(
            f"{address.shown} is a store in memory, where no run is kept",
            where=address.source,
            fix="name a file with --uri",
        )
    if address.file is not None and not address.file.is_file():
        raise ConfigError(
            f"there is no database {address.file}",
            where=address.source,
            fix="do a `vlrb run` here first, or name the store with --uri",
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} of {host} is taken: {error}", where="--port", fix="name another port with --port"
            ) from None


def _command(host: str, port: int) -> list[str]:
    return [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", host, "--port", str(port)]


def _environment(address: Address) -> dict[str, str]:
    """Return the environment of MLflow; the address, which may hold a password, stands in no list of processes."""
    told = {
        **environment(5.0),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": address.uri,
    }
    if address.artifacts is not None:
        told["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = address.artifacts.as_uri()
    return {**os.environ, **told}


@contextlib.contextmanager
def _first_signal_as_interrupt() -> Iterator[None]:
    """Treat a kill and a closed terminal as Ctrl-C, and ignore what comes after the first, so that all ends cleanly.

    What was ignored before, as under nohup, stays ignored.
    """
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heard = [s for s, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(_signal: int, _frame: Any) -> None:
        for s in heard:
            signal.signal(s, signal.SIG_IGN)
        raise KeyboardInterrupt

    for s in heard:
        signal.signal(s, interrupt)
    try:
        yield
    finally:
        for s in heard:
            signal.signal(s, before[s])


def _wait_until_open(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            what = f"the MLflow UI did not start: it ended with status {process.returncode}"
            raise TrackingError(what, where=f"{host}:{port}", fix=_ABOVE)
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return
        time.sleep(0.2)
    what = f"the MLflow UI did not answer within {STARTUP_SECONDS:g} seconds"
    raise TrackingError(what, where=f"{host}:{port}", fix=_ABOVE)


def _tables(address: Address, uri: str, server: str, name: str) -> dict[str, str]:
    """Return the addresses of the run tables of the experiment of a name, or else of the latest run; none without a run.

    :param uri: of the server, as MLflow takes it; it may hold a password, and ``server`` none
    :raises ConfigError: when there is no experiment of that name
    :raises TrackingError: when the server does not answer
    """
    try:
        found = _find_experiment(uri, name)
    except Exception as error:
        raise unusable(address, error) from None
    if name and (found is None or found.lifecycle_stage != "active"):
        fix = "look at [plugin.mlflow] experiment, or leave --experiment out"
        raise ConfigError(f"{address.shown} has no experiment {name!r}", where="--experiment", fix=fix)
    if found is None:
        return {}
    wanted = {"runs": RUNS_VIEW, f"leaderboards ({ROWS})": ROWS_VIEW}
    return {
        what: table_address(server, found.experiment_id, view, VIEW_TAG + view in found.tags)
        for what, view in wanted.items()
    }


def _find_experiment(uri: str, name: str) -> Any:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    if name:
        return client.get_experiment_by_name(name)
    ids = [e.experiment_id for e in client.search_experiments(max_results=1000)]
    latest = client.search_runs(ids, "tags.`vlrb.node` = 'run'", max_results=1, order_by=["start_time DESC"])
    return client.get_experiment(latest[0].info.experiment_id) if latest else None


def _show_tables(tables: Mapping[str, str], opens: bool) -> None:
    for what, table in tables.items():
        click.echo(f"{what}: {table}")
    if not tables:
        click.echo("no run of vlrb is tracked there yet", err=True)
    elif opens and sys.stdout.isatty() and has_display():
        thread = threading.Thread(target=webbrowser.open, args=(tables["runs"],), daemon=True)
        thread.start()
        thread.join(OPENING_SECONDS)  # some browsers are waited for until they are closed


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End all of MLflow's processes, by force if they do not go."""
    for step in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        if not _group_lives(process.pid):
            return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
