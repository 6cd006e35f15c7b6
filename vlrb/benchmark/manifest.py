"""Records of what is found in parts (``part.json``), and of what a benchmark is made of (``manifest.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.json_data import read_record
from vlrb.api.records import Dataset
from vlrb.api.routing import Candidate

SCHEMA_VERSION = 5


@attrs.frozen
class LeftOut:
    """Samples that a log source has left out, see :mod:`vlrb.api.schemas`."""

    keys: tuple[str, ...]
    reason: str
    fix: str
    drop_answers: bool


@attrs.frozen
class PairCounts:
    """A part's rows of one model on one dataset: all, those without a verdict, of failed calls, of failed judges."""

    dataset: str
    model: str
    rows: int = 0
    unjudged: int = 0
    failed: int = 0
    judge_failed: int = 0


@attrs.frozen
class PartSummary:
    """A part: its id, files and number of rows, where its verdicts come from, and what its log source counted and left out."""

    part: str
    files: tuple[str, ...]
    rows: int
    verdict: str
    counts: Mapping[str, int] = attrs.field(converter=frozen)
    left_out: tuple[LeftOut, ...]
    datasets: tuple[str, ...]


@attrs.frozen
class PartFindings(PartSummary):
    """A part with the counts of every dataset and model in it."""

    pairs: tuple[PairCounts, ...]


@attrs.frozen
class Policies:
    """What ``[benchmark]`` says of verdicts, and of what is missing or unknown."""

    verdicts: str
    missing: str
    unknown: str
    correct_at: float


@attrs.frozen
class Excluded:
    """How much was left out or changed for a reason, which names the dataset or the model too."""

    reason: str
    count: int


@attrs.frozen
class PairFindings:
    """What the logs hold of a dataset and a model, before any policy is applied."""

    dataset: str
    model: str
    found: int
    missing: int
    unknown: int
    failed_calls: int
    failed_judges: int
    without_stored_verdict: int
    verdict: str
    scorer: str
    part: str


@attrs.frozen
class Stages:
    """Seconds of a build's stages, and its peak memory after each (MB, of the process and of the largest that it started)."""

    seconds: Mapping[str, float] = attrs.field(factory=dict, converter=frozen)
    peak_megabytes: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen(kw_only=True)
class Manifest:
    """What a benchmark is made of, and what was left out or changed.

    ``samples`` of a dataset is the number of its samples in the benchmark, ``expected_samples`` the published one of real data;
    ``task_groups`` maps slugs to titles, sorted by these; ``images`` are files of the cache, relative to it;
    ``total_tokens`` is None where the logs give costs instead.
    """

    schema: int = SCHEMA_VERSION
    fingerprint: str = ""
    vlrb: str
    synthetic: str
    models: tuple[Candidate, ...]
    datasets: tuple[Dataset, ...]
    task_groups: Mapping[str, str] = attrs.field(converter=frozen)
    expected_samples: Mapping[str, int] = attrs.field(converter=frozen)
    policies: Policies
    excluded: tuple[Excluded, ...]
    total_tokens: int | None
    token_counter: str
    token_parameters: Mapping[str, Any] = attrs.field(converter=frozen)
    images: tuple[str, ...]
    parts: tuple[PartSummary, ...]
    pairs: tuple[PairFindings, ...]
    ignored_files: Mapping[str, str] = attrs.field(converter=frozen)
    stages: Stages = Stages()


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a benchmark; the error says if it is missing, damaged or of another schema version."""
    return read_record(directory / "manifest.json", Manifest, SCHEMA_VERSION, "delete the folder and build again")
