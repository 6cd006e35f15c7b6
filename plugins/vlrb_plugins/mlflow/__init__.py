"""MLflow as an observer of runs, and the command ``vlrb ui``.

One MLflow run per vlrb run, with a nested run per cell and per reference point.  What is tracked is kept beside the
results, so that a run that is repeated or resumed completes what MLflow lacks and logs nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlrb import CommandSpec, hookimpl

if TYPE_CHECKING:
    import click

    from vlrb import CellInfo, CellResult, RunInfo, RunResult
    from vlrb_plugins.mlflow.tracking import Tracker


class MlflowPlugin:
    """The plugin: one tracker per run that it sees."""

    def __init__(self) -> None:
        self._trackers: dict[str, Tracker] = {}

    @hookimpl
    def vlrb_settings(self) -> type:
        """Return the class of ``[plugin.mlflow]``."""
        from vlrb_plugins.mlflow.settings import MlflowSettings

        return MlflowSettings

    @hookimpl
    def vlrb_commands(self) -> list[CommandSpec]:
        """Return the command ``ui``."""
        return [CommandSpec("ui", "Open the MLflow UI on the runs that were tracked here.", _ui)]

    @hookimpl
    def vlrb_check(self, settings: Mapping[str, Any]) -> None:
        """Look whether the store can be used; none is made.

        :raises TrackingError: when it cannot
        """
        from vlrb_plugins.mlflow.checking import check_store

        check_store(settings["mlflow"])

    @hookimpl
    def vlrb_run_start(self, run: RunInfo) -> None:
        """Open the MLflow run, unless it is known.

        :raises TrackingError: when MLflow cannot be reached
        """
        from vlrb_plugins.mlflow.tracking import Tracker

        self._trackers[run.id] = Tracker(run, run.settings["mlflow"])
        self._trackers[run.id].start()

    @hookimpl
    def vlrb_cell_start(self, run: RunInfo, cell: CellInfo) -> None:
        """Show a cell as running."""
        self._trackers[run.id].begin(cell)

    @hookimpl
    def vlrb_cell_log(self, run: RunInfo, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
        """Log values of a long fit as it goes."""
        self._trackers[run.id].log(cell, step, values)

    @hookimpl
    def vlrb_cell_end(self, run: RunInfo, result: CellResult) -> None:
        """Log a cell."""
        self._trackers[run.id].cell(result)

    @hookimpl
    def vlrb_run_end(self, result: RunResult) -> None:
        """Log reference points and reports, and close the MLflow run."""
        self._trackers[result.run.id].end(result)

    @hookimpl
    def vlrb_run_interrupted(self, run: RunInfo) -> None:
        """Show the run and its open cells as killed."""
        if run.id in self._trackers:
            self._trackers[run.id].interrupted()


def _ui() -> click.Command:
    from vlrb_plugins.mlflow.ui import ui

    return ui


plugin = MlflowPlugin()
