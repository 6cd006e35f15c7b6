"""What observers and reporters see: cells, runs, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.routing import CostBounds, MetricValue, Timing

Scores = Mapping[str, Mapping[str, MetricValue]]
"""Scope -> metric -> value.  Scopes: ``overall``, ``group/SLUG``, ``dataset/SLUG``."""


@attrs.frozen
class CellInfo:
    """One router with one set of parameters and one seed.

    ``point`` holds the parameters that a sweep gave it.  ``fit_key`` is the key of the cell whose fit it shares, if any.
    """

    key: str
    label: str
    router: str
    parameters: Mapping[str, Any] = attrs.field(converter=frozen)
    seed: int
    features: str | None
    plugin: str
    dist: str
    sources: str
    point: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)
    fit_key: str = ""

    @property
    def point_name(self) -> str:
        """Return the point of a sweep as text, such as ``lambda=100``; empty without a sweep."""
        return ",".join(f"{name}={value}" for name, value in self.point.items())

    @property
    def name(self) -> str:
        """Return the cell's name, unique in its run, and that of its folder."""
        point = "".join(c if c.isalnum() or c in "=,.-+_" else "_" for c in self.point_name)
        return f"{self.label}-{point}-seed{self.seed}" if point else f"{self.label}-seed{self.seed}"


@attrs.frozen
class CellResult:
    """A cell's result: ``scores`` per split (dev, test), or an error and no scores.

    ``chosen`` holds the parameters that the fit itself chose (:class:`vlrb.api.routing.WithChosen`).
    """

    cell: CellInfo
    status: Literal["done", "failed"]
    reused: bool
    directory: Path
    scores: Mapping[str, Scores] = attrs.field(converter=frozen)
    error: str = ""
    fit_seconds: float = 0.0
    timing: Timing | None = None
    choices: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict, converter=frozen)
    hardware: str = ""
    chosen: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class ReferenceResult:
    """A reference point: the scores of a fixed rule, such as the Oracle, on the same rows."""

    name: str
    summary: str
    scores: Mapping[str, Scores] = attrs.field(converter=frozen)


@attrs.frozen
class MetricInfo:
    """How to show a metric."""

    name: str
    unit: str
    higher_is_better: bool
    summary: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class BenchmarkInfo:
    """A summary of a benchmark.

    ``synthetic`` says what synthetic data are.  ``total_tokens`` is None where the logs give costs instead.  ``task_groups`` maps
    slugs to titles, in the order of tables.
    """

    fingerprint: str
    samples: int
    models: tuple[str, ...]
    datasets: Mapping[str, int] = attrs.field(converter=frozen)
    synthetic: str
    excluded: Mapping[str, int] = attrs.field(converter=frozen)
    total_tokens: int | None
    task_groups: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class SplitInfo:
    """A summary of one split.

    ``samples`` of train, dev and test.  ``digest`` identifies their sample ids.  ``group_also_in_train`` is the number of samples of
    dev and test that share a group with training samples.  ``train_fraction`` below 1: the groups of train were thinned out.
    """

    name: str
    samples: Mapping[str, int] = attrs.field(converter=frozen)
    digest: str
    group_also_in_train: Mapping[str, int] = attrs.field(converter=frozen)
    train_fraction: float = 1.0


@attrs.frozen
class SplitsInfo:
    """A summary of an experiment's splits.

    ``digest`` is that of the one split, or of all together.  ``groups`` is the number of groups, ``grouped_by`` the number of samples
    grouped by each reason (empty where groups were not kept together).  ``pooled``: :class:`vlrb.api.splits.Splits`.
    """

    use: str
    parameters: Mapping[str, Any] = attrs.field(converter=frozen)
    made: str
    pooled: bool
    digest: str
    groups: int
    grouped_by: Mapping[str, int] = attrs.field(converter=frozen)
    each: tuple[SplitInfo, ...]


@attrs.frozen
class RunInfo:
    """A planned run.  ``settings`` holds the validated ``[plugin.NAME]`` tables by plugin."""

    name: str
    key: str
    directory: Path
    protocol: str
    experiment: Mapping[str, Any] = attrs.field(converter=frozen)
    benchmark: BenchmarkInfo
    split: SplitsInfo
    bounds: CostBounds
    metrics: tuple[MetricInfo, ...]
    cells: tuple[CellInfo, ...]
    settings: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)
    environment: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)

    @property
    def id(self) -> str:
        """Return the run's name and that of its directory."""
        return f"{self.name}/{self.directory.name}"


@attrs.frozen
class RunResult:
    """A finished run.

    ``winners`` maps a label to the :attr:`CellInfo.point_name` that the selection chose: empty without a sweep, missing where every
    point has a failed cell.  ``decided_by`` maps a label to the metric that decided, where the selection metric had no value at
    any point.
    """

    run: RunInfo
    cells: tuple[CellResult, ...]
    references: tuple[ReferenceResult, ...]
    started: str
    finished: str
    winners: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    decided_by: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)

    def selected(self, cell: CellInfo) -> bool:
        """Tell whether a cell is of its router's selected point."""
        return self.winners.get(cell.label) == cell.point_name


@runtime_checkable
class WithText(Protocol):
    """A report that the command line prints too: on a run after ``vlrb run``, on a benchmark after ``vlrb build``."""

    def text(self, subject: Any, /) -> str:
        """Return the text for stdout: colours are kept, other control characters are shown as escapes."""
