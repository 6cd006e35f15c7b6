"""Logs as VL-RouterBench's own scripts prepare them: matrices Y and C, and the samples."""

from __future__ import annotations

from vlrb import LogSourceSpec, hookimpl
from vlrb_plugins.prepared.params import PreparedParams


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log source ``prepared``."""
    return [
        LogSourceSpec(
            name="prepared",
            summary="matrices Y and C as VL-RouterBench's scripts prepare them, without pickles",
            factory="vlrb_plugins.prepared.source:PreparedSource",
            params=PreparedParams,
        )
    ]
