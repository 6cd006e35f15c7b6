"""The comparison of runs: on the terminal, as Markdown and as a page of HTML."""

from __future__ import annotations

from vlrb import ReporterSpec, hookimpl


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the report ``comparison``."""
    return [
        ReporterSpec(
            name="comparison",
            summary="how runs differ from the first of them: settings, choices, paired differences (comparison.md, .html)",
            on="comparison",
            factory="vlrb_plugins.comparison.report:ComparisonReport",
        )
    ]
