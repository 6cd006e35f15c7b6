"""What is found in a part while it is read, kept with its rows in the cache."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from vlrb.api.frozen import frozen


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
