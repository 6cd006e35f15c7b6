"""Tasks on a real scheduler and workers: results, messages, and what happens when something dies."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dask_work import LIMIT, Cluster, Heard, Wire, alive_in_group, is_gone, job, wait_for

from vlrb import ConfigError, StorageError, Task
from vlrb_plugins.dask.connection import close_connection
from vlrb_plugins.dask.executor import DaskExecutor
from vlrb_plugins.dask.params import DaskParams


def do(cluster: Cluster | None, tasks: Sequence[Task], heard: Heard | None = None, **params: Any) -> Heard:
    """Do tasks on a cluster; return what the listener heard."""
    heard = heard or Heard()
    if cluster is not None:
        params = {"address": cluster.address, "timeout": LIMIT, **params}
    DaskExecutor(DaskParams(**params)).run(job(), tasks, heard.listener())
    return heard


def in_background(call: Any) -> threading.Thread:
    """Do something in another thread."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_results_and_failures_come_back(cluster: Cluster) -> None:
    """A task's exception is its failure, with the traceback, and holds up no other."""
    heard = do(cluster, [Task("a", ("x",)), Task("b", ("raise", 7)), Task("c", ("y",))])

    assert (heard.results["a"], heard.results["c"]) == ("x", "y")
    assert "ValueError: no good: 7" in heard.results["b"]
    assert "Traceback" in heard.results["b"]


def test_what_a_task_tells_comes_in_order_and_before_its_end(cluster: Cluster) -> None:
    """Curves are drawn from it: no step may be lost, or come after the end."""
    heard = do(cluster, [Task(name, ("log", 200)) for name in "abcd"])

    for name in "abcd":
        steps = [("log", name, i, {"value": float(i)}) for i in range(200)]
        assert heard.of(name) == [("started", name), *steps, ("ended", name)]
    assert ("progress", "counting", 0, 200) in heard.calls


def test_tasks_share_a_process_and_a_new_call_has_another(cluster: Cluster) -> None:
    """What tasks share is made once per worker; the next call imports code that was edited meanwhile again."""
    tasks = [Task(str(i), ("log", 1)) for i in range(30)]
    first, second = (set(do(cluster, tasks).results.values()) for _ in range(2))

    assert len(first) <= 2
    assert len(second) <= 2
    assert not first & second


def test_all_messages_of_a_client_have_one_topic(cluster: Cluster) -> None:
    """That of its identity, which the scheduler clears when the client is gone; it would keep others for ever."""
    from vlrb_plugins.dask import connection

    for _ in range(2):
        do(cluster, [Task("a", ("x",))])
    client = connection._open[0].client
    found = client.get_events()

    assert any(isinstance(event, bytes) for _, event in found[client.id])
    assert not [topic for topic in found if topic.startswith("vlrb-")]


def test_tasks_run_in_the_workers_folders_with_their_threads(cluster: Cluster) -> None:
    """The number of threads is that of the executor, wherever the worker is; nothing runs in the main process."""
    found = do(cluster, [Task(str(i), ("where",)) for i in range(8)], threads=3).results.values()

    assert {f["folder"] for f in found} <= {str(cluster.folder / name) for name in ("one", "two")}
    assert {(f["threads"], f["environment"]) for f in found} == {(3, "3")}


def test_a_resource_is_asked_for(cluster: Cluster) -> None:
    """Only the worker that offers one GPU gets these tasks."""
    found = do(cluster, [Task(str(i), ("where",), resources={"GPU": 1}) for i in range(4)]).results.values()

    assert {f["folder"] for f in found} == {str(cluster.folder / "two")}


def test_a_resource_that_nobody_offers_is_an_error(cluster: Cluster) -> None:
    """Instead of waiting for ever; other tasks are done before."""
    heard = Heard()
    with pytest.raises(ConfigError) as caught:
        do(cluster, [Task("big", ("x",), resources={"GPU": 8}), Task("small", ("y",))], heard, timeout=2.0)

    assert heard.results == {"small": "y"}
    text = str(caught.value)
    assert "no worker offers GPU = 8 (offered: GPU = 1), and these wait: big" in text
    assert '--resources "GPU=8"' in text


def test_no_worker_is_an_error(scheduler: Cluster) -> None:
    """A scheduler alone does nothing."""
    with pytest.raises(ConfigError, match="there is no worker"):
        do(scheduler, [Task("a", ("x",))], timeout=1.0)


def test_no_scheduler_is_an_error(tmp_path: Path) -> None:
    """Neither at an address nor in a file."""
    with pytest.raises(ConfigError, match="no Dask scheduler answers within 1 s"):
        DaskExecutor(DaskParams(address="tcp://127.0.0.1:9", timeout=1.0)).run(
            job(), [Task("a", ("x",))], Heard().listener()
        )
    with pytest.raises(ConfigError, match="the file holds no address of a scheduler after 0.2 s"):
        DaskExecutor(DaskParams(scheduler_file=tmp_path / "none", timeout=0.2)).run(
            job(), [Task("a", ("x",))], Heard().listener()
        )


def test_two_clusters_are_refused() -> None:
    """An address and a file may name different ones."""
    with pytest.raises(ValueError, match="address and workers name different clusters"):
        DaskParams(address="tcp://a:1", workers=2)


def test_the_task_of_a_worker_that_dies_is_tried_again(
    scheduler: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a worker that comes later; steps that it had logged are not reported twice, and a warning says so."""
    scheduler.start_worker("one")
    file = tmp_path / "waiting"

    def kill() -> None:
        wait_for(file.exists)
        os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)
        scheduler.start_worker("late")

    thread = in_background(kill)
    heard = do(scheduler, [Task("a", ("first-sleeps", str(file)))])
    thread.join()

    assert heard.of("a") == [("started", "a"), ("log", "a", 1, {"value": 1.0}), ("ended", "a")]
    assert heard.results == {"a": "again"}
    assert "a, attempt 1 on Dask worker tcp://127.0.0.1:" in caplog.text
    assert "trying again" in caplog.text


def test_a_task_that_ends_its_process_three_times_fails(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Others are done, and the worker lives on."""
    heard = do(cluster, [Task("bad", ("exit",)), *(Task(str(i), ("x",)) for i in range(5))])

    assert "it was tried 3 times, and each time its worker or process died" in heard.results["bad"]
    assert "exit status 3" in heard.results["bad"]
    assert "check the memory" in heard.results["bad"]
    assert [heard.results[str(i)] for i in range(5)] == ["x"] * 5
    assert caplog.text.count("trying again") == 2


def test_a_task_that_kills_its_worker_three_times_fails(caplog: pytest.LogCaptureFixture) -> None:
    """On a cluster of this machine, whose workers are started again; it is ended with all its processes."""
    from vlrb_plugins.dask import connection

    heard = do(None, [Task("bad", ("kill-worker",)), Task("good", ("x",))], workers=1, timeout=LIMIT)
    process = connection._open[0].cluster.process  # type: ignore[union-attr]

    assert "it was tried 3 times" in heard.results["bad"]
    assert heard.results["good"] == "x"
    connection.close_connection()
    assert process.poll() is not None
    assert alive_in_group(process.pid) == []


def test_what_tasks_print_on_a_local_cluster_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """A pipe that nobody reads is full after 64 KiB, and the task would wait for ever."""
    heard = do(None, [Task("a", ("print", 300_000))], workers=1, timeout=LIMIT)
    close_connection()

    assert heard.results == {"a": "print"}
    shown = capfd.readouterr()
    assert (shown.out, "x" * 300_000 in shown.err) == ("", True)


def test_a_worker_that_differs_gets_no_task(
    scheduler: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named with what differs, once; one like the asking process, which comes later, does the work."""
    scheduler.start_worker("other", DASK_WORK_THING="2")
    with pytest.raises(ConfigError) as caught:
        DaskExecutor(DaskParams(address=scheduler.address)).run(job({}), [Task("a", ("where",))], Heard().listener())
    assert "the thing is 2 on the worker, and 1 where vlrb was started" in str(caught.value)
    assert "Dask worker tcp://127.0.0.1:" in str(caught.value)
    assert "the thing" not in caplog.text

    scheduler.start_worker("same")
    heard = Heard()
    wait_for(lambda: _runs(scheduler, heard))
    assert heard.results["a"]["folder"] == str(tmp_path / "same")


def test_a_process_that_starts_later_is_looked_at_too(scheduler: Cluster, tmp_path: Path) -> None:
    """What counts was edited after the worker's look: no task is done with it."""
    file = tmp_path / "thing"
    file.write_text("1", encoding="utf-8")
    scheduler.start_worker("one", DASK_WORK_THING=str(file))
    heard = Heard()
    with pytest.raises(ConfigError, match="the thing is 2 on the worker, and 1 where vlrb was started"):
        DaskExecutor(DaskParams(address=scheduler.address)).run(
            job({}), [Task("a", ("edit", str(file)))], heard.listener()
        )
    assert heard.results == {}


def _runs(scheduler: Cluster, heard: Heard) -> bool:
    try:
        DaskExecutor(DaskParams(address=scheduler.address)).run(job({}), [Task("a", ("where",))], heard.listener())
    except ConfigError:
        return False
    return True


def test_a_scheduler_that_dies_is_an_error(scheduler: Cluster, tmp_path: Path) -> None:
    """After the time in which it might come back; the message says that a new run goes on."""
    scheduler.start_worker("one")
    file = tmp_path / "waiting"

    def kill() -> None:
        wait_for(file.exists)
        scheduler.processes[0].kill()

    thread = in_background(kill)
    with pytest.raises(StorageError, match="the connection to the Dask scheduler was lost") as caught:
        do(scheduler, [Task("a", ("first-sleeps", str(file)))], timeout=3.0)
    thread.join()
    assert "run the same command again" in str(caught.value)


def test_a_connection_that_comes_back_is_used(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A network that fails for a moment ends no run: running tasks are done, and reported once."""
    wire = Wire(cluster.address)
    file = tmp_path / "sleeps"

    def cut() -> None:
        wait_for(file.exists)
        wire.cut()
        wait_for(lambda: "is lost" in caplog.text)
        wire.is_cut = False

    try:
        thread = in_background(cut)
        heard = do(None, [Task("a", ("sleep", str(file), 3.0)), Task("b", ("x",))], address=wire.address, timeout=LIMIT)
        thread.join()
        close_connection()
    finally:
        wire.close()

    assert heard.results == {"a": "sleep", "b": "x"}
    assert [c for c in heard.calls if c[0] == "started"].count(("started", "a")) == 1
    assert "the connection to the Dask scheduler is back" in caplog.text


def test_what_the_listener_raises_ends_the_work(cluster: Cluster, tmp_path: Path) -> None:
    """Also a task that is under way: its process is interrupted."""
    file = tmp_path / "waiting"
    heard = Heard()
    listener = heard.listener()

    def fail(*_: Any) -> None:
        wait_for(file.exists)
        raise RuntimeError("enough")

    import attrs

    tasks = [Task("a", ("first-sleeps", str(file))), Task("b", ("log", 1))]
    with pytest.raises(RuntimeError, match="enough"):
        DaskExecutor(DaskParams(address=cluster.address)).run(job(), tasks, attrs.evolve(listener, ended=fail))
    worker = int(file.read_text(encoding="utf-8"))
    children = Path(f"/proc/{worker}/task/{worker}/children")
    assert not is_gone(worker)
    wait_for(lambda: len(children.read_text().split()) <= 1)  # the resource tracker of multiprocessing
