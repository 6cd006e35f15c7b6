"""The data report: what a benchmark holds, and how far its verdicts can be trusted."""

from __future__ import annotations

from vlrb import ReporterSpec, hookimpl
from vlrb_plugins.data_report.params import DataReportParams


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the report ``data-report``."""
    return [
        ReporterSpec(
            name="data-report",
            summary="counts, costs, where every label comes from, agreement with our own scoring, guessing and leaks (HTML, JSON)",
            on="benchmark",
            factory="vlrb_plugins.data_report.report:DataReport",
            params=DataReportParams,
        )
    ]
