"""What several tests of cells and of finished runs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from cell_work import Work
from finished_runs import OTHER, make_run

from vlrb.api.comparison import Comparison
from vlrb.running.comparison import compare_runs
from vlrb.running.finished import FinishedRun


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Work(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of three folds with two seeds and a sweep."""
    return make_run(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of the same folds with another parameter, no sweep, and one router more."""
    return make_run(tmp_path_factory.mktemp("other"), OTHER)


@pytest.fixture(scope="session")
def found(first: FinishedRun, other: FinishedRun) -> Comparison:
    """Return these two, compared."""
    return compare_runs([first, other])
