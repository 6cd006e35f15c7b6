"""Promises of splitters and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array, FrozenDict, sealed
from vlrb.api.returned import checked_cautions, checked_metric, plain_array
from vlrb.api.routing import CostBounds, Estimate, Evaluation, Labelled, MetricValue, OfMeans, Timing, WithCautions
from vlrb.api.splits import SPLITS, SplitSamples
from vlrb.errors import DataError, VlrbError, did_you_mean
from vlrb.evaluation.reference import oracle_choices, strongest_model
from vlrb.evaluation.splits import CheckedSplits, checked_splits, leaking
from vlrb.testing.common import add_calm
from vlrb.testing.promises import NotPromised, Subject, Table, breach
from vlrb.testing.samples import make_labelled
from vlrb.testing.surroundings import content_of, raised, untouched

DATASETS = ("SmallA", "SmallB", "SmallC")


def split_samples(count: int = 240, datasets: int = 3, given: bool = True, writable: bool = False) -> SplitSamples:
    """Return what splitters see of made-up samples: pairs share a group, and a column ``category`` has three values."""
    number = np.arange(count)
    names = np.array(DATASETS[:datasets])[number * datasets // max(count, 1)]
    category = tuple(("easy", "hard", None)[i % 3] for i in range(count))
    held = (lambda array: array.copy()) if writable else sealed

    def column(name: str) -> tuple[str | None, ...]:
        if name != "category":
            raise DataError(f"no sample has a column {name!r}", where="[split]", fix=did_you_mean(name, ["category"]))
        return category

    prescribed = [("train", "train", "train", "dev", "test")[i // 2 % 5] if given else None for i in range(count)]
    return SplitSamples(
        ids=tuple(f"{name}/{i:04d}" for i, name in enumerate(names.tolist())),
        datasets=held(names),
        task_groups=held(np.char.lower(names)),
        texts=tuple(f"question {i // 2}" for i in range(count)),
        groups=held(number // 2),
        given=tuple(prescribed),
        column=column,
        slugs=FrozenDict({name: name.lower() for name in DATASETS[:datasets]}),
    )


@attrs.define(eq=False, slots=False)
class SplitterSubject(Subject):
    """A splitter."""

    @cached_property
    def divide(self) -> Any:
        """Return the splitter, made once."""
        return self.make("__call__")

    def checked(self, samples: SplitSamples) -> CheckedSplits:
        """Return checked splits."""
        return checked_splits(self.divide(samples), samples, self.who)

    def work(self) -> None:
        """Split."""
        self.divide(split_samples())


SPLITTER = Table("splitter", partial(SplitterSubject.of, "splitter"))


@SPLITTER.promise("return Splits whose SplitRows hold every row number once; give several splits distinct names")
def valid_splits(splitter: SplitterSubject) -> None:
    """Each row is in exactly one of train, dev and test of each split; pooled splits test no row twice."""
    splitter.checked(split_samples())


@SPLITTER.promise("leave samples for each part, or raise vlrb.DataError if that is impossible")
def no_part_is_empty(splitter: SplitterSubject) -> None:
    """Train, dev and test of each split have samples."""
    for one in splitter.divide(split_samples()).each:
        for part in SPLITS:
            if not len(getattr(one, part)):
                breach(f"{part} of split {one.name!r} is empty")


@SPLITTER.promise("draw by a parameter seed, or by hashes of the sample ids")
def same_splits_every_time(splitter: SplitterSubject) -> None:
    """Two splitters with the same parameters make the same splits."""
    first, second = (content_of(splitter.make("__call__")(split_samples()).each) for _ in range(2))
    if first != second:
        breach("another splitter with the same parameters made other splits")


@SPLITTER.promise("divide whole groups (samples.groups), as vlrb.grouped_shares does, or say keeps_groups=False")
def groups_kept(splitter: SplitterSubject) -> None:
    """With ``keeps_groups``, no group is in two of train, dev and test."""
    samples = split_samples()
    made = splitter.divide(samples)
    if not made.keeps_groups:
        raise NotPromised("it does not say that it keeps groups together")
    groups = samples.groups if made.groups is None else np.asarray(made.groups)
    for one in made.each:
        for part, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
            rows = (np.asarray(getattr(one, name), dtype=np.int64) for name in (part, other))
            if shared := leaking(groups, *rows):
                breach(f"{shared} samples of {other} share a group with samples of {part}")


@SPLITTER.promise("raise vlrb.DataError or vlrb.ConfigError with what is missing and how to get it")
def says_what_it_lacks(splitter: SplitterSubject) -> None:
    """Two samples, one dataset, or no prescribed split: valid splits, or an error of vlrb that says what is missing."""
    for samples in (split_samples(2, 1), split_samples(60, 1), split_samples(60, given=False)):
        error = raised(partial(splitter.divide, samples))
        if error is not None and not isinstance(error, VlrbError):
            breach(f"{len(samples.ids)} samples: it raised {type(error).__name__}: {error}")


@SPLITTER.promise("copy the arrays that you want to sort or shuffle: samples.groups.copy()")
def inputs_untouched(splitter: SplitterSubject) -> None:
    """The splitter changes nothing that it is given."""
    samples = split_samples(writable=True)
    with untouched(datasets=samples.datasets, task_groups=samples.task_groups, groups=samples.groups):
        splitter.divide(samples)


add_calm(SPLITTER, "splitting")


@cache
def _outcomes(count: int, candidates: int) -> Labelled:
    return make_labelled(count, candidates=candidates, seed=5)


def evaluation(count: int = 60, candidates: int = 3, **changes: Any) -> Evaluation:
    """Return what a metric sees of made-up choices; ``changes`` are fields with other values."""
    made = _outcomes(count, candidates)
    rng = np.random.default_rng(6)
    k = candidates
    quality, cost = changes.pop("quality", made.quality), changes.pop("cost", made.cost)
    right = np.asarray(quality) > 0.5
    best = strongest_model(made.quality, made.cost)
    means = cost.mean(axis=0)
    oracle = oracle_choices(right, cost)
    values = {
        "choices": sealed(rng.integers(0, k, count)),
        "quality": sealed(quality),
        "score": sealed(np.asarray(quality, dtype=np.float64)),
        "cost": sealed(cost),
        "input_tokens": sealed(rng.integers(100, 200, (count, k))),
        "output_tokens": sealed(rng.integers(1, 50, (count, k))),
        "bounds": CostBounds(float(means.min()), float(means.max()), free=("model-0",) * int(not means.any())),
        "best_single": float(quality[:, best].mean()),
        "oracle": float(quality[np.arange(count), oracle].mean()),
        "best_single_choices": sealed(np.full(count, best)),
        "oracle_choices": sealed(oracle),
        "models": tuple(c.name for c in made.queries.candidates),
        "timing": Timing(count, 0.5, 1.5),
        "estimate": Estimate(sealed(rng.random((count, k))), sealed(np.array(cost))),
    }
    return Evaluation(**{**values, **changes})


@attrs.define(eq=False, slots=False)
class MetricSubject(Subject):
    """A metric."""

    @cached_property
    def metric(self) -> Any:
        """Return the metric, made once."""
        return self.make("__call__")

    def value(self, seen: Evaluation) -> MetricValue:
        """Return a checked value."""
        return checked_metric(self.metric(seen), self.who)

    def work(self) -> None:
        """Compute the metric."""
        self.metric(evaluation())


METRIC = Table("metric", partial(MetricSubject.of, "metric"))


def _refuse_unequal(expected: Any, found: Any, when: str) -> None:
    if isinstance(expected, float | int) and isinstance(found, float | int):
        if np.isclose(expected, found, rtol=1e-9, atol=1e-12):
            return
    elif expected == found:
        return
    breach(f"the value is {found} {when}, and {expected} otherwise")


@METRIC.promise("return a number, or vlrb.Undefined with a reason: never NaN")
def valid_value(metric: MetricSubject) -> None:
    """The value is a number, or Undefined with a reason."""
    metric.value(evaluation())


@METRIC.promise("compute the value from the evaluation alone")
def same_value_every_time(metric: MetricSubject) -> None:
    """Two metrics with the same parameters give the same value, and so does one that was used before."""
    seen = evaluation()
    first, again, other = metric.metric(seen), metric.metric(seen), metric.make("__call__")(seen)
    _refuse_unequal(first, again, "a second time")
    _refuse_unequal(first, other, "from another metric")


@METRIC.promise("compute means, sums and ranks, in which the order of the samples makes no difference")
def order_of_samples_does_not_matter(metric: MetricSubject) -> None:
    """The samples may come in any order."""
    seen = evaluation()
    _refuse_unequal(metric.metric(seen), metric.metric(_rows(seen, np.arange(60)[::-1])), "in another order")


def _rows(seen: Evaluation, rows: Array) -> Evaluation:
    """Return an evaluation of some samples, with the values of ``best_single`` and ``oracle`` as they were."""
    arrays = ("choices", "quality", "score", "cost", "input_tokens", "output_tokens")
    taken: dict[str, Any] = {
        n: sealed(getattr(seen, n)[rows]) for n in (*arrays, "best_single_choices", "oracle_choices")
    }
    estimate = seen.estimate and Estimate(sealed(seen.estimate.p_correct[rows]), sealed(seen.estimate.cost[rows]))
    return attrs.evolve(seen, estimate=estimate, **taken)


@METRIC.promise("return vlrb.Undefined with a reason where a single sample has no value")
def one_sample(metric: MetricSubject) -> None:
    """One sample gives a number, or Undefined."""
    metric.value(evaluation(1))


@METRIC.promise("return vlrb.Undefined with a reason where one model leaves nothing to compare")
def one_model(metric: MetricSubject) -> None:
    """One candidate model gives a number, or Undefined."""
    metric.value(evaluation(candidates=1))


@METRIC.promise("return vlrb.Undefined with a reason instead of dividing by zero")
def extreme_outcomes(metric: MetricSubject) -> None:
    """If all answers are right, all are wrong, or nothing costs anything, the value is a number, or Undefined."""
    right, free = np.ones((60, 3), dtype=np.bool_), np.zeros((60, 3))
    for quality, cost in ((right, None), (~right, None), (right, free), (~right, free)):
        metric.value(evaluation(quality=quality, cost=evaluation().cost if cost is None else cost))


@METRIC.promise("return vlrb.Undefined with a reason where evaluation.timing or evaluation.estimate is None")
def without_timing(metric: MetricSubject) -> None:
    """Without timing and estimates the value is a number, or Undefined."""
    metric.value(evaluation(timing=None, estimate=None))


@METRIC.promise('take quality as numbers from 0 to 1: with `rule = "predicted"` they are estimates')
def estimated_quality(metric: MetricSubject) -> None:
    """Quality and scores may be probabilities instead of verdicts."""
    metric.value(evaluation(quality=np.random.default_rng(7).random((60, 3))))


@METRIC.promise("let of_means(the means of columns(evaluation), bounds) be what the metric returns")
def means_agree(metric: MetricSubject) -> None:
    """``of_means`` of the means of the ``columns`` is the value, for one mean and for many at once."""
    made: Any = metric.metric
    if not isinstance(made, OfMeans):
        raise NotPromised("it has no methods columns() and of_means()")
    seen = evaluation()
    expected, columns = metric.metric(seen), made.columns(seen)
    means: Mapping[str, Any] = {k: np.asarray(v, dtype=np.float64).mean() for k, v in columns.items()}
    for shape in ((), (4,), (2, 3)):
        found = plain_array(
            made.of_means({k: np.full(shape, v) for k, v in means.items()}, seen.bounds), "", metric.who
        )
        if found.shape != shape:
            breach(f"of_means returned shape {found.shape} for means of shape {shape}")
        for value in found.reshape(-1).tolist():
            if isinstance(expected, float | int) or value == value:
                _refuse_unequal(expected, value, "by of_means")


@METRIC.promise(
    "let columns() give each sample a number that depends on that sample alone, or leave it and of_means() out"
)
def columns_of_each_sample(metric: MetricSubject) -> None:
    """A sample has the same numbers in ``columns`` whatever other samples there are: draws and subsets take them as they are."""
    made: Any = metric.metric
    if not isinstance(made, OfMeans):
        raise NotPromised("it has no methods columns() and of_means()")
    seen, rows = evaluation(), np.arange(0, 60, 3)
    every, some = made.columns(seen), made.columns(_rows(seen, rows))
    for name in sorted(every.keys() | some.keys()):
        if name not in every or name not in some:
            breach(f"column {name!r} is there for some samples and not for others")
        if not np.allclose(np.asarray(every[name], np.float64)[rows], np.asarray(some[name], np.float64), rtol=1e-9):
            breach(f"column {name!r} has other numbers for the same samples where the others are left out")


@METRIC.promise("return a list of sentences from cautions()")
def cautions_are_texts(metric: MetricSubject) -> None:
    """``cautions`` returns texts for any samples."""
    made: Any = metric.metric
    if not isinstance(made, WithCautions):
        raise NotPromised("it has no method cautions()")
    for seen in (evaluation(), evaluation(1), evaluation(cost=np.zeros((60, 3)))):
        checked_cautions(made.cautions(seen), metric.who)


@METRIC.promise("copy what you want to change: evaluation.cost.copy()")
def evaluation_untouched(metric: MetricSubject) -> None:
    """The metric changes nothing that it is given."""
    sealed_one = evaluation()
    names = [f.name.removeprefix("_") for f in attrs.fields(Evaluation)]
    values: dict[str, Any] = {name: getattr(sealed_one, name) for name in names}
    copied: dict[str, Any] = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    seen = Evaluation(**copied)
    with untouched(evaluation=seen):
        metric.metric(seen)


add_calm(METRIC, "computing it")
