"""Promises of lifecycle observers: plugins that see every run without being named."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.hookspecs import LIFECYCLE
from vlrb.api.results import CellResult, RunInfo, RunResult
from vlrb.errors import ConfigError
from vlrb.plugins.checks import check_hooks, settings_of
from vlrb.plugins.plugin import Plugin
from vlrb.testing.outputs import small_run
from vlrb.testing.promises import Table, breach
from vlrb.testing.surroundings import same_random_state
from vlrb.texts import describe_error, short_repr

Events = list[tuple[str, dict[str, Any]]]


@attrs.define(eq=False, slots=False)
class ObserverSubject:
    """A plugin that observes runs, its settings, and runs to observe.

    ``name`` is the plugin's, by which it finds its settings in ``run.settings``.
    """

    spec: Any
    folder: Path
    name: str
    given: Mapping[str, Any]

    @classmethod
    def of(cls, spec: Any, parameters: Mapping[str, Any], folder: Path) -> ObserverSubject:
        """Return the subject; of the parameters, ``plugin_name`` is the plugin's name, the others are its settings."""
        given = dict(parameters)
        default = str(getattr(spec, "__name__", type(spec).__name__)).rpartition(".")[2]
        return cls(spec, folder, given.pop("plugin_name", "") or default, given)

    @property
    def plugin(self) -> Plugin:
        """Return the plugin as a run holds it."""
        return Plugin(self.name, self.name, "", "", object=self.spec)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Return the settings of all plugins: this one's.

        :raises ConfigError: when there are settings that the plugin does not have, or a value is refused
        """
        declared = settings_of(self.plugin)
        if declared is None and self.given:
            raise ConfigError(f"{self.name} declares no settings", fix="leave them out, or implement vlrb_settings")
        try:
            return {} if declared is None else {self.name: declared(**self.given)}
        except (TypeError, ValueError) as error:
            what = f"{self.name} refuses its settings: {describe_error(error)}"
            raise ConfigError(what, fix="give settings with which it can work, as keywords") from None

    def result(self, which: str) -> RunResult:
        """Return the result of a small run, in its own folder."""
        made: RunResult = small_run(which).result
        folder = self.folder / which
        folder.mkdir(exist_ok=True)
        return attrs.evolve(made, run=attrs.evolve(made.run, settings=self.settings, directory=folder))

    @cached_property
    def returned(self) -> list[tuple[str, Any]]:
        """Return what hooks have returned, other than None."""
        return []

    def call(self, hook: str, **arguments: Any) -> None:
        """Call a hook, if the plugin has it, with those arguments that it takes."""
        implementation = getattr(self.spec, hook, None)
        if callable(implementation):
            taken = inspect.signature(implementation).parameters
            value = implementation(**{k: frozen(v) for k, v in arguments.items() if k in taken})
            self.returned.extend([(hook, value)] if value is not None else [])

    def begin(self, run: RunInfo) -> None:
        """Check, and start a run."""
        self.call("vlrb_check", settings=self.settings)
        self.call("vlrb_run_start", run=run)

    def whole(self, which: str = "done") -> None:
        """Show a run from its beginning to its end."""
        result = self.result(which)
        self.begin(result.run)
        for cell in result.cells:
            self.cell(result.run, cell)
        self.call("vlrb_run_end", result=result)

    def cell(self, run: RunInfo, result: CellResult) -> None:
        """Show a cell that is fitted, logs a value twice, and ends."""
        self.call("vlrb_cell_start", run=run, cell=result.cell)
        for step in (0, 1):
            self.call("vlrb_cell_log", run=run, cell=result.cell, step=step, values={"loss": 1.0 / (step + 1)})
        self.call("vlrb_cell_end", run=run, result=result)


OBSERVER = Table("observer", ObserverSubject.of)


@OBSERVER.promise("name hooks and arguments as `vlrb hooks` does, and decorate them with @hookimpl")
def hooks_are_known(observer: ObserverSubject) -> None:
    """It implements a lifecycle hook, and no unknown hooks."""
    check_hooks(observer.plugin)
    if not any(callable(getattr(observer.spec, hook, None)) for hook in LIFECYCLE):
        breach("it implements no lifecycle hook")


@OBSERVER.promise("remove the return; raise vlrb.TrackingError if a store cannot be reached")
def hooks_return_nothing(observer: ObserverSubject) -> None:
    """The hooks of a whole run return nothing."""
    observer.whole()
    for hook, value in observer.returned:
        breach(f"{hook} returned {short_repr(value)}")


@OBSERVER.promise("expect results with status 'failed', an error, and no scores")
def a_failed_cell(observer: ObserverSubject) -> None:
    """A run whose cells have failed raises nothing."""
    observer.whole("failed")


@OBSERVER.promise("expect vlrb_run_start for a run that was shown before, and vlrb_cell_end without vlrb_cell_start")
def a_run_that_is_found_finished(observer: ObserverSubject) -> None:
    """A finished run that is asked for again is shown without its fits, with all cells reused."""
    observer.whole()
    result = observer.result("done")
    observer.begin(result.run)
    for cell in result.cells:
        observer.call("vlrb_cell_end", run=result.run, result=attrs.evolve(cell, reused=True))
    observer.call("vlrb_run_end", result=result)


@OBSERVER.promise("implement vlrb_run_interrupted if anything is left open, and start from scratch in vlrb_run_start")
def an_interrupted_run(observer: ObserverSubject) -> None:
    """A run may be interrupted in the middle of a cell, and resumed by the same process."""
    result = observer.result("done")
    observer.begin(result.run)
    observer.call("vlrb_cell_start", run=result.run, cell=result.cells[0].cell)
    observer.call("vlrb_run_interrupted", run=result.run)
    observer.whole()


@OBSERVER.promise("keep what belongs to a run by its key, or start from scratch in vlrb_run_start")
def two_runs(observer: ObserverSubject) -> None:
    """Another run after the first raises nothing."""
    observer.whole("done")
    observer.whole("changed")


@OBSERVER.promise("expect cells of several processes at once: keep what belongs to a cell by its name")
def cells_at_once(observer: ObserverSubject) -> None:
    """Cells may begin and end in any order."""
    result = observer.result("done")
    observer.begin(result.run)
    for cell in result.cells:
        observer.call("vlrb_cell_start", run=result.run, cell=cell.cell)
    for cell in reversed(result.cells):
        observer.call("vlrb_cell_log", run=result.run, cell=cell.cell, step=3, values={"loss": 0.5})
    for cell in result.cells:
        observer.call("vlrb_cell_end", run=result.run, result=cell)
    observer.call("vlrb_run_end", result=result)


@OBSERVER.promise("restore what you change: working directory, environment; draw from a generator of your own")
def surroundings_untouched(observer: ObserverSubject) -> None:
    """Working directory, environment and global random states stay as they were."""
    before = Path.cwd(), dict(os.environ)
    try:
        with same_random_state():
            observer.whole()
        if Path.cwd() != before[0]:
            breach(f"the working directory is {Path.cwd()} afterwards")
        changed = sorted({k for k, _ in set(before[1].items()) ^ set(os.environ.items())} - _OF_TESTS)
        if changed:
            breach(f"the variable {changed[0]} was changed")
    finally:
        os.chdir(before[0])
        os.environ.clear()
        os.environ.update(before[1])


_OF_TESTS = {"PYTEST_CURRENT_TEST", "COLUMNS"}


@OBSERVER.promise("end your threads in vlrb_run_end, or make them daemons that end by themselves")
def no_thread_is_left(observer: ObserverSubject) -> None:
    """None of its threads is still running when the run has ended."""
    before = set(threading.enumerate())
    observer.whole()
    left = [t for t in set(threading.enumerate()) - before if t.is_alive() and not t.daemon]
    if left:
        breach(f"the thread {left[0].name!r} still runs")
