"""Three hosts, each a network namespace: one is cut off in the middle of a run.  Skipped where namespaces are not permitted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dask_work import Cluster, wait_for

HOSTS = ("one", "two", "three")
ROUTER = '[[router]]\nuse = "counting"\nlabel = "slow-{i}"\nfile = "{folder}/fits-{i}"\nwait = 1.5\nchoice = {choice}\n'


def ip(*arguments: str, check: bool = True) -> bool:
    """Call ip; return whether it succeeded."""
    return subprocess.run(["ip", *arguments], capture_output=True, check=check).returncode == 0


def named(host: str) -> str:
    """Return the namespace of a host, a name of this process's own."""
    return f"vlrb-{os.getpid()}-{host}"


def address_of(host: str) -> str:
    """Return a host's address."""
    return f"10.213.7.{HOSTS.index(host) + 1}"


def connect(bridge: str) -> None:
    """Make a host for each name, and connect them."""
    ip("link", "add", bridge, "type", "bridge")
    ip("link", "set", bridge, "up")
    for number, host in enumerate(HOSTS):
        outer, inner = f"{bridge}o{number}", f"{bridge}i{number}"
        ip("netns", "add", named(host))
        ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", named(host))
        ip("link", "set", outer, "master", bridge, "up")
        ip("-n", named(host), "addr", "add", f"{address_of(host)}/24", "dev", inner)
        ip("-n", named(host), "link", "set", inner, "up")
        ip("-n", named(host), "link", "set", "lo", "up")


@pytest.fixture
def bridge() -> Iterator[str]:
    """Return the bridge that connects three hosts."""
    name = f"v{os.getpid() % 10**6}"
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    try:
        try:
            connect(name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not permitted: {error.stderr.decode().strip()}")
        yield name
    finally:
        for host in HOSTS:
            ip("netns", "del", named(host), check=False)
        ip("link", "del", name, check=False)


def inside(host: str) -> list[str]:
    """Return the beginning of a command that runs on a host."""
    return ["ip", "netns", "exec", named(host)]


def test_a_host_that_is_cut_off_loses_nothing(project: Any, bridge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets are dropped without an error: the other host does the cells, and the run succeeds."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "8s")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")
    before = {"scheduler": inside("one"), "two": inside("two"), "three": inside("three")}
    cluster = Cluster(project.folder, address_of("one"), before)
    try:
        routers = "".join(ROUTER.format(i=i, folder=project.folder, choice=i % 3) for i in range(6))
        cluster.start_scheduler()
        for host in ("two", "three"):
            cluster.start_worker(host, "--host", address_of(host), VLRB_LOCK_MACHINE=host)
        file = project.experiment(routers, more=f'[executor]\nuse = "dask"\nscheduler_file = "{cluster.file}"\n')
        command = [*inside("one"), sys.executable, "-m", "vlrb", "-p", "no:mlflow", "run", str(file)]
        process = subprocess.Popen(
            command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: len(list(Path(project.folder).glob("fits-*"))) >= 3 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        ip("link", "set", f"{bridge}o2", "down")
        _, told = process.communicate(timeout=120)

        assert process.returncode == 0, told
        (run,) = project.results()
        assert [c["status"] for c in run["cells"]] == ["done"] * 6
        assert "again" in told
    finally:
        cluster.close()
