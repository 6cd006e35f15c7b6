"""Who gets which task, without a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import pytest
from dask_work import Heard, job

from vlrb import ConfigError, Problem, Task
from vlrb_plugins.dask import crew, executor, inside
from vlrb_plugins.dask.connection import Connection
from vlrb_plugins.dask.crew import Attempt, Crew, Worker
from vlrb_plugins.dask.executor import _Work
from vlrb_plugins.dask.inside import Expected, Refused, look, open_job
from vlrb_plugins.dask.messages import ENDED, LOG, pack, unpack
from vlrb_plugins.dask.params import DaskParams


def ready(made: Crew, address: str, threads: int = 1, **offers: float) -> Worker:
    """Add a worker that has looked at the job."""
    worker = Worker(address, threads, offers)
    made.has_looked(made.look(worker)).judge([])
    return worker


def given(made: Crew) -> dict[str, list[str]]:
    """Hand tasks out; return worker -> names of its new tasks."""
    found: dict[str, list[str]] = {}
    for attempt in made.hand_out():
        found.setdefault(attempt.worker.address, []).append(attempt.task.name)
    return found


def tasks(*names: str, **resources: float) -> list[Task]:
    """Return tasks that need something."""
    return [Task(name, (), resources=resources) for name in names]


@attrs.define
class Client:
    """A client of a cluster of nine workers, of which it shows five unless it is asked for all."""

    id: str = "Client-1"
    submitted: list[Any] = attrs.Factory(list)

    def scheduler_info(self, n_workers: int = 5) -> dict[str, Any]:
        """Return the workers."""
        found = {f"tcp://{i}": {"nthreads": 1} for i in range(9)}
        return {"workers": dict(list(found.items())[: n_workers if n_workers >= 0 else None])}

    def submit(self, call: Any, *arguments: Any, **_: Any) -> None:
        """Note a call."""
        self.submitted.append((call, *arguments))


def at_work(folder: Path, heard: Heard | None = None) -> _Work:
    """Return what gives tasks to a client that does none."""
    connection = Connection(DaskParams(), Client(), "tcp://s", None)
    return _Work(connection, (heard or Heard()).listener(), b"", Expected({}, folder / "token"))


def test_all_workers_are_asked_for(tmp_path: Path) -> None:
    """Some versions of distributed show five by default: the others would get no task, and what they did would be done again."""
    made = at_work(tmp_path)
    made.watch_workers()

    assert len(made.crew.workers) == len(made.client.submitted) == 9


def test_a_retry_tells_no_step_twice(tmp_path: Path) -> None:
    """Steps that are a running total go on from the highest one told, so that differences add up; none is told out of order."""
    heard = Heard()
    made = at_work(tmp_path, heard)
    made.crew.add(tasks("a"))
    ready(made.crew, "one")
    for steps in ((100, 200), (100, 150), (250, 300), (300, 301)):
        (attempt,) = made.crew.hand_out()
        for step in steps:
            made.handle(attempt.mark, LOG, step, {})
        made.crew.take_back([attempt])
        made.handle(attempt.mark, LOG, 999, {})

    assert [c[2] for c in heard.of("a")] == [100, 200, 250, 300, 301]


def test_refused_workers_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beside others that work; if there are none, the error alone says it."""
    made = at_work(tmp_path)
    made.crew.add(tasks("a"))
    made.join_or_refuse(made.crew.look(Worker("tcp://1", 1, {})), [Problem("differs")])
    made.tell_refused()
    assert caplog.text == ""
    with pytest.raises(ConfigError, match="Dask worker tcp://1: differs"):
        made.refuse_to_hang()

    ready(made.crew, "two")
    made.tell_refused()
    made.tell_refused()
    assert caplog.text.count("Dask worker tcp://1: differs") == 1


def test_a_process_that_differs_excludes_its_worker(tmp_path: Path) -> None:
    """Sources may be edited after the worker's look: its tasks go to others, and none of them has failed."""
    heard = Heard()
    made = at_work(tmp_path, heard)
    made.crew.add(tasks("a"))
    one = ready(made.crew, "tcp://1")
    (attempt,) = made.crew.hand_out()
    made.handle(attempt.mark, ENDED, pack(Refused([Problem("differs")])))
    ready(made.crew, "tcp://2")
    (again,) = made.crew.hand_out()

    assert [str(p) for p in one.refused] == ["Dask worker tcp://1: differs"]
    assert (again.worker.address, again.number, heard.results) == ("tcp://2", 1, {})


def test_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """Those of a day ago; a run that goes on for longer renews its own with each worker that joins."""
    stale, other, token = (tmp_path / f"{executor.TOKEN}{name}" for name in "abc")
    for file in (stale, other, token):
        executor._write_token(file)
    now = token.stat().st_mtime
    os.utime(stale, (now, now - executor.STALE - 1))
    os.utime(other, (now, now - executor.STALE + 60))
    executor._remove_stale_tokens(token)
    assert sorted(tmp_path.iterdir()) == [other, token]

    made = at_work(tmp_path)
    made.watch_workers()
    assert made.expected.token.exists()


def test_only_workers_that_have_looked_get_tasks() -> None:
    """Neither one that still looks nor one that is refused."""
    made = Crew()
    made.add(tasks("a", "b", "c"))
    made.look(Worker("looks", 1, {}))
    refused = Worker("refused", 1, {})
    made.has_looked(made.look(refused)).judge([Problem("differs")])
    ready(made, "two", threads=2)

    assert given(made) == {"two": ["a", "b"]}
    assert given(made) == {}


def test_resources_are_not_given_twice() -> None:
    """A worker with one GPU fits one router at a time on it, and others meanwhile; those that need most come first."""
    made = Crew()
    made.add(tasks("x", "y") + tasks("g", "h", GPU=1))
    ready(made, "gpu", threads=2, GPU=1)

    assert given(made) == {"gpu": ["g", "x"]}


def test_quick_tasks_are_given_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with long ones gets no task that would wait behind them while others are free."""
    made = Crew()
    made.add(tasks(*"abcdefg"))
    ready(made, "one")
    (first,) = made.hand_out()
    made.ended(first)
    assert given(made) == {"one": ["b", "c", "d"]}

    monkeypatch.setattr(crew, "QUICK", -1.0)
    for attempt in [*made.workers["one"].running.values()]:
        made.ended(attempt)
    assert given(made) == {"one": ["e"]}


def test_what_a_dead_worker_had_begun_counts_and_the_rest_does_not() -> None:
    """A task that only waited there has killed nothing."""
    made = Crew()
    made.add(tasks(*"abcd"))
    ready(made, "one")
    (first,) = made.hand_out()
    made.ended(first)
    made.hand_out()
    lost: list[Attempt] = made.take_from_gone([])

    assert [(a.task.name, a.number) for a in lost] == [("b", 1)]
    made.again(lost[0])
    ready(made, "two", threads=3)
    assert sorted((a.task.name, a.number) for a in made.hand_out()) == [("b", 2), ("c", 1), ("d", 1)]


def test_a_worker_that_does_not_see_the_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results would be nowhere; one that may not write there is refused too, each with what to do."""
    monkeypatch.setattr(inside, "PATIENCE", 0.0)
    token = tmp_path / "token"
    made = open_job(pack(job({})), pack(Expected({"the thing": "1"}, token)))
    (unseen,) = unpack(look(made, None))  # type: ignore[arg-type]
    assert str(unseen).startswith(f"{tmp_path}: the worker does not see this cache folder")
    assert "under the same path" in unseen.fix

    token.touch()
    assert unpack(look(made, None)) == []  # type: ignore[arg-type]

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(inside.tempfile, "TemporaryFile", refuse)
    (unwritable,) = unpack(look(made, None))  # type: ignore[arg-type]
    assert "cannot write in the cache folder: Permission denied" in str(unwritable)
