"""What observers and reporters see: cells, runs, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import attrs

from vlrb.api.frozen import frozen
from vlrb.api.routing import CostBounds, MetricValue, Timing, Undefined
from vlrb.api.statistics import Interval, Statistics

Scores = Mapping[str, Mapping[str, MetricValue]]
"""Scope -> metric -> value.  Scopes: ``overall``, ``group/SLUG``, ``dataset/SLUG``."""


@attrs.frozen
class CellInfo:
    """One router with one set of parameters and one seed on one split.

    ``point`` holds the parameters that a sweep gave it.  ``fit_key`` is the key of the cell whose fit it shares, if any.
    ``split`` is the name of the split, empty for a single one.  A cell with a ``train_fraction`` below 1 is a point of a learning
    curve; one with an ``inner`` fold (from 1) takes part in choosing only; one with ``refit`` was fitted on train and dev after
    the choice.
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
    split: str = ""
    train_fraction: float = 1.0
    inner: int = 0
    refit: bool = False

    @property
    def point_name(self) -> str:
        """Return the point of a sweep as text, such as ``lambda=100``; empty without a sweep."""
        return ",".join(f"{name}={value}" for name, value in self.point.items())

    @property
    def outer_name(self) -> str:
        """Return the name of the split that the cell is for: an inner fold and a refit are for the split around them."""
        return variant_name(self.split, self.train_fraction)

    @property
    def split_name(self) -> str:
        """Return the name of the cell's own split, such as ``fold-1,inner-2``."""
        return variant_name(self.split, self.train_fraction, self.inner, self.refit)

    @property
    def name(self) -> str:
        """Return the cell's name, unique in its run, and that of its folder."""
        texts = (self.point_name, self.split_name)
        safe = ["".join(c if c.isalnum() or c in "=,.-+_" else "_" for c in text) for text in texts if text]
        return "-".join([self.label, *safe, f"seed{self.seed}"])


def variant_name(split: str, train_fraction: float = 1.0, inner: int = 0, refit: bool = False) -> str:
    """Return the name of a split, or of what is derived from it: thinned out, for choosing, with dev joined to train."""
    thinned = f"train={train_fraction:g}" if train_fraction < 1 else ""
    return ",".join(filter(None, (split, thinned, f"inner-{inner}" if inner else "", "refit" if refit else "")))


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
class AggregatedScores:
    """Scores on test over all splits and seeds, and their spread.

    ``scores``: over the pooled choices of folds, else the mean over the splits; the mean over seeds.  ``over_seeds`` and
    ``over_splits``: scope -> metric -> standard deviation, where there are several; that over splits is not a standard error, since
    their test samples overlap.
    """

    scores: Scores = attrs.field(converter=frozen)
    over_seeds: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict, converter=frozen)
    over_splits: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class CurvePoint:
    """A point of a learning curve: the scores of a router that was fitted on a share of the groups of train.

    ``intervals``: metric -> interval over the test samples, overall.
    """

    train_fraction: float
    test: AggregatedScores
    intervals: Mapping[str, Interval | Undefined] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class SweepPoint:
    """A point of a sweep: every metric where points were compared (means over seeds and splits), and on how many splits it won."""

    name: str
    values: Mapping[str, MetricValue] = attrs.field(converter=frozen)
    times_chosen: int


@attrs.frozen
class RouterResult:
    """The result of a router over all splits and seeds.

    ``points``: split -> the :attr:`CellInfo.point_name` that the selection chose there: empty without a sweep, missing where
    every point has a failed cell.  ``decided_by``: split -> the metric that decided, where the selection metric had no value at
    any point.  ``rule``: by which a point was chosen; ``best`` where ``predicted`` was asked for but the router gives no
    estimates.  ``cells`` are the names of those that ``test`` is made of, which is None where every seed has a failed cell.
    """

    label: str
    points: Mapping[str, str] = attrs.field(converter=frozen)
    decided_by: Mapping[str, str] = attrs.field(converter=frozen)
    rule: str
    cells: tuple[str, ...]
    test: AggregatedScores | None
    sweep: tuple[SweepPoint, ...] = ()
    curve: tuple[CurvePoint, ...] = ()


REFERENCES: Mapping[str, str] = {
    "oracle": "the cheapest model that is right, else the cheapest: no router can do better",
    "strongest-per-dataset": "in each dataset the model that is most accurate there on train",
    "best-single": "the model that is most accurate on train, for every sample",
    "best-single-by-metric": "the model with the best value of the selection metric on train, for every sample",
    "cheapest-single": "the model that costs least on train, for every sample",
}
"""Reference points: rules that look at labels or dataset names, or choose one model for all samples."""


@attrs.frozen
class ReferenceResult:
    """A reference point: the scores of a fixed rule, such as the Oracle, on the same rows."""

    name: str
    summary: str
    test: AggregatedScores


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

    ``name`` is the splitter's, empty for a single split.  ``samples`` of train, dev and test.  ``digest`` identifies their sample
    ids.  ``group_also_in_train`` is the number of samples of dev and test that share a group with training samples.
    ``train_fraction`` below 1: the groups of train were thinned out.
    """

    name: str
    samples: Mapping[str, int] = attrs.field(converter=frozen)
    digest: str
    group_also_in_train: Mapping[str, int] = attrs.field(converter=frozen)
    train_fraction: float = 1.0


@attrs.frozen
class SplitsInfo:
    """A summary of an experiment's splits.

    ``digest`` is that of the one split, or of all together.  ``groups`` is the number of groups, ``grouped_by`` the number of
    samples grouped by each reason (empty where groups were not kept together).  ``pooled``: :class:`vlrb.api.splits.Splits`.
    """

    use: str
    parameters: Mapping[str, Any] = attrs.field(converter=frozen)
    made: str
    pooled: bool
    digest: str
    groups: int
    grouped_by: Mapping[str, int] = attrs.field(converter=frozen)
    each: tuple[SplitInfo, ...]

    @property
    def whole(self) -> tuple[SplitInfo, ...]:
        """Return the splits with the whole train."""
        return tuple(one for one in self.each if one.train_fraction == 1)


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

    @property
    def limited(self) -> str:
        """Return in words what a first try has left out (``vlrb run --limit --only``); empty for the whole experiment."""
        found = self.experiment.get("limited", {})
        texts = [f"limited to {self.benchmark.samples:,} samples: a first try"] if found.get("samples") else []
        if names := found.get("routers_left_out"):
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            texts.append(f"without {shown}")
        return "; ".join(texts)

    @property
    def selection_metric(self) -> str:
        """Return the name of the metric by which points of a sweep are compared, without its plugin's."""
        return str(self.experiment["selection"]["metric"]).rpartition("/")[2]


@attrs.frozen
class RunResult:
    """A finished run: the results of its cells, routers and reference points; ``statistics`` says what the test samples support."""

    run: RunInfo
    cells: tuple[CellResult, ...]
    routers: tuple[RouterResult, ...]
    references: tuple[ReferenceResult, ...]
    statistics: Statistics
    started: str
    finished: str

    def selected(self, cell: CellInfo) -> bool:
        """Tell whether a router's result is made of a cell, among others."""
        return any(cell.name in router.cells for router in self.routers)


@runtime_checkable
class WithText(Protocol):
    """A report that the command line prints too: on a run after ``vlrb run``, on a benchmark after ``vlrb build``."""

    def text(self, subject: Any, /) -> str:
        """Return the text for stdout: colours are kept, other control characters are shown as escapes."""
