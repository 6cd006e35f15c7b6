"""The connection to a cluster, kept until this process ends: each step of a run asks for it again."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from vlrb import ConfigError, Progress, StorageError, echo, interrupts
from vlrb_plugins.dask.params import DaskParams

LIMIT = 10.0
"""Seconds to wait for the end of something."""
START = 60.0
"""Seconds that a cluster on this machine has to start, or the time-out if that is longer."""
AGAIN = "start it again, or correct the address, then run the same command again: finished work is kept"


@attrs.frozen(eq=False)
class LocalCluster:
    """A cluster on this machine: a process with its own process group, which Ctrl-C does not reach."""

    process: subprocess.Popen[str]
    address: str

    @classmethod
    def start(cls, workers: int, timeout: float) -> LocalCluster:
        """Start the process, and wait until it says where its scheduler is."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        process = subprocess.Popen(
            [sys.executable, "-m", "vlrb_plugins.dask.cluster", str(workers)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], max(timeout, START))
            address = process.stdout.readline().strip() if ready else ""
            if not address:
                raise ConfigError(
                    f"a Dask cluster of {workers} workers did not start on this machine within {max(timeout, START):g} s",
                    where="executor",
                    fix="see what it printed above, or start one yourself and give its address",
                )
        except BaseException:
            _end_group(process, 0)
            raise
        return cls(process, address)

    def close(self) -> None:
        """End the process and those that it has started."""
        _end_group(self.process, LIMIT)


def _end_group(process: subprocess.Popen[str], patience: float) -> None:
    """End a process by closing its pipes, then kill what is left of its group."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@attrs.frozen(eq=False)
class Connection:
    """A client of a cluster, and the cluster if it was started here."""

    params: DaskParams
    client: Any
    address: str
    cluster: LocalCluster | None

    def close(self) -> None:
        """End both, in any state."""
        within(LIMIT / 2, lambda: self.client.close(timeout=LIMIT / 4))
        if self.cluster is not None:
            self.cluster.close()


_open: list[Connection] = []


def connected(params: DaskParams, progress: Progress) -> Connection:
    """Return the connection to a cluster: the one that was kept, if it is to the same cluster and still works.

    :raises ConfigError: when there is no scheduler
    """
    if _open and _open[0].params == params and _open[0].client.status == "running":
        return _open[0]
    close_connection()
    what = "connecting to Dask"
    progress(what, 0, 0)
    try:
        _open.append(_connection(params))
    finally:
        progress(what, 1, 0)
    atexit.register(close_connection)
    _tell_address(_open[0])
    return _open[0]


def close_connection() -> None:
    """End the connection that is kept, and the cluster, if it was started here."""
    atexit.unregister(close_connection)
    with interrupts.held():
        while _open:
            _open.pop().close()


def _connection(params: DaskParams) -> Connection:
    from distributed import Client

    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the executor reports what matters
    cluster = None
    address = params.address or (_address_in(params.scheduler_file, params.timeout) if params.scheduler_file else "")
    if not address:
        cluster = LocalCluster.start(params.workers or len(os.sched_getaffinity(0)), params.timeout)
        address = cluster.address
    try:
        client = Client(address, timeout=params.timeout, set_as_default=False, name="vlrb")
    except BaseException as error:
        if cluster is not None:
            cluster.close()
        if not isinstance(error, OSError | ValueError):  # also a TimeoutError
            raise
        if isinstance(error, OSError):
            what = f"no Dask scheduler answers within {params.timeout:g} s: {error}"
            fix = "start one (`dask scheduler`), or correct the address"
        else:
            what, fix = f"this is no address of a scheduler: {error}", "write it as tcp://10.0.0.1:8786"
        raise ConfigError(what, where=address, fix=fix) from None
    return Connection(params, client, address, cluster)


def _address_in(file: Path, timeout: float) -> str:
    """Return the address in a scheduler's file, which may appear a little later."""
    limit = time.monotonic() + timeout
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
        if time.monotonic() > limit:
            what = f"the file holds no address of a scheduler after {timeout:g} s"
            fix = f"start one (`dask scheduler --scheduler-file {file}`), or correct the path"
            raise ConfigError(what, where=str(file), fix=fix)
        time.sleep(0.1)


def _tell_address(connection: Connection) -> None:
    if logging.getLogger().level <= logging.WARNING:
        dashboard = connection.client.dashboard_link
        echo(f"Dask scheduler: {connection.address}" + (f", dashboard: {dashboard}" if dashboard else ""), err=True)


def lost(connection: Connection) -> StorageError:
    """Return the error for a lost scheduler."""
    what = f"the connection to the Dask scheduler was lost and did not come back within {connection.params.timeout:g} s"
    return StorageError(what, where=connection.address, fix=AGAIN)


def within(seconds: float, call: Callable[[], Any]) -> None:
    """Do something that may fail or hang, and return after this many seconds at the latest."""

    def attempt() -> None:
        with contextlib.suppress(Exception):
            call()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
