"""Promises of reports and figures, on small runs that are made once in a process."""

from __future__ import annotations

import atexit
import hashlib
import io
import logging
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.results import WithText
from vlrb.api.returned import checked_files, checked_text
from vlrb.api.routing import Undefined
from vlrb.benchmark.build import build
from vlrb.evaluation.built import BuiltBenchmark
from vlrb.executor import quiet
from vlrb.experiment.document import read_document
from vlrb.experiment.resolve import make_plan
from vlrb.experiment.toml_text import to_toml
from vlrb.notebook import DICT, run
from vlrb.running.comparison import compare_runs
from vlrb.storage import Places
from vlrb.testing.common import add_calm
from vlrb.testing.promises import NotPromised, Subject, Table, breach
from vlrb.testing.runs import SMALL, isolated
from vlrb.texts import is_text

logger = logging.getLogger("vlrb")

ROUTERS: Mapping[str, list[dict[str, Any]]] = {
    "done": [{"use": "by-word"}, {"use": "by-word", "label": "swept", "sweep": {"lambda": [0.0, 5.0]}}],
    "changed": [{"use": "by-word", "lambda": 50.0}],
    "failed": [{"use": "by-word", "fault": True}],
}
"""Runs to report on: a complete one, one that differs from it, and one whose only router has failed."""


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vlrb-testing-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _experiment(which: str) -> dict[str, Any]:
    return {
        "name": which,
        "requires": [],
        "seeds": [1, 2],
        "logs": {"use": "small", "samples": 40},
        "statistics": {"draws": 100},
        "report": [],
        "router": ROUTERS[which],
    }


@cache
def small_run(which: str = "done") -> Any:
    """Return a finished run on the small logs, one of :data:`ROUTERS`."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a failed cell is what is wanted
    try:
        with isolated(_folder()):
            return run(_experiment(which), plugins=(SMALL, "no:mlflow"))
    finally:
        logger.setLevel(level)


@cache
def subject_of(on: str, which: str = "done") -> Any:
    """Return what a report is on: a run, a benchmark, or a comparison with a run."""
    if on == "run":
        return small_run(which)
    if on == "comparison":
        return compare_runs([small_run("done"), small_run("changed" if which == "done" else which)])
    with isolated(_folder()):
        plan = make_plan(read_document(DICT, to_toml(_experiment("done"))), (SMALL, "no:mlflow"))
        places = Places.of()
        return BuiltBenchmark(build(plan, places, 1, quiet), plan, places, 1)


def files_below(folder: Path) -> dict[str, str]:
    """Return the files below a folder, and the hashes of their content."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@attrs.define(eq=False, slots=False)
class ReportSubject(Subject):
    """A report, and what it is on."""

    @cached_property
    def report(self) -> Any:
        """Return the report, made once."""
        return self.make("__call__")

    def on(self, which: str = "done") -> Any:
        """Return what the report is on."""
        return subject_of(self.spec.on, which)

    def write(self, name: str = "report", which: str = "done", report: Any = None) -> tuple[Path, list[Path]]:
        """Write the report into a folder; return the folder and the files that it says it wrote."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        written = (self.report if report is None else report)(self.on(which), folder)
        return folder, checked_files(written, self.who)

    def work(self) -> None:
        """Write the report."""
        self.write()


REPORT = Table("reporter", partial(ReportSubject.of, "reporter"))


@REPORT.promise("return the paths of the files that were written, below the directory that was given")
def files_are_written(report: ReportSubject) -> None:
    """The files that it returns are in the directory that it is given, and all files there are returned."""
    folder, files = report.write()
    named = {f if f.is_absolute() else folder / f for f in files}
    for file in named:
        if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            breach(f"it returned {str(file)!r}, which is not a file in the folder")
    if unnamed := sorted(
        set(files_below(folder)) - {f.resolve().relative_to(folder.resolve()).as_posix() for f in named}
    ):
        breach(f"it wrote {unnamed[0]!r} and did not return it")


@REPORT.promise("write into the given directory, and nowhere else")
def nothing_else_is_written(report: ReportSubject) -> None:
    """The run's own folder, and the working directory, stay as they were."""
    folders = [p for p in (Path.cwd(), getattr(report.on(), "directory", None)) if p is not None]
    before = [_names(folder) for folder in folders]
    report.write()
    for folder, names in zip(folders, before, strict=True):
        if new := sorted(_names(folder) ^ names):
            breach(f"{new[0]!r} in {folder} was written or removed")


def _names(folder: Path) -> set[str]:
    """Return the names in a folder, with the hashes of a run's files."""
    if (folder / "results.json").is_file():
        return {f"{name} {digest}" for name, digest in files_below(folder).items()}
    return {p.name for p in folder.iterdir()}


@REPORT.promise("leave out dates, durations and other values that change, or take them from the run")
def same_files_every_time(report: ReportSubject) -> None:
    """Two reports on the same subject write the same bytes."""
    first, second = (files_below(report.write(name, report=report.make("__call__"))[0]) for name in ("one", "two"))
    if differing := sorted(dict(first.items() ^ second.items())):
        breach(f"{differing[0]!r} differs between two reports")


@REPORT.promise("overwrite what an earlier report has left: `vlrb report` writes again into the same folder")
def written_again(report: ReportSubject) -> None:
    """It can be written into a folder that has an earlier report."""
    folder, _ = report.write()
    expected = files_below(folder)
    report.write()
    if differing := sorted(dict(expected.items() ^ files_below(folder).items())):
        breach(f"{differing[0]!r} differs after it was written again")


@REPORT.promise("expect rows without scores and metrics without a value (vlrb.Undefined)")
def failed_routers(report: ReportSubject) -> None:
    """A run whose routers have failed can be reported."""
    if report.spec.on == "benchmark":
        raise NotPromised("it is on benchmarks")
    report.write(which="failed")


@REPORT.promise("return a text from text(subject)")
def text_is_text(report: ReportSubject) -> None:
    """``text`` returns a text, the same each time."""
    made: Any = report.report
    if not isinstance(made, WithText):
        raise NotPromised("it has no method text()")
    first, second = (checked_text(made.text(report.on()), report.who) for _ in range(2))
    if first != second:
        breach("another text was returned the second time")


add_calm(REPORT, "writing the report")


@attrs.define(eq=False, slots=False)
class FigureSubject(Subject):
    """A figure, and runs to draw."""

    def drawn(self, which: str = "done") -> Any:
        """Return the figure of a run, or Undefined."""
        return self.make("__call__")(small_run(which))

    def png(self) -> bytes:
        """Return the figure of the complete run, as a file; if it is undefined, the reason."""
        figure = self.drawn()
        if isinstance(figure, Undefined):
            return figure.reason.encode()
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()

    def work(self) -> None:
        """Draw."""
        self.drawn()


FIGURE = Table("figure", partial(FigureSubject.of, "figure"))


@FIGURE.promise("return a matplotlib.figure.Figure, or vlrb.Undefined with the reason")
def valid_figure(figure: FigureSubject) -> None:
    """It draws a matplotlib Figure, or says why there is nothing to draw."""
    _refuse_other_than_figure(figure.drawn())


def _refuse_other_than_figure(drawn: Any) -> None:
    from matplotlib.figure import Figure

    if isinstance(drawn, Undefined):
        if not is_text(drawn.reason) or not drawn.reason:
            breach("it is undefined without a reason")
    elif not isinstance(drawn, Figure):
        breach(f"it returned {type(drawn).__name__}")


@FIGURE.promise("give the record a title to stand above the figure, and a summary as its caption")
def title_and_caption(figure: FigureSubject) -> None:
    """It has a title and a caption."""
    for name in ("title", "summary"):
        if not getattr(figure.spec, name).strip():
            breach(f"its {name} is empty")


@FIGURE.promise("make the figure by matplotlib.figure.Figure(), not by pyplot, which keeps it open")
def leaves_pyplot_alone(figure: FigureSubject) -> None:
    """No figure of pyplot is left open."""
    before = _open_figures()
    figure.drawn()
    if new := _open_figures() - before:
        breach(f"{len(new)} figures of pyplot are open")


def _open_figures() -> set[int]:
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()


@FIGURE.promise("draw nothing at random, and no dates")
def same_figure_every_time(figure: FigureSubject) -> None:
    """The same run gives the same picture."""
    if figure.png() != figure.png():
        breach("the second picture differs")


@FIGURE.promise("return vlrb.Undefined with the reason where no router has results")
def failed_run(figure: FigureSubject) -> None:
    """A run whose routers have failed gives a figure, or Undefined."""
    _refuse_other_than_figure(figure.drawn("failed"))


add_calm(FIGURE, "drawing")
