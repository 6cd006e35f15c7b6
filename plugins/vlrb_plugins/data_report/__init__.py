"""The data report: what a benchmark holds, and how far its verdicts can be trusted."""

from __future__ import annotations

import attrs

from vlrb import ReporterSpec, hookimpl, param


@attrs.frozen
class DataReportParams:
    """Parameters of the report ``data-report``."""

    review: bool = param(default=True, help="score every answer that the logs judge, and compare; false leaves it out")


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
