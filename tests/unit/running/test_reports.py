"""Reports: each is written, whatever the others do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlrb.api.components import NoParams, ReporterSpec
from vlrb.errors import ExitCode, StorageError
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered
from vlrb.running.reports import Reports


class Report:
    """A report that writes a file and shows a text, or fails."""

    def __init__(self, text: Any = "shown", error: Exception | None = None, *, written: bool = True) -> None:
        self.shown, self.error, self.written = text, error, written

    def __call__(self, subject: Any, directory: Path) -> Any:
        if self.error:
            raise self.error
        return [directory / subject] if self.written else None

    def text(self, subject: Any) -> Any:
        return self.shown


def chosen(name: str, factory: Any, on: Any = "benchmark") -> ConfiguredComponent:
    spec = ReporterSpec(name=name, summary="", factory=factory, on=on)
    return ConfiguredComponent("reporter", Registered(spec, Plugin("p", "d", "1", "o", object=object())), NoParams())


def broken(_: Any) -> Any:
    raise ValueError("no style sheet")


def test_a_report_that_fails_stops_no_other() -> None:
    """When it is made, written or shown: the others are there, and the failure is the plugin's."""
    reports = Reports.on(
        "benchmark",
        [
            chosen("unmade", broken),
            chosen("untrue", "json:Nope"),
            chosen("unwritten", lambda _: Report(error=ZeroDivisionError("x"))),
            chosen("none", lambda _: Report(written=False)),
            chosen("odd", lambda _: Report(text=3)),
            chosen("good", lambda _: Report()),
            chosen("of-a-run", lambda _: Report(), on="run"),
        ],
    )
    written = reports.write("s", Path("/d"))

    assert written == {"odd": [Path("/d/s")], "good": [Path("/d/s")]}
    assert list(filter(None, reports.texts("s"))) == ["shown"] * 3
    named = ("unmade", "untrue", "unwritten", "none", "odd")
    assert [name in str(e) for name, e in zip(named, reports.errors, strict=True)] == [True] * 5
    assert str(reports.errors[1]).startswith(
        "plugin 'p' (d 1), making reporter 'untrue': 'json:Nope' cannot be imported"
    )
    assert "report 'p/none' of plugin 'p' (d 1) returned NoneType" in str(reports.errors[3])
    assert "returned int instead of a text" in str(reports.errors[4])
    assert reports.exit_code == ExitCode.PLUGIN


def test_a_full_disk_stops_all() -> None:
    """Every other report would meet the same."""
    with pytest.raises(StorageError):
        Reports.on("benchmark", [chosen("r", lambda _: Report(error=StorageError("full", fix="make room")))]).write(
            "s", Path("/d")
        )


def test_a_report_without_a_text_shows_none() -> None:
    """Not every report has something for the terminal."""
    reports = Reports.on("benchmark", [chosen("r", lambda _: SimpleNamespace(__call__=print))])

    assert not any(reports.texts("s"))
