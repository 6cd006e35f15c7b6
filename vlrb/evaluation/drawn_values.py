"""The values of metrics in every draw of a bootstrap: from means of columns where a metric allows it, else on resampled rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.returned import FIX, checked_metric, plain_array
from vlrb.api.routing import CostBounds, Estimate, Evaluation, MetricValue, OfMeans, Undefined
from vlrb.errors import PluginError, StorageError, VlrbError
from vlrb.evaluation.bootstrap import OVERALL, Draws, Sample, scope_sums

T = TypeVar("T")

ROUNDING = 1e-6
"""Share by which a function of means may differ from the metric: what is left is the order of summation."""


@attrs.frozen(eq=False)
class TestSet:
    """The m rows of a test set: a single split's, those of all folds together, or those of one of several splits.

    ``groups`` int[m] are numbers that mean the same group in every test set.  ``scopes`` map names (``group/stem``) to bool[m];
    ``overall`` need not be among them.
    """

    __test__ = False  # not a test of pytest

    groups: Array
    datasets: Array
    scopes: Mapping[str, Array]
    bounds: CostBounds


@attrs.frozen(eq=False)
class Row:
    """A router or reference point of a table, and its evaluations on all rows of each test set: one per seed.

    Evaluations that share their matrices are resampled faster.
    """

    name: str
    is_router: bool
    evaluations: Sequence[Sequence[Evaluation]]


@attrs.frozen(eq=False)
class MeasuredMetric:
    """A metric of a table.

    ``paired_binary``: its one column holds 0 and 1 only, as accuracy does.  ``blame()`` is entered around each call of the plugin,
    and may note what the plugin raises; ``who`` names the metric and its plugin in what it raises.
    """

    name: str
    metric: Any
    higher_is_better: bool = True
    per_subset: bool = True
    paired_binary: bool = False
    blame: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    who: str = attrs.Factory(lambda self: self.name, takes_self=True)

    def attempt(self, call: Callable[[], T]) -> T | Undefined:
        """Return what the plugin returns, Undefined of the kind ``failed`` where it raises."""
        try:
            with self.blame(), np.errstate(all="ignore"):
                return call()
        except StorageError:
            raise
        except VlrbError as error:
            return failed_metric(error.problems[0].message)
        except Exception as error:
            return failed_metric(f"{type(error).__name__}: {error}")

    def failure(self, what: str) -> Undefined:
        """Return the value of a metric that breaks its contract, and note it as if the metric had raised."""

        def fail() -> Undefined:
            raise PluginError(f"{self.who}: {what}", fix=FIX)

        return self.attempt(fail)

    def value(self, evaluation: Evaluation) -> MetricValue:
        """Return the metric of an evaluation without its timing, since the time does not depend on the samples that are drawn."""
        return self.attempt(lambda: checked_metric(self.metric(attrs.evolve(evaluation, timing=None)), self.who))


def failed_metric(message: str) -> Undefined:
    """Return the value of a metric that failed."""
    return Undefined(f"the metric failed: {message}", kind="failed")


@attrs.frozen(eq=False)
class Drawn:
    """A metric of every row of the table in every draw, float64[rows, 1 + draws], NaN where undefined; draw 0 is the samples.

    ``undefined``: position of a row -> why it has no value on the samples.
    """

    values: Array
    undefined: Mapping[int, Undefined]


OfDraws = Callable[
    [Sequence[MeasuredMetric], Sequence[Row], Sequence[Array], Array, Sequence[Mapping[int, Undefined]]],
    list[list[Drawn]],
]
"""As :func:`values_of_draws`, maybe in several blocks of draws."""


def drawn_values(
    tests: Sequence[TestSet],
    rows: Sequence[Row],
    metrics: Sequence[MeasuredMetric],
    groups: Sequence[Array],
    draws: Draws,
    of_draws: OfDraws | None = None,
) -> Iterator[tuple[str, MeasuredMetric, Drawn]]:
    """Yield scope, metric and values; a metric that is not a function of means has values overall only.

    :param groups: of each test set, the place in the draws that each sample's group has
    :param of_draws: computes such metrics instead of :func:`values_of_draws`, to the same values
    """
    by_means = [m for m in metrics if isinstance(m.metric, OfMeans)]
    tables = [ColumnTable.of(t, position, rows, by_means) for position, t in enumerate(tests)]
    samples = [t.sample(test, g) for t, test, g in zip(tables, tests, groups, strict=True)]
    for scope, sums in scope_sums(samples, draws) if by_means else ():
        means = [_means(s) for s in sums]
        for metric in by_means:
            if scope == OVERALL or metric.per_subset:
                drawn = _from_means(metric, tests, tables, means, len(rows), draws.size)
                if scope == OVERALL:
                    drawn = _compared(drawn, metric, rows)
                yield scope, metric, _explained(drawn, metric, tests, rows, scope)
    others = [m for m in metrics if not isinstance(m.metric, OfMeans)]
    if others:
        for metric, drawn in zip(others, values_from_rows(others, rows, groups, draws, of_draws), strict=True):
            yield OVERALL, metric, drawn


def _means(sums: Array | None) -> Array | None:
    """Return the means of the columns in each draw, NaN in a draw without a row."""
    if sums is None:
        return None
    with np.errstate(invalid="ignore"):
        return sealed(sums / sums[0])


Place = Mapping[str, int] | Undefined
"""Where the columns of a metric of an evaluation are, or why it has none."""


@attrs.frozen(eq=False)
class ColumnTable:
    """The distinct columns on a test set, [m, q]; ``places``: (name of a metric, row of the table) -> place for each seed."""

    matrix: Array
    places: Mapping[tuple[str, int], Sequence[Place]]

    @classmethod
    def of(cls, test: TestSet, position: int, rows: Sequence[Row], metrics: Sequence[MeasuredMetric]) -> ColumnTable:
        """Return the columns on the test set at a position; equal columns are held once."""
        known = {np.ones(test.groups.size).tobytes(): 0}

        def place(metric: MeasuredMetric, evaluation: Evaluation) -> Place:
            columns = metric.attempt(lambda: _checked_columns(metric, evaluation))
            if isinstance(columns, Undefined):
                return columns
            return {name: known.setdefault(column.tobytes(), len(known)) for name, column in columns.items()}

        places = {
            (m.name, r): [place(m, e) for e in row.evaluations[position]] for r, row in enumerate(rows) for m in metrics
        }
        return cls(np.array([np.frombuffer(c) for c in known]).T, places)

    def sample(self, test: TestSet, groups: Array) -> Sample:
        """Return the test set with these columns, for sums in draws."""
        everything = np.ones(groups.size, dtype=bool)
        return Sample(groups, {OVERALL: everything, **test.scopes}, self.matrix)


def _checked_columns(metric: MeasuredMetric, evaluation: Evaluation) -> dict[str, Array]:
    """Return the columns as finite float64[n]."""
    checked = {}
    for name, column in dict(metric.metric.columns(attrs.evolve(evaluation, timing=None))).items():
        what = f"column {name!r} of metric {metric.name!r}"
        given = plain_array(column, what, "metric")
        if given.dtype.kind not in "biuf" or given.shape != evaluation.choices.shape or not np.isfinite(given).all():
            fact = f"{what} must be {evaluation.choices.size:,} finite numbers, not {given.dtype} {given.shape}"
            raise PluginError(fact, fix=FIX)
        checked[name] = given.astype(np.float64)
    return checked


def _from_means(
    metric: MeasuredMetric,
    tests: Sequence[TestSet],
    tables: Sequence[ColumnTable],
    means: Sequence[Array | None],
    rows: int,
    draws: int,
) -> Drawn:
    """Return the values of a metric in one scope: means over seeds, then over the test sets that have the scope."""
    values = np.full((rows, draws), np.nan)
    failed: dict[int, Undefined] = {}
    for row in range(rows):
        of_tests: list[list[Array]] = []
        for test, table, mean in zip(tests, tables, means, strict=True):
            if mean is not None:
                seeds = [_of_means(metric, p, mean, test.bounds) for p in table.places[metric.name, row]]
                wrong = [v for v in seeds if isinstance(v, Undefined)]
                if wrong:
                    failed.setdefault(row, wrong[0])
                of_tests.append([v for v in seeds if not isinstance(v, Undefined)])
        if row not in failed:
            values[row] = np.mean([np.mean(seeds, axis=0) for seeds in of_tests], axis=0)
    return Drawn(values, failed)


def _of_means(metric: MeasuredMetric, place: Place, means: Array, bounds: CostBounds) -> Array | Undefined:
    """Return a metric in every draw, NaN in draws without a row."""
    if isinstance(place, Undefined):
        return place
    result = metric.attempt(lambda: _checked_values(metric, {n: means[i] for n, i in place.items()}, bounds))
    return result if isinstance(result, Undefined) else np.where(np.isfinite(means[0]), result, np.nan)


def _checked_values(metric: MeasuredMetric, means: Mapping[str, Array], bounds: CostBounds) -> Array:
    shape = next(iter(means.values())).shape if means else ()
    what = f"what of_means of metric {metric.name!r} returned"
    given = plain_array(metric.metric.of_means(means, bounds), what, "metric")
    if given.dtype.kind not in "biuf" or given.shape != shape:
        raise PluginError(f"{what} must be numbers of shape {shape}, not {given.dtype} {given.shape}", fix=FIX)
    return given.astype(np.float64)


def _compared(drawn: Drawn, metric: MeasuredMetric, rows: Sequence[Row]) -> Drawn:
    """Return values in which a metric has failed whose means do not give what it computes itself on the samples."""
    undefined = dict(drawn.undefined)
    for position, row in enumerate(rows):
        by_means = float(drawn.values[position, 0])
        itself = _mean_value(metric, row.evaluations)
        if position in undefined or isinstance(itself, Undefined) or not np.isfinite(by_means):
            continue
        if abs(by_means - itself) > ROUNDING * max(abs(by_means), abs(itself)):
            what = f"of_means gives {by_means:.6g} on the samples, where the metric is {itself:.6g}"
            undefined[position] = metric.failure(what)
    return Drawn(drawn.values, undefined)


def _explained(
    drawn: Drawn, metric: MeasuredMetric, tests: Sequence[TestSet], rows: Sequence[Row], scope: str
) -> Drawn:
    """Return values with the reason of each row that has none on the samples, as the metric itself gives it."""
    undefined = dict(drawn.undefined)
    for row in np.flatnonzero(~np.isfinite(drawn.values[:, 0])).tolist():
        if row not in undefined:
            undefined[row] = _reason(metric, tests, rows[row], scope)
    return Drawn(drawn.values, undefined)


def _reason(metric: MeasuredMetric, tests: Sequence[TestSet], row: Row, scope: str) -> Undefined:
    for test, seeds in zip(tests, row.evaluations, strict=True):
        member = np.ones(test.groups.size, dtype=bool) if scope == OVERALL else test.scopes.get(scope)
        index = np.flatnonzero(member) if member is not None else np.array([], dtype=int)
        for evaluation in seeds if index.size else ():
            value = metric.value(take_rows(evaluation, index, {}))
            if isinstance(value, Undefined):
                return value
    return Undefined("the metric has no finite value on these samples")


def take_rows(evaluation: Evaluation, index: Array, taken: dict[Any, Any]) -> Evaluation:
    """Return an evaluation on some of its rows, each as often as the index has it.

    :param taken: what was taken of arrays that several evaluations share, by the arrays' identities
    """

    def take(array: Array) -> Array:
        if id(array) not in taken:
            taken[id(array)] = array, sealed(array[index])  # no other array has this identity while this one is held
        return taken[id(array)][1]  # type: ignore[no-any-return]

    def accuracy(choices: Array) -> float:
        key = id(evaluation.quality), id(choices)
        if key not in taken:
            taken[key] = float(np.take_along_axis(take(evaluation.quality), take(choices)[:, None], axis=1).mean())
        return taken[key]  # type: ignore[no-any-return]

    def estimate() -> Estimate:
        return Estimate(take(evaluation.estimate.p_correct), take(evaluation.estimate.cost))  # type: ignore[union-attr]

    return attrs.evolve(
        evaluation,
        choices=take(evaluation.choices),
        quality=take(evaluation.quality),
        score=lambda: take(evaluation.score),
        cost=take(evaluation.cost),
        input_tokens=lambda: take(evaluation.input_tokens),
        output_tokens=lambda: take(evaluation.output_tokens),
        best_single_choices=take(evaluation.best_single_choices),
        oracle_choices=take(evaluation.oracle_choices),
        best_single=accuracy(evaluation.best_single_choices),
        oracle=accuracy(evaluation.oracle_choices),
        timing=None,
        estimate=estimate if evaluation.has_estimate else None,
    )


def values_from_rows(
    metrics: Sequence[MeasuredMetric],
    rows: Sequence[Row],
    groups: Sequence[Array],
    draws: Draws,
    of_draws: OfDraws | None = None,
) -> list[Drawn]:
    """Return the values of metrics that are computed again on the rows of every draw; ``of_draws`` as in :func:`drawn_values`."""
    first = [_on_samples(metric, rows) for metric in metrics]
    known = [d.undefined for d in first]
    if all(len(undefined) == len(rows) for undefined in known):
        blocks = [[Drawn(np.full((len(rows), draws.draws), np.nan), undefined) for undefined in known]]
    else:
        blocks = (of_draws or values_of_draws)(metrics, rows, groups, draws.counts()[:, 1:], known)
    joined = []
    for parts in zip(first, *blocks, strict=True):
        undefined = {row: why for part in reversed(parts) for row, why in part.undefined.items()}
        joined.append(Drawn(np.concatenate([p.values for p in parts], axis=1), undefined))
    return joined


def _on_samples(metric: MeasuredMetric, rows: Sequence[Row]) -> Drawn:
    """Return the values of draw 0."""
    values, undefined = np.full((len(rows), 1), np.nan), {}
    for r, row in enumerate(rows):
        found = _mean_value(metric, row.evaluations)
        if isinstance(found, Undefined):
            undefined[r] = _without_time(metric, row, found)
        else:
            values[r] = found
    return Drawn(values, undefined)


def values_of_draws(
    metrics: Sequence[MeasuredMetric],
    rows: Sequence[Row],
    groups: Sequence[Array],
    counts: Array,
    known: Sequence[Mapping[int, Undefined]],
) -> list[list[Drawn]]:
    """Return the values of metrics in some draws, as one block.

    :param counts: uint8[groups, draws]
    :param known: of each metric, position of a row -> why it has no value on the samples
    """
    values = [np.full((len(rows), counts.shape[1]), np.nan) for _ in metrics]
    undefined = [dict(k) for k in known]
    for draw in range(counts.shape[1]):
        if all(len(u) == len(rows) for u in undefined):
            break
        indices = [np.repeat(np.arange(g.size), counts[g, draw]) for g in groups]
        taken: list[dict[Any, Any]] = [{} for _ in groups]
        for r, row in enumerate(rows):
            open_metrics = [i for i in range(len(metrics)) if r not in undefined[i]]
            if not open_metrics or not all(index.size for index in indices):
                continue
            drawn = [
                [take_rows(e, index, shared) for e in seeds]
                for seeds, index, shared in zip(row.evaluations, indices, taken, strict=True)
            ]
            for i in open_metrics:
                found = _mean_value(metrics[i], drawn)
                if not isinstance(found, Undefined):
                    values[i][r, draw] = found
                elif found.kind == "failed":
                    undefined[i][r] = found
    return [[Drawn(v, u) for v, u in zip(values, undefined, strict=True)]]


def _mean_value(metric: MeasuredMetric, evaluations: Sequence[Sequence[Evaluation]]) -> MetricValue:
    """Return the mean over seeds, then over test sets; Undefined where one of them is."""
    found = [[metric.value(e) for e in seeds] for seeds in evaluations]
    reasons = [v for seeds in found for v in seeds if isinstance(v, Undefined)]
    if reasons:
        return reasons[0]
    mean = float(np.mean([np.mean(seeds) for seeds in found]))  # type: ignore[arg-type]
    return mean if np.isfinite(mean) else Undefined("the metric has no finite value on these samples")


def _without_time(metric: MeasuredMetric, row: Row, found: Undefined) -> Undefined:
    """Return why a metric has no interval: it measures time, or what it says itself."""
    first = row.evaluations[0][0]
    timed = first.timing is not None and found.kind != "failed"
    if timed and not isinstance(metric.attempt(lambda: checked_metric(metric.metric(first), metric.who)), Undefined):
        return Undefined("the metric measures time, which does not depend on the samples that are drawn")
    return found
