"""A report for each promise that it breaks, and which keeps all others."""

import itertools
import random
import tempfile
from pathlib import Path

from vlrb import ReporterSpec

BAD = []


class Good:
    """Writes the names of the cells."""

    def words(self, run):
        return " ".join(c.cell.name for c in run.result.cells)

    def __call__(self, run, directory):
        (directory / "cells.txt").write_text(self.words(run))
        return [directory / "cells.txt"]


class Showing(Good):
    def text(self, run):
        return self.words(run)


def breaks(promise):
    """Register the class as the report that breaks a promise."""

    def add(cls):
        BAD.append((promise, ReporterSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


@breaks("files-are-written")
class Forgetful(Good):
    def __call__(self, run, directory):
        super().__call__(run, directory)
        return []


@breaks("files-are-written")
class Elsewhere(Good):
    def __call__(self, run, directory):
        file = Path(tempfile.mkdtemp()) / "cells.txt"
        file.write_text(self.words(run))
        return [file]


@breaks("nothing-else-is-written")
class Intruding(Good):
    def __call__(self, run, directory):
        with (run.directory / "noted.txt").open("a") as file:
            file.write("x")
        return super().__call__(run, directory)


@breaks("same-files-every-time")
class Numbered(Good):
    count = itertools.count()

    def __init__(self):
        self.number = next(self.count)

    def words(self, run):
        return str(self.number)


@breaks("written-again")
class Once(Good):
    def __call__(self, run, directory):
        (directory / "sub").mkdir()
        return super().__call__(run, directory)


@breaks("failed-routers")
class Scored(Good):
    def words(self, run):
        return str(run.result.cells[0].scores["test"]["overall"])


@breaks("text-is-text")
class Bytes(Showing):
    def text(self, run):
        return self.words(run).encode()


@breaks("random-state-untouched")
class Global(Good):
    def words(self, run):
        random.seed(6)
        return super().words(run)


@breaks("prints-nothing")
class Talking(Good):
    def words(self, run):
        print("reporting")
        return super().words(run)


GOOD = [ReporterSpec(name="good", summary="", factory=lambda _, c=cls: c()) for cls in (Good, Showing)]
