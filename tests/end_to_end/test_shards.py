"""Shards: processes that share a cache do the pieces of a run, and a run joins them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vlrb.testing import executor_work

ROUTERS = "".join(
    f'[[router]]\nuse = "counting"\nlabel = "slow-{i}"\nfile = "fits-{i}"\nwait = 0.4\nchoice = {i % 3}\n'
    for i in range(4)
)
KNN = '[features.f]\nencoders = ["hashed-text"]\n[[router]]\nuse = "knn"\nfeatures = "f"\nsweep = { k = [3, 5] }\n'


def choices(project: Any) -> dict[str, Any]:
    """Return what every cell of the only run chose."""
    (run,) = project.folder.glob("runs/t/2*")
    return {f"{f.parent.name}/{f.name}": pq.read_table(f) for f in sorted(run.glob("cells/*/*.parquet"))}


def fits(project: Any) -> list[int]:
    """Return how often each of the slow routers was fitted."""
    return [len((project.folder / f"fits-{i}").read_text(encoding="utf-8").split()) for i in range(4)]


def test_shards_share_the_work_and_a_run_joins_it(project: Any) -> None:
    """Each fit is done once, by any shard; only the cache is written; the joining run fits nothing and has the same numbers."""
    file = project.experiment(ROUTERS + KNN, "[selection]\nrefit = true\n")
    shards = [project.process("run", file, "--shard", f"{i}/3") for i in (1, 2, 3)]
    outs = [p.communicate(timeout=180) for p in shards]
    assert [p.returncode for p in shards] == [0, 0, 0], outs
    assert fits(project) == [2, 2, 2, 2]  # on train, and again on train and dev
    assert not list(project.folder.glob("runs/*"))
    assert "joins the shards" in outs[0][0]

    joined = project.vlrb("run", file, "--json")
    assert joined.status == 0, joined.err
    assert all(c["reused"] for c in joined.json["cells"])
    assert fits(project) == [2, 2, 2, 2]
    shared = choices(project)

    shutil.rmtree(project.folder / "runs")
    shutil.rmtree(project.folder / ".vlrb-cache")
    alone = project.vlrb("run", file)
    assert alone.status == 0, alone.err
    found = choices(project)
    assert found.keys() == shared.keys()
    assert all(table.equals(shared[name]) for name, table in found.items())


def test_the_piece_of_a_killed_shard_is_free_again(project: Any) -> None:
    """kill -9 in the middle of a fit: the other shard does that piece too, and ends with everything done."""
    file = project.experiment(ROUTERS.replace("wait = 0.4", "wait = 1.5"))
    first = project.process("run", file, "--shard", "1/2")
    deadline = time.monotonic() + 60
    while not (project.folder / "fits-0").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    other = project.process("run", file, "--shard", "2/2")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    out, err = other.communicate(timeout=180)

    assert other.returncode == 0, err
    assert fits(project) == [2, 1, 1, 1]
    assert "4 cells here" in out


def test_a_cell_that_fails_is_told_and_the_others_are_done(project: Any) -> None:
    """Status 1, the name and the reason; with --json what is done and what is not."""
    file = project.experiment('[[router]]\nuse = "cheapest"\n[[router]]\nuse = "faulty"\nfault = "raise"\n')
    shown = project.vlrb("run", file, "--shard", "1/1")
    assert shown.status == 1
    assert "error: faulty-seed42 failed: " in shown.err
    assert 'raise ValueError("cannot learn this")' in shown.err  # nothing else keeps the traceback
    assert "cells: 1/2" in shown.err
    told = project.vlrb("run", file, "--shard", "1/1", "--json")

    assert told.json["done"] == ["cheapest"] or [n.split("-")[0] for n in told.json["done"]] == ["cheapest"]
    assert told.json["failed"][0]["cell"] == "faulty-seed42"


def test_a_cell_that_ends_its_process_does_not_end_the_shard(project: Any) -> None:
    """Else it would end every shard, one after the other, and the launcher would start them again."""
    file = project.experiment('[[router]]\nuse = "faulty"\nfault = "die"\n[[router]]\nuse = "cheapest"\n')
    told = project.vlrb("run", file, "--shard", "1/1", "--json")

    assert told.status == 1
    assert [name.partition("-")[0] for name in told.json["done"]] == ["cheapest"]
    assert [f["cell"] for f in told.json["failed"]] == ["faulty-seed42"]
    assert "a process died (SIGKILL)" in told.err


def test_shards_share_the_reading_of_logs(project: Any) -> None:
    """Each part once; the first one is held up until both shards read, which they would not if one had all of them."""
    begins = "    def read(self, part: Part, catalog: Any) -> Any:\n"
    wait = """        with Path("reads").open("a", encoding="utf-8") as file:
            file.write(f"{part.id} {os.getpid()}\\n")
        limit = time.monotonic() + 60
        while len({line.split()[1] for line in Path("reads").read_text(encoding="utf-8").splitlines()}) < 2:
            assert time.monotonic() < limit, "the other shard reads nothing"
            time.sleep(0.01)
"""
    text = project.plugin.read_text(encoding="utf-8")
    assert begins in text
    project.plugin.write_text(text.replace(begins, begins + wait), encoding="utf-8")
    file = project.experiment()
    shards = [project.process("run", file, "--shard", f"{i}/2") for i in (1, 2)]
    outs = [p.communicate(timeout=180) for p in shards]

    assert [p.returncode for p in shards] == [0, 0], outs
    reads = [line.split()[0] for line in (project.folder / "reads").read_text(encoding="utf-8").splitlines()]
    assert len(reads) == len(set(reads)) == 8


def test_one_process_does_tasks_until_it_dies(tmp_path: Path) -> None:
    """Where the asking process does none; the task that it died of has a failure, and another process does the next."""
    from vlrb import Failure, Job, Listener, Task
    from vlrb_plugins.executors.shards import ShardParams, SharedExecutor

    results: list[Any] = []
    tasks = [Task(f"t{i}", (i,), makes=tmp_path / f"{i}") for i in range(4)]
    listener = Listener(lambda _, result: results.append(result), lambda *_: None)
    SharedExecutor(ShardParams()).run(Job(executor_work.prepare, (100,), executor_work.die), tasks, listener)

    first, died, *more = results
    assert isinstance(died, Failure)
    assert [r["sum"] for r in (first, *more)] == [100, 102, 103]
    assert more[0]["process"] == more[1]["process"] not in (first["process"], os.getpid())


@pytest.mark.parametrize("count", [2, 5])
def test_a_shard_begins_at_its_share(count: int) -> None:
    """So that shards that start together meet as late as they can; together they begin everywhere."""
    from vlrb import Job, Listener, Task
    from vlrb_plugins.executors.shards import ShardParams, SharedExecutor

    tasks = [Task(f"t{i}", (i,), makes=Path(f"nowhere/{i}")) for i in range(10)]
    firsts = []
    for index in range(1, count + 1):
        order: list[str] = []
        job = Job(make, (), lambda *_: None)
        listener = Listener(lambda *_: None, lambda *_: None, lambda t, order=order: order.append(t.name))  # type: ignore[misc]
        SharedExecutor(ShardParams(index=index, count=count)).run(job, tasks, listener, object())
        firsts.append(order[0])
        assert sorted(order) == sorted(t.name for t in tasks)

    assert firsts == [f"t{i * 10 // count}" for i in range(count)]


def make() -> None:
    """Make what tasks share: nothing."""
