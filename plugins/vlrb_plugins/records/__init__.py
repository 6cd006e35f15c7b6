"""Logs as plain tables: a table of samples and a table of outcomes, in Parquet or JSON lines; and MMR-Bench's CSV file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from vlrb import LogSourceSpec, hookimpl, param

if TYPE_CHECKING:
    import pyarrow as pa

    from vlrb import Benchmark
    from vlrb_plugins.records.mmr_bench import MmrBenchSource
    from vlrb_plugins.records.source import RecordsSource


@attrs.frozen
class RecordsParams:
    """Parameters of the log source ``records``."""

    path: Path = param(help="folder with samples.parquet or samples.jsonl, and outcomes.parquet or outcomes.jsonl")
    samples: Path | None = param(default=None, help="file with the samples, if it is elsewhere or called otherwise")
    outcomes: Path | None = param(default=None, help="file with the outcomes, if it is elsewhere or called otherwise")
    images: Path | None = param(default=None, help="folder that the paths of images start from; default: path")


@attrs.frozen
class MmrBenchParams:
    """Parameters of the log source ``mmr-bench``."""

    path: Path = param(help="the CSV file, with a row per sample and four columns per model")
    images: Path | None = param(default=None, help="folder that image_paths start from; default: that of the file")


def _records(params: RecordsParams) -> RecordsSource:
    from vlrb_plugins.records.source import RecordsSource

    return RecordsSource(params)


def _mmr_bench(params: MmrBenchParams) -> MmrBenchSource:
    from vlrb_plugins.records.mmr_bench import MmrBenchSource

    return MmrBenchSource(params)


def _export(benchmark: Benchmark, directory: Path, outcomes: Iterable[pa.RecordBatch]) -> tuple[Path, ...]:
    from vlrb_plugins.records.export import export_benchmark

    return export_benchmark(benchmark, directory, outcomes)


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log sources ``records`` and ``mmr-bench``."""
    return [
        LogSourceSpec(
            name="records",
            summary="a table of samples and a table of outcomes, in Parquet or JSON lines",
            factory=_records,
            params=RecordsParams,
            export=_export,
        ),
        LogSourceSpec(
            name="mmr-bench",
            summary="MMR-Bench's CSV file, with a row per sample and four columns per model",
            factory=_mmr_bench,
            params=MmrBenchParams,
        ),
    ]
