"""Reports: their files, and what the command line shows of them; one that fails stops nothing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import attrs

from vlrb.api.results import WithText
from vlrb.api.returned import checked_files, checked_text
from vlrb.errors import ExitCode, StorageError, VlrbError
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.strict import restructure, unstructure
from vlrb.plugins.blame import blame
from vlrb.plugins.registry import Registered
from vlrb.running.finished import FinishedRun


@attrs.frozen(eq=False)
class Reports:
    """The reports on a run, a benchmark or a comparison.

    ``errors`` collects what failed in them, ``files`` what they wrote, by their names.
    """

    chosen: tuple[ConfiguredComponent, ...]
    errors: list[VlrbError] = attrs.Factory(list)
    files: dict[str, list[Path]] = attrs.Factory(dict)

    @classmethod
    def on(cls, subject: Literal["run", "benchmark", "comparison"], reports: Iterable[ConfiguredComponent]) -> Reports:
        """Take those that report on a run, on a benchmark, or on a comparison."""
        return cls(tuple(r for r in reports if r.spec.on == subject))

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit status: that of what failed first."""
        return next((e.exit_code for e in self.errors), ExitCode.OK)

    @cached_property
    def _made(self) -> list[tuple[ConfiguredComponent, Any]]:
        made = []
        for chosen in self.chosen:
            with self._noted():
                made.append((chosen, chosen.make("__call__")))
        return made

    def write(self, subject: Any, directory: Path) -> dict[str, list[Path]]:
        """Write all reports into a folder; return the files of each by its name."""
        for chosen, report in self._made:
            with self._noted(), blame(chosen.plugin, f"writing report {chosen.registered.id!r}"):
                self.files[chosen.spec.name] = checked_files(report(subject, directory), _label(chosen))
        return self.files

    def written(self, ending: str) -> Path | None:
        """Return the first file with an ending that was written."""
        return next((f for files in self.files.values() for f in files if f.suffix == ending), None)

    def content(self, subject: Any, ending: str) -> str | None:
        """Return the first file with an ending that the reports write, as text; None without one."""
        with tempfile.TemporaryDirectory() as folder:
            self.write(subject, Path(folder))
            file = self.written(ending)
            return file.read_text(encoding="utf-8") if file is not None else None

    def texts(self, subject: Any) -> Iterator[str]:
        """Yield what is shown on the terminal, of the reports that give a text."""
        for chosen, report in self._made:
            shown = ""
            with self._noted(), blame(chosen.plugin, f"showing report {chosen.registered.id!r}"):
                shown = checked_text(report.text(subject), _label(chosen)) if isinstance(report, WithText) else ""
            yield shown

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Note what fails, unless the system refuses it: the other reports would meet the same."""
        try:
            yield
        except StorageError:
            raise
        except VlrbError as error:
            self.errors.append(error)


def _label(chosen: ConfiguredComponent) -> str:
    return f"report {chosen.registered.id!r} of {chosen.plugin.label}"


def report_of_run(finished: FinishedRun, registered: Registered) -> ConfiguredComponent:
    """Return a report with the parameters that the run's experiment gave it, and defaults for the others."""
    params = registered.record.params
    tables = [t for t in finished.result.run.experiment.get("report", ()) if t.get("use") == registered.id]
    given = {k: v for table in tables for k, v in table.items()}
    return ConfiguredComponent("reporter", registered, restructure({**unstructure(params()), **given}, params))
