"""The statistics of a run: what is compared, on which test rows, and where the metrics may mislead."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from vlrb.api.results import RouterResult
from vlrb.api.returned import checked_cautions
from vlrb.api.routing import OfMeans, Undefined, WithCautions
from vlrb.api.statistics import FEW_GROUPS, Interval, Statistics
from vlrb.errors import ConfigError, DataError, PluginError
from vlrb.evaluation.bootstrap import OVERALL
from vlrb.evaluation.drawn_values import MeasuredMetric, OfDraws, Row
from vlrb.evaluation.intervals import Settings, overall_intervals, table_statistics
from vlrb.running.context import RunContext
from vlrb.running.pooled import test_set
from vlrb.running.routers import Seen
from vlrb.texts import printable


def run_statistics(
    context: RunContext, seen: Mapping[str, Seen], routers: Sequence[str], of_draws: OfDraws | None = None
) -> Statistics:
    """Return the statistics of a run.

    :param seen: name of a row -> what the metrics saw of it
    :param routers: those of the names that are routers
    :param of_draws: computes metrics on the rows of all draws
    """
    section, evaluator = context.plan.statistics, context.evaluator
    tests = [test_set(context, context.evaluated(splits, "test")) for splits in context.test_sets()]
    rows = [Row(name, name in routers, of_row) for name, of_row in seen.items()]
    measured = [evaluator.measured(metric) for metric in context.plan.metrics]
    metrics = [attrs.evolve(m, paired_binary=is_binary(m, rows)) for m in measured]
    selection = evaluator.selection.spec.name
    pairs = tuple((one, other) for one, other in section.pairs if one in seen and other in seen)
    others = tuple(dict.fromkeys((section.baseline, "best-single")))
    settings = Settings(others, selection, section.draws, section.level, section.seed, pairs)
    found = table_statistics(tests, rows, metrics, settings, of_draws)
    groups, sizes = min(np.unique(test.groups).size for test in tests), [t.groups.size for t in tests]
    samples = {
        s: float(np.mean([t.scopes[s].sum() for t in tests]))
        for s in tests[0].scopes
        if all(s in t.scopes for t in tests)
    }
    missing = [_without_baseline(context)] if section.baseline not in seen else []
    cautions = (*missing, *_cautions(context, seen["best-single"], groups))
    return attrs.evolve(found, cautions=cautions, samples={"overall": float(np.mean(sizes)), **samples})


def with_intervals_of_curves(
    context: RunContext,
    routers: Sequence[RouterResult],
    seen: Mapping[tuple[str, float], Seen],
    whole: Statistics,
    of_draws: OfDraws | None = None,
) -> tuple[RouterResult, ...]:
    """Return routers whose points of learning curves have intervals.

    :param seen: (label, share of train) -> what the metrics saw
    :param whole: the statistics of the run, whose intervals are those of the points with all of train
    :param of_draws: computes metrics on the rows of all draws
    """
    section, evaluator = context.plan.statistics, context.evaluator
    settings = Settings((), evaluator.selection.spec.name, section.draws, section.level, section.seed)
    metrics = [evaluator.measured(metric) for metric in context.plan.metrics]
    found: dict[float, Mapping[str, Mapping[str, Interval | Undefined]]] = {
        1.0: {name: row.intervals.get(OVERALL, {}) for name, row in whole.rows.items()}
    }
    for fraction in sorted({share for _, share in seen} - {1.0}):
        tests = [test_set(context, context.evaluated(splits, "test")) for splits in context.test_sets(fraction)]
        rows = [Row(label, True, of_row) for (label, share), of_row in seen.items() if share == fraction]
        found[fraction] = overall_intervals(tests, rows, metrics, settings, of_draws)
    return tuple(
        attrs.evolve(r, curve=tuple(attrs.evolve(p, intervals=found[p.train_fraction][r.label]) for p in r.curve))
        for r in routers
    )


def _without_baseline(context: RunContext) -> str:
    baseline = context.plan.statistics.baseline
    why = "it was left out" if baseline in context.plan.routers_left_out else "a cell failed"
    return f"the baseline {baseline!r} has no result: {why}"


def is_binary(measured: MeasuredMetric, rows: Sequence[Row]) -> bool:
    """Tell whether a metric is the mean of one column of zeros and ones, whichever row it is of."""
    if not isinstance(measured.metric, OfMeans):
        return False
    for evaluation in (e for row in rows for of_set in row.evaluations for e in of_set):
        columns = measured.attempt(lambda seen=evaluation: list(measured.metric.columns(seen).values()))  # type: ignore[misc]
        if isinstance(columns, Undefined) or len(columns) != 1 or not np.isin(columns[0], (0.0, 1.0)).all():
            return False
    return True


def _cautions(context: RunContext, best_single: Seen, groups: int) -> tuple[str, ...]:
    """Return what misleads in the metrics, as they tell it, and whether there are few groups."""
    told = []
    if groups < FEW_GROUPS:
        where = " in a split" if len(context.test_sets()) > 1 else ""
        too_few = f"with fewer than {FEW_GROUPS}, intervals tend to be too narrow"
        told.append(f"only {groups:,} groups are tested{where}: {too_few}")
    evaluator = context.evaluator
    for metric in context.plan.metrics:
        made = evaluator.made(metric)
        if isinstance(made, WithCautions):
            with contextlib.suppress(PluginError, DataError, ConfigError), evaluator.noting(metric):
                who = f"metric {metric.registered.id!r} of {metric.plugin.label}"
                sentences = checked_cautions(made.cautions(best_single[0][0]), who)
                told += [printable(sentence, lines=False) for sentence in sentences]
    return tuple(told)
