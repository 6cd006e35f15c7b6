"""A figure for each promise that it breaks, and which keeps all others."""

import itertools
import random

from matplotlib.figure import Figure

from vlrb import FigureSpec, Undefined

BAD = []


def good(run, title="calls"):
    figure = Figure(figsize=(1, 1), dpi=20)
    figure.subplots().set_title(title)
    return figure


def breaks(promise, title="Calls"):
    """Register a function of the run as the figure that breaks a promise."""

    def add(function):
        BAD.append((promise, FigureSpec(name="bad", title=title, summary=function.__name__, factory=lambda _: function)))
        return function

    return add


def failed(run):
    return all(c.status == "failed" for c in run.result.cells)


class NoFigure:
    def savefig(self, file, **_):
        file.write(b"nothing")


@breaks("valid-figure")
def other(run):
    return good(run) if failed(run) else NoFigure()


@breaks("title-and-caption", title=" ")
def untitled(run):
    return good(run)


@breaks("leaves-pyplot-alone")
def by_pyplot(run):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot.figure(figsize=(1, 1), dpi=20)


count = itertools.count()


@breaks("same-figure-every-time")
def counted(run):
    return good(run, str(next(count)))


@breaks("failed-run")
def first_score(run):
    title = str(len(run.result.cells[0].scores["test"]))
    return good(run, title)


@breaks("random-state-untouched")
def drawing(run):
    random.seed(4)
    return good(run)


@breaks("prints-nothing")
def talking(run):
    print("drawing")
    return good(run)


GOOD = [
    FigureSpec(name="good", title="Calls", summary="caption", factory=lambda _: good),
    FigureSpec(name="good", title="Calls", summary="caption", factory=lambda _: lambda run: Undefined("nothing to show")),
]
