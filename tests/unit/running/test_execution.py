"""Running the cells of an experiment: one that fails is a result, and what the system refuses ends the run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cell_work import COUNTING, Work

from vlrb.api.results import CellInfo, CellResult
from vlrb.errors import ConfigError, DataError, StorageError
from vlrb.executor import quiet
from vlrb.plugins.observers import Observers
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registry
from vlrb.running import execution
from vlrb.running.context import RunContext
from vlrb.running.execution import CellsInProgress

TWO = COUNTING + "sweep = { choice = [0, 1] }\n"
FEATURES = (
    '[features.f]\nencoders = ["hashed-text"]\nfusion = "concat"\n[[router]]\nuse = "knn"\nfeatures = "f"\n' + COUNTING
)


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that ends well has no files here: the tests' ``run_cell`` writes none."""

    def adopted(_: Any, cell: CellInfo, directory: Path, reused: bool) -> CellResult:
        return CellResult(cell, "done", reused, directory, {})

    monkeypatch.setattr(CellsInProgress, "_adopted", adopted)


def finished(context: RunContext, *hooks: Any) -> dict[str, str]:
    """Run all cells in this process; return the errors of the cells, by name."""
    plugin = Plugin("p", "d", "1", "o", object=SimpleNamespace(**dict(hooks)))
    observers = Observers(Registry((plugin,), {}, Selection()))
    directory = context.places.runs / "run"
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text("{}", encoding="utf-8")
    run: Any = SimpleNamespace(cells=context.cells(), directory=directory)
    results = CellsInProgress(context, run, observers, quiet).finish(run.cells, 1)
    assert not observers.errors
    assert [(directory / "cells" / r.cell.name / "error.txt").is_file() for r in results] == [
        bool(r.error) for r in results
    ]
    return {r.cell.name: r.error for r in results}


def test_a_cell_that_fails_stops_no_other(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error names the sample as the logs do, although routers see hashed names."""
    context = work.context(TWO)
    first, second = context.cells()

    def run_cell(context: RunContext, cell: CellInfo, *_: Any) -> None:
        if cell == first:
            raise DataError("no features", where=context.benchmark.opaque_ids[0], fix="make them")

    monkeypatch.setattr(execution, "run_cell", run_cell)
    errors = finished(context)

    assert context.benchmark.ids[0] in errors[first.name]
    assert errors[second.name] == ""


def test_a_full_disk_ends_the_run(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other cell would meet the same."""

    def run_cell(*_: Any) -> None:
        raise StorageError("the disk is full", fix="make room")

    monkeypatch.setattr(execution, "run_cell", run_cell)
    with pytest.raises(StorageError):
        finished(work.context(TWO))


def test_observers_follow_each_cell(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start and what its fit logs, as they happen, each with the cell that it is of."""
    told: list[Any] = []

    def run_cell(_context: RunContext, cell: CellInfo, _threads: int, log: Any, _progress: Any) -> None:
        log(1, {"loss": 0.5})

    monkeypatch.setattr(execution, "run_cell", run_cell)
    context = work.context(TWO)
    finished(
        context,
        ("vlrb_cell_start", lambda cell: told.append(cell.name)),
        ("vlrb_cell_log", lambda cell, step, values: told.append((cell.name, step, dict(values)))),
    )

    one, two = (c.name for c in context.cells())
    assert told == [one, (one, 1, {"loss": 0.5}), two, (two, 1, {"loss": 0.5})]


def test_a_cell_that_is_not_in_the_plan_is_refused(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that was edited during the run must not make results under its old key."""
    context = work.context()
    cells = context.cells()
    monkeypatch.setattr(RunContext, "key_of", lambda *_: "another")

    assert "changed during the run" in finished(context)[cells[0].name]


@pytest.mark.parametrize("error", [DataError("an image is broken", fix="get"), ConfigError("no weights", fix="get")])
def test_features_that_cannot_be_made_fail_their_cells_only(
    work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The others run; the error names the feature set and the fix."""
    context = work.context(FEATURES)

    def encoded(*_: Any) -> None:
        raise error

    monkeypatch.setattr(execution, "run_cell", lambda *_: None)
    monkeypatch.setattr(RunContext, "encoded", encoded)
    knn, counting = (c.name for c in context.cells())
    errors = finished(context)

    assert errors[knn].startswith("feature set 'f': ")
    assert errors[knn].endswith(" (fix: get)")
    assert errors[counting] == ""


def test_a_full_disk_while_encoding_ends_the_run(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other feature set would meet the same."""

    def encoded(*_: Any) -> None:
        raise StorageError("the disk is full", fix="make room")

    monkeypatch.setattr(RunContext, "encoded", encoded)
    with pytest.raises(StorageError):
        finished(work.context(FEATURES))
