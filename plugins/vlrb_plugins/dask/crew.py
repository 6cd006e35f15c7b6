"""Which worker does which task: the connected workers, their tasks, and the tasks that wait."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

import attrs

from vlrb import Problem, Task, shorten_list

AHEAD = 2
"""Tasks that a worker gets beyond those that it can do at a time, while its tasks are quick."""
QUICK = 0.5
"""Seconds from giving a task to its end."""
_marks = itertools.count(1)
"""Of looks and attempts: a late word of an earlier job is of none of this one."""

Resources = tuple[tuple[str, float], ...]


@attrs.define(eq=False)
class Worker:
    """A worker: what it offers, why it is refused and whether that was printed, and the attempts that it has, by their marks."""

    address: str
    threads: int
    offers: Mapping[str, float]
    is_ready: bool = False
    ahead: int = 0
    refused: Sequence[Problem] = ()
    is_told: bool = False
    running: dict[int, Attempt] = attrs.Factory(dict)

    def judge(self, problems: Sequence[Problem]) -> None:
        """Let it have tasks, or none because of problems."""
        where = f"Dask worker {self.address}"
        self.refused = [attrs.evolve(p, where=f"{where}, {p.where}" if p.where else where) for p in problems]
        self.is_ready = not problems

    def offers_all(self, resources: Resources) -> bool:
        """Return whether it has all of these amounts."""
        return all(self.offers.get(name, 0) >= amount for name, amount in resources)

    def is_free(self, resources: Resources) -> bool:
        """Return whether it has a free thread, and all of these amounts left."""
        used = [a.task.resources for a in self.running.values()]
        return len(used) < self.threads + (0 if resources else self.ahead) and all(
            self.offers.get(name, 0) - sum(u.get(name, 0) for u in used) >= amount for name, amount in resources
        )


@attrs.frozen(eq=False)
class Attempt:
    """A task that a worker has, since ``given``; it may wait there for another one."""

    index: int
    number: int
    mark: int
    task: Task
    worker: Worker
    given: float = attrs.Factory(time.monotonic)


@attrs.define(eq=False)
class Crew:
    """The workers by address, and the tasks that wait, by what they need; ``left`` are the numbers of those that have not ended."""

    workers: dict[str, Worker] = attrs.Factory(dict)
    left: set[int] = attrs.Factory(set)
    _tasks: Sequence[Task] = ()
    _waiting: dict[Resources, deque[int]] = attrs.Factory(dict)
    _running: dict[int, Attempt] = attrs.Factory(dict)
    _attempts: dict[int, int] = attrs.Factory(dict)
    _started: set[int] = attrs.Factory(set)
    _looking: dict[int, Worker] = attrs.Factory(dict)
    _logged: dict[int, int] = attrs.Factory(dict)
    _told_before: dict[int, int] = attrs.Factory(dict)

    def add(self, tasks: Sequence[Task]) -> None:
        """Have tasks done in this order; those that need most come first if a worker could do several."""
        self._tasks, self.left = tasks, set(range(len(tasks)))
        needs = [_needs(task) for task in tasks]
        self._waiting = {need: deque() for need in sorted(set(needs), key=lambda n: (-len(n), n))}
        for i, need in enumerate(needs):
            self._waiting[need].append(i)

    def look(self, worker: Worker) -> int:
        """Return the mark of a worker's look at the job, without which it gets no task."""
        worker.is_ready, mark = False, next(_marks)
        self._looking = {m: w for m, w in self._looking.items() if w is not worker}
        self.workers[worker.address] = self._looking[mark] = worker
        return mark

    def looker(self, mark: int) -> Worker | None:
        """Return the worker whose check has this mark, if it has not ended."""
        return self._looking.get(mark)

    def has_looked(self, mark: int) -> Worker:
        """Return a worker whose look has ended."""
        return self._looking.pop(mark)

    def hand_out(self) -> list[Attempt]:
        """Give each free worker a task that it can do, those with the fewest first."""
        given = []
        ready = sorted((w for w in self.workers.values() if w.is_ready), key=lambda w: len(w.running) / w.threads)
        for need, waiting in self._waiting.items():
            for worker in ready:
                while waiting and worker.is_free(need):
                    given.append(self._give(waiting.popleft(), worker))
        return given

    def _give(self, index: int, worker: Worker) -> Attempt:
        self._attempts[index] = number = self._attempts.get(index, 0) + 1
        attempt = Attempt(index, number, next(_marks), self._tasks[index], worker)
        worker.running[attempt.mark] = self._running[attempt.mark] = attempt
        return attempt

    def current(self, mark: int) -> Attempt | None:
        """Return the attempt with this mark, if it is running."""
        return self._running.get(mark)

    def starts(self, attempt: Attempt) -> bool:
        """Note that a task has started; return whether it is for the first time."""
        is_first = attempt.index not in self._started
        self._started.add(attempt.index)
        return is_first

    def ended(self, attempt: Attempt) -> None:
        """Note that a worker no longer has a task."""
        del self._running[attempt.mark]
        del attempt.worker.running[attempt.mark]
        attempt.worker.ahead = AHEAD if time.monotonic() - attempt.given < QUICK else 0

    def again(self, attempt: Attempt) -> None:
        """Let a task wait again whose attempt has ended; steps that it has reported are not reported again."""
        self._told_before[attempt.index] = self._logged.get(attempt.index, -1)
        self._waiting[_needs(attempt.task)].appendleft(attempt.index)

    def take_back(self, attempts: Collection[Attempt]) -> None:
        """Let tasks wait again that their workers never did, or whose end would go unnoticed; this is not an attempt."""
        for attempt in attempts:
            self.ended(attempt)
            self.again(attempt)
            self._attempts[attempt.index] -= 1

    def take_back_all(self) -> None:
        """Let all running tasks wait again; workers must check the job again."""
        self.take_back([*self._running.values()])
        self._looking.clear()
        self.workers.clear()

    def take_from_gone(self, there: Collection[str]) -> list[Attempt]:
        """Remove the workers that have left; return what they were doing, and let what they had not begun wait again.

        What they were doing are the first attempts: the news that one has started may have died with its worker.
        """
        gone = [w for address, w in self.workers.items() if address not in there]
        for worker in gone:
            del self.workers[worker.address]
        self._looking = {mark: w for mark, w in self._looking.items() if w not in gone}
        doing = [a for w in gone for a in [*w.running.values()][: w.threads]]
        for attempt in doing:
            self.ended(attempt)
        self.take_back([a for w in gone for a in w.running.values()])
        return doing

    def is_new(self, attempt: Attempt, step: int) -> bool:
        """Return whether no earlier attempt has reported a step, and note it."""
        self._logged[attempt.index] = max(step, self._logged.get(attempt.index, -1))
        return step > self._told_before.get(attempt.index, -1)

    @property
    def is_stuck(self) -> bool:
        """Return whether tasks wait while no worker has a task, or checks the job."""
        return bool(self.left) and not self._running and not self._looking

    def missing(self) -> list[Problem]:
        """Return what is missing, for each kind of task that waits."""
        ready = [w for w in self.workers.values() if w.is_ready]
        found = []
        for need, waiting in self._waiting.items():
            if waiting and not any(w.offers_all(need) for w in ready):
                wanted = ", ".join(f"{name} = {amount:g}" for name, amount in need)
                offered = sorted({f"{name} = {amount:g}" for w in ready for name, amount in w.offers.items()})
                names = shorten_list([self._tasks[i].name for i in waiting])
                what = (
                    f"no worker offers {wanted} (offered: {', '.join(offered) or 'nothing'})"
                    if ready
                    else "there is no worker"
                )
                option = " ".join(f"{name}={amount:g}" for name, amount in need)
                how = f' with --resources "{option}", or change resources of the router or the features' if need else ""
                found.append(Problem(f"{what}, and these wait: {names}", "executor", f"start a worker{how}"))
        return found


def _needs(task: Task) -> Resources:
    return tuple(sorted(task.resources.items()))
