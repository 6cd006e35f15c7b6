"""The hooks of vlrb.  A plugin implements any of them; ``vlrb hooks`` lists them.

Registration hooks are called once, when plugins are loaded.  They take no arguments, do no I/O and return frozen records (see
:mod:`vlrb.api.components`): what an experiment chooses by name.  Lifecycle hooks see every run without being named; they get frozen
objects and cannot change a number.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from vlrb.api.components import KINDS

if TYPE_CHECKING:
    from vlrb.api.components import (
        CommandSpec,
        EncoderSpec,
        ExecutorSpec,
        FigureSpec,
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

F = TypeVar("F", bound=Callable[..., Any])
UNIQUE = "records; two plugins may not register the same name"
NAMED = "records, known as ``PLUGIN/NAME``, and by the bare name while it is unique"

hookspec = pluggy.HookspecMarker("vlrb")
hookimpl = pluggy.HookimplMarker("vlrb")


def registers(example: str, returned: str = NAMED) -> Callable[[F], F]:
    """Specify a registration hook; its documentation gets an example that returns ``example``."""
    return observes("", f"return {example}", returned)


def observes(arguments: str, example: str, returned: str = "nothing") -> Callable[[F], F]:
    """Specify a hook; its documentation gets an example of an implementation with some or all of its arguments."""

    def specify(function: F) -> F:
        lines = [
            "@hookimpl",
            f"def {function.__name__}({arguments}):",
            *(f"    {line}" for line in example.splitlines()),
        ]
        text = "\n    ".join(["Example::\n", *lines])
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{text}\n\n:return: {returned}"
        return hookspec(function)

    return specify


@registers('[Dataset(name="DocQA", group="charts-ocr", scorer="anls")]', UNIQUE)
def vlrb_datasets() -> Sequence[Dataset]:
    """Register datasets by their names in logs."""


@registers('[Model(name="tiny-vlm", input_price_per_million=0.1, output_price_per_million=0.4, parameters=2)]', UNIQUE)
def vlrb_models() -> Sequence[Model]:
    """Register candidate models by their names in logs, with their prices."""


@registers('[LogSourceSpec(name="csv", summary="answers in CSV files", factory="my_plugin.csv:Source", params=Params)]')
def vlrb_log_sources() -> Sequence[LogSourceSpec]:
    """Register sources of logs, chosen by ``[logs] use``."""


@registers('[ScorerSpec(name="exact", summary="1 where answer and gold are equal", factory="my_plugin.exact:Scorer")]')
def vlrb_scorers() -> Sequence[ScorerSpec]:
    """Register scorers of raw answers, chosen by a dataset's ``scorer``."""


@registers('[TokenCounterSpec(name="words", summary="a token per word", factory="my_plugin.words:Counter")]')
def vlrb_token_counters() -> Sequence[TokenCounterSpec]:
    """Register token counters, chosen by ``[tokens] counter``."""


@registers('[SplitterSpec(name="by-year", summary="the last year is test", factory="my_plugin.years:Splitter")]')
def vlrb_splitters() -> Sequence[SplitterSpec]:
    """Register splitters, chosen by ``[split] use``."""


@registers('[EncoderSpec(name="length", summary="characters of the question", factory=Length, modality="text")]')
def vlrb_encoders() -> Sequence[EncoderSpec]:
    """Register encoders, chosen by ``[features.NAME] encoders``."""


@registers('[FusionSpec(name="sum", summary="text plus image", factory=Sum, needs=("text", "image"))]')
def vlrb_fusions() -> Sequence[FusionSpec]:
    """Register fusions of the features of several encoders, chosen by ``[features.NAME] fusion``."""


@registers('[ProtocolSpec(name="mine", summary="another split", factory=lambda _: {"split": {"seed": 7}})]')
def vlrb_protocols() -> Sequence[ProtocolSpec]:
    """Register protocols, presets of keys that ``protocol`` names."""


@registers('[ExecutorSpec(name="cluster", summary="jobs of a cluster", factory="my_plugin.cluster:Executor")]')
def vlrb_executors() -> Sequence[ExecutorSpec]:
    """Register executors, chosen by ``[executor] use``."""


@registers(
    '[RouterSpec(name="my-router", summary="long questions go to the strongest", factory=MyRouter, params=Params)]'
)
def vlrb_routers() -> Sequence[RouterSpec]:
    """Register routers, chosen by ``[[router]] use``."""


@registers('[MetricSpec(name="median-cost", summary="USD", factory=MedianCost, higher_is_better=False)]')
def vlrb_metrics() -> Sequence[MetricSpec]:
    """Register metrics, chosen by ``[[metric]] use``."""


@registers('[ReporterSpec(name="tex", summary="the leaderboard in LaTeX", factory="my_plugin.tex:Report")]')
def vlrb_reporters() -> Sequence[ReporterSpec]:
    """Register reports, chosen by ``[[report]] use``."""


@registers('[FigureSpec(name="pie", title="Calls", summary="share of each model", factory="my_plugin.pie:Pie")]')
def vlrb_figures() -> Sequence[FigureSpec]:
    """Register figures of finished runs, which the report of a run shows and ``run.plot`` draws."""


@registers(
    '[CommandSpec(name="hello", summary="Say hello.", load=lambda: hello)]',
    "records, whose ``load()`` returns a click command",
)
def vlrb_commands() -> Sequence[CommandSpec]:
    """Register commands of the ``vlrb`` command line.

    The plugin also has an entry point, under the same name, in the group ``vlrb.commands``: ``vlrb --help`` imports the plugins
    of that group and no others.
    """


@registers("Settings", "a frozen attrs class; the validated object is ``run.settings[NAME]`` in the lifecycle hooks")
def vlrb_settings() -> type:
    """Declare the plugin's own table, ``[plugin.NAME]`` in the experiment file."""


@observes(
    "settings",
    'if not settings["myplugin"].folder.is_dir():\n'
    '    raise TrackingError("no such folder", where="[plugin.myplugin] folder", fix="make it")',
)
def vlrb_check(settings: Mapping[str, Any]) -> None:
    """Say what would keep the plugin from observing a run, without changing anything.

    Called by ``vlrb check``, once, after the experiment file was found fine.  Raise :class:`vlrb.errors.TrackingError` for a store
    that cannot be used: it is shown as a warning, and the exit status stays.  It takes a few seconds at most.

    :param settings: the validated ``[plugin.NAME]`` tables by plugin, as ``run.settings`` in the other hooks
    """


@observes("run", 'print(f"{run.id}: {len(run.cells)} cells")')
def vlrb_run_start(run: RunInfo) -> None:
    """The benchmark is built, the cells are planned, none of them has run.

    Also called when a run is resumed or found finished: an observer that keeps records elsewhere completes them.
    """


@observes("cell", 'print(f"fitting {cell.name}")')
def vlrb_cell_start(run: RunInfo, cell: CellInfo) -> None:
    """A cell is about to be fitted (not called for a cell whose result is reused)."""


@observes("cell, step, values", 'print(cell.name, step, values["loss"])')
def vlrb_cell_log(run: RunInfo, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
    """A router reported values during a long fit.

    :param step: the router's own count, such as an epoch
    :param values: finite numbers by name
    """


@observes("result", "print(result.cell.name, result.status)")
def vlrb_cell_end(run: RunInfo, result: CellResult) -> None:
    """A cell has its result, which is on disk.  Also called for failed and for reused cells."""


@observes("run", 'print(f"{run.id} is not complete")')
def vlrb_run_interrupted(run: RunInfo) -> None:
    """The run ends before it is complete: an interrupt (Ctrl-C, SIGTERM, SIGHUP), or an error that is not a cell's.

    Called instead of :func:`vlrb_run_end`, after the processes of cells have ended; the same command resumes the run.
    """


@observes("result", 'print(f"{result.run.id} ended at {result.finished}")')
def vlrb_run_end(result: RunResult) -> None:
    """All cells have their results and the reports are written."""


REGISTRATION = frozenset(hook for hook, _ in KINDS.values()) | {"vlrb_settings"}
"""The hooks that are called once, when plugins are loaded."""

LIFECYCLE = frozenset(name for name in globals() if name.startswith("vlrb_")) - REGISTRATION
"""The hooks that are called while an experiment is checked or run."""
