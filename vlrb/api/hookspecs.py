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
        ExecutorSpec,
        FusionSpec,
        LogSourceSpec,
        MetricSpec,
        ProtocolSpec,
        ReporterSpec,
        RouterSpec,
        ScorerSpec,
        SplitterSpec,
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

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_datasets():
            return [Dataset(name="DocQA", group="charts-ocr", scorer="anls")]

    :return: plain records; two plugins may not register the same name
    """


@hookspec
def vlrb_models() -> Sequence[Model]:  # type: ignore[empty-body]
    """Register candidate models by their names in logs, with their prices.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_models():
            return [Model(name="tiny-vlm", input_price_per_million=0.1, output_price_per_million=0.4, parameters=2.0)]

    :return: plain records; two plugins may not register the same name
    """


@hookspec
def vlrb_log_sources() -> Sequence[LogSourceSpec]:  # type: ignore[empty-body]
    """Register sources of logs, chosen by ``[logs] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_log_sources():
            return [LogSourceSpec(name="csv", summary="answers in CSV files", factory="my_plugin.csv:Source", params=Params)]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_scorers() -> Sequence[ScorerSpec]:  # type: ignore[empty-body]
    """Register scorers of raw answers, chosen by a dataset's ``scorer``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_scorers():
            return [ScorerSpec(name="exact", summary="1 where answer and gold are equal", factory="my_plugin.exact:Scorer")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_token_counters() -> Sequence[TokenCounterSpec]:  # type: ignore[empty-body]
    """Register token counters, chosen by ``[tokens] counter``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_token_counters():
            return [TokenCounterSpec(name="words", summary="a token per word", factory="my_plugin.words:Counter")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_splitters() -> Sequence[SplitterSpec]:  # type: ignore[empty-body]
    """Register splitters, chosen by ``[split] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_splitters():
            return [SplitterSpec(name="by-year", summary="the last year is test", factory="my_plugin.years:Splitter")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_encoders() -> Sequence[EncoderSpec]:  # type: ignore[empty-body]
    """Register encoders, chosen by ``[features.NAME] encoders``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_encoders():
            return [EncoderSpec(name="length", summary="characters of the question", factory=Length, modality="text")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_fusions() -> Sequence[FusionSpec]:  # type: ignore[empty-body]
    """Register fusions of the features of several encoders, chosen by ``[features.NAME] fusion``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_fusions():
            return [FusionSpec(name="sum", summary="text plus image", factory=Sum, needs=("text", "image"))]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_protocols() -> Sequence[ProtocolSpec]:  # type: ignore[empty-body]
    """Register protocols, presets of keys that ``protocol`` names.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_protocols():
            return [ProtocolSpec(name="mine", summary="another split", factory=lambda _: {"split": {"seed": 7}})]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_executors() -> Sequence[ExecutorSpec]:  # type: ignore[empty-body]
    """Register executors, chosen by ``[executor] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_executors():
            return [ExecutorSpec(name="cluster", summary="jobs of a cluster", factory="my_plugin.cluster:Executor")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_routers() -> Sequence[RouterSpec]:  # type: ignore[empty-body]
    """Register routers, chosen by ``[[router]] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_routers():
            return [RouterSpec(name="my-router", summary="long questions go to the strongest", factory=MyRouter, params=Params)]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Register metrics, chosen by ``[[metric]] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_metrics():
            return [MetricSpec(name="median-cost", summary="USD", factory=MedianCost, higher_is_better=False)]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_reporters() -> Sequence[ReporterSpec]:  # type: ignore[empty-body]
    """Register reports, chosen by ``[[report]] use``.

    Called once, when plugins are loaded::

        @hookimpl
        def vlrb_reporters():
            return [ReporterSpec(name="tex", summary="the leaderboard in LaTeX", factory="my_plugin.tex:Report")]

    :return: records; they are known as ``PLUGIN/NAME``, and by the bare name while it is unique
    """


@hookspec
def vlrb_commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]
    """Register commands of the ``vlrb`` command line.

    Called once, when the command line is read::

        @hookimpl
        def vlrb_commands():
            return [CommandSpec(name="hello", summary="Say hello.", load=lambda: hello)]

    The plugin also stands, under the same name, in the entry-point group ``vlrb.commands``: ``vlrb --help`` imports the
    plugins of that group and no others.

    :return: records, whose ``load()`` returns a click command
    """


@hookspec
def vlrb_settings() -> type:  # type: ignore[empty-body]
    """Declare the plugin's own table, ``[plugin.NAME]`` in the experiment file.

    Called when a file is resolved::

        @hookimpl
        def vlrb_settings():
            return Settings

    :return: a frozen attrs class; the validated object is ``run.settings[NAME]`` in the lifecycle hooks
    """


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

    Example::

        @hookimpl
        def vlrb_run_start(run):
            print(f"{run.id}: {len(run.cells)} cells")

    Also called when a run is resumed or found finished: an observer that keeps records elsewhere completes them.

    :param run: do not mutate
    """


@hookspec
def vlrb_cell_start(run: RunInfo, cell: CellInfo) -> None:
    """A cell is about to be fitted (not called for a cell whose result is reused).

    Example::

        @hookimpl
        def vlrb_cell_start(cell):
            print(f"fitting {cell.name}")

    :param run: do not mutate
    :param cell: do not mutate
    """


@hookspec
def vlrb_cell_log(run: RunInfo, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
    """A router reported values during a long fit.

    Example::

        @hookimpl
        def vlrb_cell_log(cell, step, values):
            print(cell.name, step, values["loss"])

    :param step: the router's own count, such as an epoch
    :param values: finite numbers by name
    """


@hookspec
def vlrb_cell_end(run: RunInfo, result: CellResult) -> None:
    """A cell has its result, which is on disk.  Also called for failed and for reused cells.

    Example::

        @hookimpl
        def vlrb_cell_end(result):
            print(result.cell.name, result.status)

    :param result: do not mutate
    """


@hookspec
def vlrb_run_interrupted(run: RunInfo) -> None:
    """The run ends before it is complete: an interrupt (Ctrl-C, SIGTERM, SIGHUP), or an error that is not a cell's.

    Called instead of :func:`vlrb_run_end`, after the processes of cells have ended; the same command resumes the run::

        @hookimpl
        def vlrb_run_interrupted(run):
            print(f"{run.id} is not complete")

    :param run: do not mutate
    """


@hookspec
def vlrb_run_end(result: RunResult) -> None:
    """All cells have their results and the reports are written.

    Example::

        @hookimpl
        def vlrb_run_end(result):
            print(f"{result.run.id} ended at {result.finished}")

    :param result: do not mutate
    """


REGISTRATION = frozenset(hook for hook, _ in KINDS.values()) | {"vlrb_settings"}
"""The hooks that are called once, when plugins are loaded."""

LIFECYCLE = frozenset(name for name in globals() if name.startswith("vlrb_")) - REGISTRATION
"""The hooks that are called while an experiment is checked or run."""
