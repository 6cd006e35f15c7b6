"""``vlrb ui``: the MLflow UI on the right store, ended cleanly."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import click

from vlrb import ConfigError, TrackingError
from vlrb_plugins.mlflow.addresses import DEFAULT_URI, VARIABLE, Address, in_memory
from vlrb_plugins.mlflow.settings import DEFAULT_EXPERIMENT
from vlrb_plugins.mlflow.store import environment

STARTUP_SECONDS = 60.0
ANSWER_SECONDS = 10.0
GRACE_SECONDS = 5.0

ROWS = "tags.selected = 'true'"
TABLE = urlencode({"workflowType": "machine_learning", "searchFilter": ROWS}, quote_via=quote)
"""What the UI of MLflow 3 reads from the address of its run table."""

_ABOVE = "see what MLflow printed above, then run the command again"


@click.command()
@click.option(
    "--uri", default="", show_default=f"{VARIABLE}, else {DEFAULT_URI}", help="The store, as in [plugin.mlflow]."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def ui(uri: str, host: str, port: int) -> None:
    """Open the MLflow UI on the runs that were tracked here; Ctrl-C ends it."""
    address = Address.of(uri, "--uri")
    _check(address, host, port)
    with _first_signal_as_interrupt():
        # MLflow starts processes of its own: in a group of their own they can be ended together
        process = subprocess.Popen(_command(host, port), env=_environment(address), start_new_session=True)
        try:
            _wait_until_open(process, host, port)
            click.echo(f"MLflow UI of {address.shown} ({address.source}): http://{host}:{port} (Ctrl-C ends it)")
            experiment = _experiment_id(host, port)
            if experiment:
                click.echo(f"leaderboards ({ROWS}): http://{host}:{port}/#/experiments/{experiment}/runs?{TABLE}")
            status = process.wait()
            raise TrackingError(f"the MLflow UI ended by itself with status {status}", where=address.source, fix=_ABOVE)
        except KeyboardInterrupt:
            click.echo("ended", err=True)
        finally:
            _end_group(process)


def _check(address: Address, host: str, port: int) -> None:
    if address.is_server:
        raise ConfigError(
            f"{address.shown} is a server, which has a UI",
            where=address.source,
            fix="open the address in a browser, or name a database with --uri",
        )
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


def _experiment_id(host: str, port: int) -> str:
    """Return the id of the experiment to which runs go by default; empty where the store has none, or does not say."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
        path = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(DEFAULT_EXPERIMENT)}"
        connection.request("GET", path)
        found = json.loads(connection.getresponse().read())["experiment"]
        return quote(found["experiment_id"]) if found["lifecycle_stage"] == "active" else ""
    return ""


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
