"""Finished runs on the tiny logs, read from their directories with the plugins that made them."""

from __future__ import annotations

import shutil
from pathlib import Path

from split_runs import FOLDS, HERE, SWEPT, run_splits

from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.running.finished import FinishedRun

OTHER = '[[router]]\nuse = "keyed"\nspread = 0.3\n[[router]]\nuse = "cheapest"\n'


def read_run(directory: Path) -> FinishedRun:
    """Read a run, without a cache."""
    plugins = (str(HERE / "tiny.py"), str(HERE / "keyed.py"), "no:mlflow")
    return FinishedRun.read(directory, None, load(Selection.of(plugins)))


def make_run(
    folder: Path, routers: str = SWEPT, more: str = FOLDS, top: str = "seeds = [1, 2]", logs: str = ""
) -> FinishedRun:
    """Run an experiment, and read it."""
    return read_run(run_splits(folder, routers, more, top, logs).files)


def copy_of(run: FinishedRun, folder: Path) -> FinishedRun:
    """Return a run in a copy of its directory, whose files may be changed."""
    target = folder / run.directory.name
    shutil.copytree(run.directory, target)
    return FinishedRun.read(target, None, run.registry)
