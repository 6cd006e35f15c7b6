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
import threading
import time
import webbrowser
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click

from vlrb import ConfigError, TrackingError
from vlrb_plugins.mlflow.addresses import DEFAULT_URI, VARIABLE, Address, in_memory
from vlrb_plugins.mlflow.store import environment
from vlrb_plugins.mlflow.views import ROWS, ROWS_VIEW, RUNS_VIEW, VIEW_TAG, table_address

STARTUP_SECONDS = 60.0
ANSWER_SECONDS = 10.0
GRACE_SECONDS = 5.0

_ABOVE = "see what MLflow printed above, then run the command again"


@click.command()
@click.option(
    "--uri", default="", show_default=f"{VARIABLE}, else {DEFAULT_URI}", help="The store, as in [plugin.mlflow]."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--experiment", default="", show_default="that of the latest run", help="The MLflow experiment to show.")
@click.option("--open/--no-open", "opens", default=True, help="Open the run table in a browser, from a terminal.")
def ui(uri: str, host: str, port: int, experiment: str, opens: bool) -> None:
    """Open the MLflow UI on the runs that were tracked here; Ctrl-C ends it."""
    address = Address.of(uri, "--uri")
    _check(address, host, port)
    with _first_signal_as_interrupt():
        # MLflow starts processes of its own: in a group of their own they can be ended together
        process = subprocess.Popen(_command(host, port), env=_environment(address), start_new_session=True)
        try:
            _wait_until_open(process, host, port)
            click.echo(f"MLflow UI of {address.shown} ({address.source}): http://{host}:{port} (Ctrl-C ends it)")
            tables = _tables(host, port, experiment)
            for what, table in tables.items():
                click.echo(f"{what}: {table}")
            if tables and opens and _has_screen():
                # a browser that is started may not return before it is closed
                threading.Thread(target=webbrowser.open, args=(tables["runs"],), daemon=True).start()
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


def _tables(host: str, port: int, name: str) -> dict[str, str]:
    """Return the addresses of the run tables; none where the store has no such experiment, or does not say."""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError, LookupError):
        found = _find_experiment(host, port, name)
        views = {tag["key"].removeprefix(VIEW_TAG) for tag in found.get("tags", ()) if tag["key"].startswith(VIEW_TAG)}
        wanted = {"runs": RUNS_VIEW, f"leaderboards ({ROWS})": ROWS_VIEW}
        server = f"http://{host}:{port}"
        return {
            what: table_address(server, found["experiment_id"], view, view in views) for what, view in wanted.items()
        }
    return {}


def _find_experiment(host: str, port: int, name: str) -> dict[str, Any]:
    """Return the experiment of a name, or that of the latest run that vlrb has tracked.

    :raises LookupError: where there is none
    """
    if name:
        query = urlencode({"experiment_name": name})
        experiment = _ask(host, port, f"experiments/get-by-name?{query}")["experiment"]
    else:
        ids = [e["experiment_id"] for e in _ask(host, port, "experiments/search", max_results=1000)["experiments"]]
        latest = {"filter": "tags.`vlrb.node` = 'run'", "max_results": 1, "order_by": ["attributes.start_time DESC"]}
        (run,) = _ask(host, port, "runs/search", experiment_ids=ids, **latest)["runs"]
        experiment = _ask(host, port, f"experiments/get?experiment_id={run['info']['experiment_id']}")["experiment"]
    if experiment["lifecycle_stage"] != "active":
        raise LookupError(name)
    return dict(experiment)


def _ask(host: str, port: int, path: str, **sent: Any) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        body = json.dumps(sent) if sent else None
        connection.request(
            "POST" if sent else "GET", f"/api/2.0/mlflow/{path}", body, {"Content-Type": "application/json"}
        )
        return dict(json.loads(connection.getresponse().read()))


def _has_screen() -> bool:
    """Tell whether a browser can open beside the terminal; without a display, Python would start one inside it."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return sys.stdout.isatty() and (named or sys.platform in ("darwin", "win32"))


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
