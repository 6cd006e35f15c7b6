"""A run in the functions that make it up."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cell_work import COUNTING, Work

from vlrb.errors import ConfigError, DataError, ExitCode, PluginError, TrackingError, VlrbError
from vlrb.evaluation.metrics import cost_bounds
from vlrb.experiment.resolve import make_plan
from vlrb.plugins.observers import Observers
from vlrb.running.execution import CellsInProgress
from vlrb.running.reports import Reports
from vlrb.running.run import RunOutcome, execute, prepare


@pytest.mark.parametrize(
    ("top", "rows"), [("", "train"), ('cost_bounds = "all"', "all"), ('protocol = "paper"', "all")]
)
def test_a_run_takes_its_bounds_from_the_rows_that_it_names(work: Work, top: str, rows: str) -> None:
    """Train unless the experiment, or the paper's protocol, asks for all rows."""
    context = prepare(make_plan(work.experiment(top=top)), work.places, jobs=1)

    bounds, train = context.evaluated(context.splitting.splits, "test").bounds, [context.splitting.splits[0].train]
    assert bounds == cost_bounds(context.benchmark, train, rows)
    other = "all" if rows == "train" else "train"
    assert bounds.low != cost_bounds(context.benchmark, train, other).low


def test_what_cannot_be_run_is_refused_before_any_work(work: Work) -> None:
    """No router, and a label of --fresh that no router has; nothing is written."""
    for routers, fresh, said in (("", None, "[[router]]"), (COUNTING, ["countin"], "did you mean 'counting'")):
        with pytest.raises(ConfigError) as caught:
            execute(make_plan(work.experiment(routers)), work.places, jobs=1, fresh=fresh)
        assert said in caught.value.problems[0].fix

    assert not work.places.cache.exists()
    assert not work.places.runs.exists()


def test_a_finished_run_is_not_run_again(work: Work) -> None:
    """Its result is that of the first time, in the same folder; a fresh one gets a folder and the same choices."""
    plan = make_plan(work.experiment())
    first, again, fresh = (execute(plan, work.places, jobs=1, fresh=f) for f in (None, None, []))

    assert [o.already_finished for o in (first, again, fresh)] == [False, True, False]
    assert again.result.run.directory == first.result.run.directory != fresh.result.run.directory
    assert again.result.cells[0].scores == first.result.cells[0].scores
    assert fresh.result.cells[0].choices == first.result.cells[0].choices
    assert {o.exit_code for o in (first, again, fresh)} == {ExitCode.OK}


def test_observers_learn_that_a_run_has_ended_early(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it: a run that is tracked must not stay open."""
    told = []

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Observers, "call", lambda _, hook, **__: told.append(hook))
    monkeypatch.setattr(CellsInProgress, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(make_plan(work.experiment()), work.places, jobs=1)

    assert told == ["vlrb_run_start", "vlrb_run_interrupted"]


def test_a_folder_that_vanishes_during_a_run_is_named(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing on would make a folder that looks like a run and holds half of one."""
    monkeypatch.setattr(CellsInProgress, "finish", lambda self, *_: (shutil.rmtree(self.run.directory), ())[1])
    with pytest.raises(DataError, match="vanished") as caught:
        execute(make_plan(work.experiment()), work.places, jobs=1)

    assert not Path(caught.value.problems[0].where).exists()


@pytest.mark.parametrize(
    ("status", "errors", "code"),
    [
        ("done", [], ExitCode.OK),
        ("done", [TrackingError("x", fix="y")], ExitCode.TRACKING),
        ("done", [TrackingError("x", fix="y"), PluginError("x", fix="y")], ExitCode.PLUGIN),
        ("failed", [PluginError("x", fix="y")], ExitCode.CELLS_FAILED),
    ],
)
def test_the_worst_failure_is_the_exit_status(status: str, errors: list[VlrbError], code: ExitCode) -> None:
    """Cells weigh more than plugins, and these more than tracking: scripts see what costs most."""
    run: Any = SimpleNamespace(result=SimpleNamespace(cells=[SimpleNamespace(status=status)]))

    assert RunOutcome(run, Reports(()), tuple(errors), already_finished=False).exit_code == code


def test_a_report_that_fails_is_its_plugins_fault(work: Work) -> None:
    """Also where it says that data are wrong: the results are complete."""
    run: Any = SimpleNamespace(result=SimpleNamespace(cells=[]))
    reports = Reports((), [DataError("a column is missing", fix="add it")])

    assert RunOutcome(run, reports, (), already_finished=False).exit_code == ExitCode.PLUGIN
