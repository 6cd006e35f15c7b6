"""An observer for each promise that it breaks, and which keeps all others."""

import os
import threading

from vlrb import hookimpl

BAD = []
release = threading.Event()


class Good:
    """Counts cells of the run that is under way."""

    def __init__(self):
        self.run, self.open, self.ended = None, set(), 0

    @hookimpl
    def vlrb_run_start(self, run):
        self.run, self.open, self.ended = run.key, set(), 0

    @hookimpl
    def vlrb_cell_start(self, run, cell):
        self.open.add(cell.name)

    @hookimpl
    def vlrb_cell_end(self, run, result):
        self.open.discard(result.cell.name)
        self.ended += 1

    @hookimpl
    def vlrb_run_end(self, result):
        if self.open:
            raise RuntimeError("cells are open")


def breaks(promise):
    """Register the class as the observer that breaks a promise."""

    def add(cls):
        BAD.append((promise, cls()))
        return cls

    return add


@breaks("hooks-are-known")
class Unknown(Good):
    @hookimpl
    def vlrb_run_finished(self, result):
        pass


@breaks("hooks-are-known")
class Idle:
    @hookimpl
    def vlrb_metrics(self):
        return []


@breaks("a-failed-cell")
class Scored(Good):
    @hookimpl
    def vlrb_cell_end(self, run, result):
        super().vlrb_cell_end(run, result)
        result.scores["test"]["overall"]


@breaks("a-run-that-is-found-finished")
class Strict(Good):
    @hookimpl
    def vlrb_cell_end(self, run, result):
        self.open.remove(result.cell.name)


@breaks("an-interrupted-run")
class Unclosed(Good):
    @hookimpl
    def vlrb_run_start(self, run):
        self.run = run.key

    @hookimpl
    def vlrb_cell_start(self, run, cell):
        if cell.name in self.open:
            self.open.clear()
            raise RuntimeError("the cell is open already")
        self.open.add(cell.name)


@breaks("two-runs")
class OneName(Good):
    def __init__(self):
        super().__init__()
        self.known = None

    @hookimpl
    def vlrb_run_start(self, run):
        before, self.known = self.known, run.name
        super().vlrb_run_start(run)
        if before == "done" and run.name == "changed":
            raise RuntimeError("one run only")


@breaks("cells-at-once")
class OneByOne(Good):
    @hookimpl
    def vlrb_cell_start(self, run, cell):
        self.open = {cell.name}

    @hookimpl
    def vlrb_cell_log(self, run, cell, step, values):
        if cell.name not in self.open:
            raise RuntimeError("of no open cell")


@breaks("surroundings-untouched")
class Variable(Good):
    @hookimpl
    def vlrb_run_start(self, run):
        os.environ["OBSERVED_BY_A_TEST"] = os.urandom(4).hex()
        super().vlrb_run_start(run)


@breaks("no-thread-is-left")
class Waiting(Good):
    @hookimpl
    def vlrb_run_end(self, result):
        thread = threading.Thread(target=release.wait, args=(0.5,), daemon=False)
        thread.start()


@breaks("hooks-return-nothing")
class Returning(Good):
    @hookimpl
    def vlrb_run_end(self, result):
        return result


GOOD = [Good()]
