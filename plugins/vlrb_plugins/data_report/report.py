"""The report ``data-report``: written as JSON and as a page, shown as tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from vlrb import BuiltBenchmark, write_record, write_text
from vlrb_plugins.data_report.computing import compute_report
from vlrb_plugins.data_report.figures import DataReport as Figures
from vlrb_plugins.data_report.page import data_page
from vlrb_plugins.data_report.params import DataReportParams
from vlrb_plugins.data_report.review import agreements_of


class DataReport:
    """Makes the figures of a benchmark once, to write and to show them."""

    def __init__(self, params: DataReportParams) -> None:
        self._review = params.review
        self._figures: Callable[[BuiltBenchmark], Figures] = cache(self._made)

    def __call__(self, built: BuiltBenchmark, directory: Path) -> list[Path]:
        """Write ``data_report.html`` and ``data_report.json``."""
        page, data = directory / "data_report.html", directory / "data_report.json"
        write_record(data, self._figures(built))
        write_text(page, data_page(self._figures(built)))
        return [page, data]

    def text(self, built: BuiltBenchmark) -> str:
        """Return the report for the terminal."""
        from vlrb_plugins.data_report.terminal import print_report  # loads rich
        from vlrb_plugins.shared.text_table import text_for_stdout

        return text_for_stdout(lambda out: print_report(self._figures(built), out))

    def _made(self, built: BuiltBenchmark) -> Figures:
        return compute_report(built.benchmark, agreements_of(built) if self._review else {})
