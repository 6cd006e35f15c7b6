"""Promises of executors."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from vlrb.executor import Failure, Job, Limits, Listener, Task
from vlrb.testing import executor_work
from vlrb.testing.common import add_calm
from vlrb.testing.promises import Subject, Table, breach

BASE = 100


@attrs.define(eq=False)
class Told:
    """The calls of a listener, in order; ``stop`` is raised when a task ends."""

    stop: BaseException | None = None
    events: list[tuple[str, str]] = attrs.Factory(list)
    results: dict[str, Any] = attrs.Factory(dict)
    logged: list[tuple[str, int, float]] = attrs.Factory(list)
    progress: list[str] = attrs.Factory(list)
    overlapping: bool = False
    _busy: Any = attrs.Factory(threading.Lock)

    def listener(self) -> Listener:
        """Return the listener that notes it."""
        return Listener(ended=self._ended, progress=self._progress, started=self._started, log=self._log)

    def _note(self, note: Callable[[], Any]) -> None:
        alone = self._busy.acquire(blocking=False)
        self.overlapping |= not alone
        time.sleep(0.002)  # so that another call would come meanwhile
        note()
        if alone:
            self._busy.release()

    def _started(self, task: Task) -> None:
        self._note(lambda: self.events.append(("started", task.name)))

    def _ended(self, task: Task, result: Any) -> None:
        self._note(lambda: self.events.append(("ended", task.name)))
        self.results[task.name] = result
        if self.stop is not None:
            raise self.stop

    def _progress(self, what: str, done: int, total: int) -> None:
        self._note(lambda: self.progress.append(f"{what} {done}/{total}"))

    def _log(self, task: Task, step: int, values: Any) -> None:
        self._note(lambda: self.logged.append((task.name, step, values["number"])))


@attrs.define(eq=False, slots=False)
class ExecutorSubject(Subject):
    """An executor, and tasks for it."""

    def run(
        self, work: Any = executor_work.add, count: int = 4, here: Any = None, stop: Any = None, **limits: Any
    ) -> Told:
        """Do some tasks; return the listener's calls."""
        told = Told(stop)
        job = Job(executor_work.prepare, (BASE,), work)
        self.make("run").run(job, tasks(count), told.listener(), here, limits=Limits(**{"jobs": 2, **limits}))
        return told

    def work(self) -> None:
        """Do some tasks."""
        self.run(count=2)


def tasks(count: int) -> Sequence[Task]:
    """Return numbered tasks."""
    return [Task(f"task {i}", (i,), size=i) for i in range(count)]


def refuse_results(told: Told, count: int, failed: Sequence[int] = ()) -> None:
    """Refuse results that are not those of numbered tasks."""
    for i in range(count):
        result = told.results.get(f"task {i}", "no result")
        if i in failed:
            if not isinstance(result, Failure):
                breach(f"task {i} fails, and its result is {result!r} instead of a Failure")
        elif not isinstance(result, dict) or result["sum"] != BASE + i:
            breach(f"the result of task {i} is {result!r}, not a sum of {BASE + i}")


EXECUTOR = Table("executor", partial(ExecutorSubject.of, "executor"))


@EXECUTOR.promise("call listener.ended(task, work(make(*shared), report, *arguments)) once for each task")
def every_task_is_done(executor: ExecutorSubject) -> None:
    """Each task is done once, and its result reported."""
    told = executor.run()
    refuse_results(told, 4)
    ended = [name for what, name in told.events if what == "ended"]
    if len(ended) != 4:
        breach(f"the ends of {len(ended)} tasks were reported for 4 tasks")


@EXECUTOR.promise("call listener.started(task) before the task's work begins")
def starts_before_it_ends(executor: ExecutorSubject) -> None:
    """The start of each task is reported once, before its end."""
    events = executor.run().events
    for i in range(4):
        mine = [what for what, name in events if name == f"task {i}"]
        if mine != ["started", "ended"]:
            breach(f"of task {i} was reported: {', '.join(mine) or 'nothing'}")


@EXECUTOR.promise("return at once where there are no tasks")
def no_tasks(executor: ExecutorSubject) -> None:
    """Without tasks, nothing is reported."""
    if events := executor.run(count=0).events:
        breach(f"without tasks was reported: {events}")


@EXECUTOR.promise("turn what a task raises into vlrb.Failure.of(error), and go on with the others")
def a_failure_holds_up_no_other(executor: ExecutorSubject) -> None:
    """What a task raises is its result, a Failure; all others are done."""
    refuse_results(executor.run(executor_work.fail), 4, failed=(1,))


@EXECUTOR.promise("notice the end of a process, and report a Failure of each task that it had")
def a_process_may_die(executor: ExecutorSubject) -> None:
    """A task whose process dies has a Failure; with ``isolated``, all others are done."""
    refuse_results(executor.run(executor_work.die, isolated=True), 4, failed=(1,))


@EXECUTOR.promise("call job.make once in each process, and keep what it returns for all tasks of the process")
def made_once_per_process(executor: ExecutorSubject) -> None:
    """``make`` is called once in a process, however many tasks it does."""
    for name, result in executor.run(count=6).results.items():
        if isinstance(result, dict) and result["calls"] > 1:
            breach(f"before {name}, make had been called {result['calls']} times in its process")


@EXECUTOR.promise("start a process for each task where limits.isolated says so")
def isolated_tasks(executor: ExecutorSubject) -> None:
    """With ``isolated``, each task has a process to itself."""
    processes = [r["process"] for r in executor.run(isolated=True).results.values() if isinstance(r, dict)]
    if len(set(processes)) < len(processes) or os.getpid() in processes:
        breach(f"{len(processes)} tasks ran in {len(set(processes))} processes")


@EXECUTOR.promise("pass what tasks report on to listener.log and listener.progress")
def progress_and_values_are_told(executor: ExecutorSubject) -> None:
    """What tasks report of their progress, and the values that they log, reach the listener."""
    told = executor.run()
    expected = [(f"task {i}", i, float(i)) for i in range(4)]
    if sorted(told.logged) != expected:
        breach(f"the values reported are {sorted(told.logged)}, not {expected}")
    if told.progress.count("adding 1/2") != 4:
        breach(f"the progress reported is {told.progress}")


@EXECUTOR.promise("call the listener from one thread, or under a lock")
def listener_is_called_by_one(executor: ExecutorSubject) -> None:
    """The listener gets one call at a time."""
    if executor.run().overlapping:
        breach("the listener was called while another call was under way")


@EXECUTOR.promise("let what the listener raises end all work, and raise it when the other processes have ended")
def listener_ends_the_work(executor: ExecutorSubject) -> None:
    """What the listener raises ends the work, and is raised."""
    stop = RuntimeError("enough")
    try:
        executor.run(stop=stop, jobs=1)
    except RuntimeError as error:
        if error is not stop:
            breach(f"{error!r} was raised instead of what the listener raised")
    else:
        breach("the listener raised, and run() returned")


@EXECUTOR.promise("do tasks with here in this process; with jobs = 1, all of them")
def works_here(executor: ExecutorSubject) -> None:
    """With ``here`` and one job at a time, all is done in the main process, without another ``make``."""
    told = executor.run(here={"base": BASE, "calls": 0, "process": os.getpid()}, jobs=1)
    refuse_results(told, 4)
    if elsewhere := {r["process"] for r in told.results.values()} - {os.getpid()}:
        breach(f"{len(elsewhere)} other processes worked")


add_calm(EXECUTOR, "doing tasks")
