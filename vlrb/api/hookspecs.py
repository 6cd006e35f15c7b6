"""The hooks of vlrb.  A plugin implements any of them; ``vlrb hooks`` lists them.

Registration hooks take no arguments, do no I/O and return frozen records (see :mod:`vlrb.api.components`).  Whatever an experiment
chooses by name is registered so.  Lifecycle hooks are for whoever must see every run without being named; they get frozen
objects, return nothing and cannot change a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from vlrb.api.components import KINDS

if TYPE_CHECKING:
    from vlrb.api.components import (
        CommandSpec,
        EncoderSpec,
        LogSourceSpec,
        MetricSpec,
        ReporterSpec,
        RouterSpec,
        ScorerSpec,
        TokenCounterSpec,
    )
    from vlrb.api.records import Dataset, Model
    from vlrb.api.results import CellInfo, CellResult, RunInfo, RunResult

hookspec = pluggy.HookspecMarker("vlrb")
hookimpl = pluggy.HookimplMarker("vlrb")


# --- registration: no arguments, no I/O, returns records --------------------------------------------------------------


@hookspec
def vlrb_datasets() -> Sequence[Dataset]:  # type: ignore[empty-body]
    """Register datasets by their names in logs.

    :return: plain records; two plugins may not register the same name
    """


@hookspec
def vlrb_models() -> Sequence[Model]:  # type: ignore[empty-body]
    """Register candidate models by their names in logs, with their prices.

    :return: plain records; two plugins may not register the same name
    """


@hookspec
def vlrb_log_sources() -> Sequence[LogSourceSpec]:  # type: ignore[empty-body]
    """Register sources of logs, chosen by ``[logs] use``."""


@hookspec
def vlrb_scorers() -> Sequence[ScorerSpec]:  # type: ignore[empty-body]
    """Register scorers of raw answers, chosen by a dataset's ``scorer``."""


@hookspec
def vlrb_token_counters() -> Sequence[TokenCounterSpec]:  # type: ignore[empty-body]
    """Register token counters, chosen by ``[tokens] counter``."""


@hookspec
def vlrb_encoders() -> Sequence[EncoderSpec]:  # type: ignore[empty-body]
    """Register encoders, chosen by ``[features.NAME] encoders``."""


@hookspec
def vlrb_routers() -> Sequence[RouterSpec]:  # type: ignore[empty-body]
    """Register routers, chosen by ``[[router]] use``."""


@hookspec
def vlrb_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Register metrics, chosen by ``[[metric]] use``."""


@hookspec
def vlrb_reporters() -> Sequence[ReporterSpec]:  # type: ignore[empty-body]
    """Register reports, chosen by ``[[report]] use``."""


@hookspec
def vlrb_commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]
    """Register commands of the ``vlrb`` command line.

    The plugin also stands, under the same name, in the entry-point group ``vlrb.commands``: ``vlrb --help`` imports the
    plugins of that group and no others.
    """


@hookspec
def vlrb_settings() -> type:  # type: ignore[empty-body]
    """Declare the frozen attrs class of the plugin's own table, ``[plugin.NAME]`` in the experiment file.

    The validated object is ``run.settings[NAME]`` in the lifecycle hooks.
    """


# --- lifecycle: in the parent process, one at a time; all are called even if one fails ---------------------------------


@hookspec
def vlrb_check(settings: Mapping[str, Any]) -> None:
    """Say what would keep the plugin from observing a run, without changing anything.

    Called by ``vlrb check``, once, after the experiment file was found fine.  Raise
    :class:`vlrb.errors.TrackingError` for a store that cannot be used: it is shown as a warning, and the exit status stays.
    It takes a few seconds at most, and makes nothing::

        @hookimpl
        def vlrb_check(settings):
            if not settings["myplugin"].folder.is_dir():
                raise TrackingError("the folder is not there", where="[plugin.myplugin] folder", fix="make it")

    :param settings: the validated ``[plugin.NAME]`` tables by plugin, as ``run.settings`` in the other hooks
    """


@hookspec
def vlrb_run_start(run: RunInfo) -> None:
    """The benchmark is built, the cells are planned, none of them has run.

    Also called when a run is resumed or found finished: an observer that keeps records elsewhere completes them.

    :param run: do not mutate
    """


@hookspec
def vlrb_cell_start(run: RunInfo, cell: CellInfo) -> None:
    """A cell is about to be fitted (not called for a cell whose result is reused).

    :param run: do not mutate
    :param cell: do not mutate
    """


@hookspec
def vlrb_cell_log(run: RunInfo, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
    """A router reported values during a long fit.

    :param step: the router's own count, such as an epoch
    :param values: finite numbers by name
    """


@hookspec
def vlrb_cell_end(run: RunInfo, result: CellResult) -> None:
    """A cell has its result, which is on disk.  Also called for failed and for reused cells.

    :param result: do not mutate
    """


@hookspec
def vlrb_run_interrupted(run: RunInfo) -> None:
    """The run ends before it is complete: an interrupt (Ctrl-C, SIGTERM, SIGHUP), or an error that is not a cell's.

    Called instead of :func:`vlrb_run_end`, after the processes of cells have ended; the same command resumes the run.

    :param run: do not mutate
    """


@hookspec
def vlrb_run_end(result: RunResult) -> None:
    """All cells have their results and the reports are written.

    :param result: do not mutate
    """


REGISTRATION = frozenset(hook for hook, _ in KINDS.values()) | {"vlrb_settings"}
"""The hooks that are called once, when plugins are loaded."""

LIFECYCLE = frozenset(name for name in globals() if name.startswith("vlrb_")) - REGISTRATION
"""The hooks that are called while an experiment is checked or run."""
