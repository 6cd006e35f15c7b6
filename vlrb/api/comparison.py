"""What ``vlrb compare`` finds: how finished runs differ from the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.results import MetricInfo, RunInfo
from vlrb.api.routing import MetricValue, Undefined
from vlrb.api.statistics import Difference, Interval

Section = Literal["experiment", "benchmark", "split", "versions"]


@attrs.frozen
class DifferingSetting:
    """Something that is not the same in all runs.

    ``key``: of the experiment as a TOML key path, tables of an array by their label or name (``router.mlp.lr``).  ``values``: one
    per run, JSON data; None where the run has no such key.
    """

    section: Section
    key: str
    values: tuple[Any, ...] = attrs.field(converter=frozen)


@attrs.frozen
class ChangedChoices:
    """How the choices of two rows differ on the same test samples.

    ``compared`` choices (samples, times the seeds that both rows have, else every pair of seeds), of which ``differing`` name
    another model; of these ``gained`` are right where the first run's was wrong, ``lost`` wrong where it was right.  ``calls``:
    model -> the mean number of test samples per seed that each row sends to it.
    """

    compared: int
    differing: int
    gained: int
    lost: int
    calls: Mapping[str, tuple[float, float]] = attrs.field(converter=frozen)

    @property
    def share(self) -> float:
        """Return the share of choices that differ."""
        return self.differing / self.compared


@attrs.frozen
class ComparedRow:
    """A row of the first run and one of another run: of the same label, or (``leaders``) the best router of each.

    ``values`` and ``intervals``: metric -> those of the first run's row and of the other's, overall; where the runs are paired,
    both on the same samples and with the first run's cost bounds.  ``differences``: metric -> the other's value less the first's;
    empty where they are not paired.  ``choices`` is None there, and where a cell failed for every seed.
    """

    name: str
    other_name: str
    kind: Literal["router", "reference", "leaders"]
    values: Mapping[str, tuple[MetricValue, MetricValue]] = attrs.field(converter=frozen)
    intervals: Mapping[str, tuple[Interval | Undefined | None, Interval | Undefined | None]] = attrs.field(
        converter=frozen
    )
    differences: Mapping[str, Difference] = attrs.field(factory=dict, converter=frozen)
    choices: ChangedChoices | None = None


@attrs.frozen
class RunPair:
    """The first run and another, by its place in :attr:`Comparison.runs`.

    ``paired``: differences are of the same test samples.  ``notes`` say what the figures are, and why some are missing.
    ``samples`` and ``groups`` are the numbers of test samples and groups that are compared, 0 where they are not paired.
    ``only_first`` and ``only_other`` name the routers that one of them lacks.
    """

    other: int
    paired: bool
    notes: tuple[str, ...]
    samples: int
    groups: int
    rows: tuple[ComparedRow, ...]
    only_first: tuple[str, ...] = ()
    only_other: tuple[str, ...] = ()


@attrs.frozen
class Comparison:
    """Finished runs, each compared with the first.

    ``names`` are the runs' names, distinct.  ``metrics`` are the first run's that all runs have; ``left_out``: metric -> why it is
    not compared.  ``differing``: what is not the same in all runs.  ``draws`` and ``level`` are those of the intervals.
    """

    runs: tuple[RunInfo, ...]
    names: tuple[str, ...]
    leaders: tuple[str, ...]
    metrics: tuple[MetricInfo, ...]
    left_out: Mapping[str, str] = attrs.field(converter=frozen)
    selection_metric: str
    draws: int
    level: float
    differing: tuple[DifferingSetting, ...]
    pairs: tuple[RunPair, ...]
