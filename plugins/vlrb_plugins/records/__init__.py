"""Logs as plain tables: a table of samples and a table of outcomes, in Parquet or JSON lines; and MMR-Bench's CSV file."""

from __future__ import annotations

from vlrb import LogSourceSpec, ReporterSpec, hookimpl
from vlrb_plugins.records.params import MmrBenchParams, RecordsParams


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log sources ``records`` and ``mmr-bench``."""
    return [
        LogSourceSpec(
            name="records",
            summary="a table of samples and a table of outcomes, in Parquet or JSON lines",
            factory="vlrb_plugins.records.source:RecordsSource",
            params=RecordsParams,
        ),
        LogSourceSpec(
            name="mmr-bench",
            summary="MMR-Bench's CSV file, with a row per sample and four columns per model",
            factory="vlrb_plugins.records.mmr_bench:MmrBenchSource",
            params=MmrBenchParams,
        ),
    ]


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the export ``records``."""
    return [
        ReporterSpec(
            name="records",
            summary="the benchmark as the tables that the log source `records` reads (`vlrb build --export records DIR`)",
            on="export",
            factory="vlrb_plugins.records.export:records_export",
        )
    ]
