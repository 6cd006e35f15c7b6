"""Parameters of the log sources ``records`` and ``mmr-bench``."""

from __future__ import annotations

from pathlib import Path

import attrs

from vlrb import param


@attrs.frozen
class RecordsParams:
    """Parameters of the log source ``records``."""

    path: Path = param(help="folder with samples.parquet or samples.jsonl, and outcomes.parquet or outcomes.jsonl")
    samples: Path | None = param(default=None, help="file with the samples, if it is elsewhere or has another name")
    outcomes: Path | None = param(default=None, help="file with the outcomes, if it is elsewhere or has another name")
    images: Path | None = param(default=None, help="folder that the paths of images start from; default: path")


@attrs.frozen
class MmrBenchParams:
    """Parameters of the log source ``mmr-bench``."""

    path: Path = param(help="the CSV file, with a row per sample and four columns per model")
    images: Path | None = param(default=None, help="folder that image_paths start from; default: that of the file")
