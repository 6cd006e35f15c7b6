"""An executor for each promise that it breaks, and which keeps all others; each forks its processes, which is quick."""

import multiprocessing
import os
import random
import threading

from vlrb import ExecutorSpec, Failure, Report, Task

BAD = []
FORK = multiprocessing.get_context("fork")


class Good:
    """Does tasks one after the other: here, or each in a process of its own."""

    def run(self, job, tasks, listener, here=None, *, limits=None):
        for task in tasks:
            self.do(job, task, listener, here)

    def do(self, job, task, listener, here):
        self.started(listener, task)
        report = Report(listener.progress, lambda step, values: listener.log(task, step, values))
        result = self.attempt(job, here, task, report) if here is not None else self.elsewhere(job, task, listener)
        self.ended(listener, task, result)

    def started(self, listener, task):
        listener.started(task)

    def ended(self, listener, task, result):
        listener.ended(task, result)

    def attempt(self, job, made, task, report):
        try:
            return job.work(made, report, *task.arguments)
        except Exception as error:
            return Failure.of(error)

    def elsewhere(self, job, task, listener):
        here, there = FORK.Pipe()
        process = FORK.Process(target=self.serve, args=(job, task, there))
        process.start()
        there.close()
        try:
            while True:
                kind, *content = here.recv()
                if kind == "ended":
                    return content[0]
                self.told(listener, task, kind, content)
        except EOFError:
            return self.died()
        finally:
            here.close()
            process.join()

    def died(self):
        return Failure.of(RuntimeError("the process died"))

    def told(self, listener, task, kind, content):
        listener.progress(*content) if kind == "progress" else listener.log(task, *content)

    def made(self, job):
        from vlrb.testing import executor_work

        executor_work.calls = 0
        return job.make(*job.shared)

    def serve(self, job, task, pipe):
        report = Report(lambda *c: pipe.send(("progress", *c)), lambda *c: pipe.send(("log", *c)))
        pipe.send(("ended", self.attempt(job, self.made(job), task, report)))


def breaks(promise):
    """Register the class as the executor that breaks a promise."""

    def add(cls):
        BAD.append((promise, ExecutorSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


@breaks("every-task-is-done")
class Wrong(Good):
    def ended(self, listener, task, result):
        usual = isinstance(result, dict) and result["process"] != os.getpid() and task.name == "task 3"
        wrong = usual and not self.failed
        listener.ended(task, {**result, "sum": 0} if wrong else result)

    failed = False

    def died(self):
        self.failed = True
        return super().died()

    def attempt(self, job, made, task, report):
        return super().attempt(job, made, task, report)

    def run(self, job, tasks, listener, here=None, *, limits=None):
        self.failed = job.work.__name__ != "add"
        super().run(job, tasks, listener, here, limits=limits)


@breaks("starts-before-it-ends")
class Untold(Good):
    def started(self, listener, task):
        pass


@breaks("no-tasks")
class Always(Good):
    def run(self, job, tasks, listener, here=None, *, limits=None):
        if not tasks:
            listener.started(Task("nothing", ()))
        super().run(job, tasks, listener, here, limits=limits)


@breaks("a-failure-holds-up-no-other")
class Raising(Good):
    def ended(self, listener, task, result):
        if isinstance(result, Failure) and isinstance(result.error, Exception) and "this task fails" in result.text:
            raise result.error
        listener.ended(task, result)


@breaks("a-process-may-die")
class Trusting(Good):
    def died(self):
        return None


@breaks("made-once-per-process")
class Again(Good):
    def made(self, job):
        super().made(job)
        return job.make(*job.shared)


@breaks("isolated-tasks")
class Claiming(Good):
    def ended(self, listener, task, result):
        one = isinstance(result, dict) and result["process"] != os.getpid()
        listener.ended(task, {**result, "process": 1} if one else result)


@breaks("progress-and-values-are-told")
class Quiet(Good):
    def told(self, listener, task, kind, content):
        if kind == "progress":
            super().told(listener, task, kind, content)


@breaks("listener-is-called-by-one")
class AtOnce(Good):
    def run(self, job, tasks, listener, here=None, *, limits=None):
        barrier = threading.Barrier(2)

        def tell():
            barrier.wait()
            listener.progress("beginning", 0, 1)

        threads = [threading.Thread(target=tell) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        super().run(job, tasks, listener, here, limits=limits)


@breaks("listener-ends-the-work")
class Deaf(Good):
    def ended(self, listener, task, result):
        try:
            listener.ended(task, result)
        except RuntimeError:
            pass


@breaks("works-here")
class Away(Good):
    def run(self, job, tasks, listener, here=None, *, limits=None):
        super().run(job, tasks, listener, None, limits=limits)


@breaks("random-state-untouched")
class Global(Good):
    def run(self, job, tasks, listener, here=None, *, limits=None):
        random.seed(8)
        super().run(job, tasks, listener, here, limits=limits)


@breaks("prints-nothing")
class Talking(Good):
    def started(self, listener, task):
        print(task.name)
        listener.started(task)


GOOD = [ExecutorSpec(name="good", summary="", factory=lambda _: Good())]
