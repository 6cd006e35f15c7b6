"""Comparing finished runs: which choices differ, and by how much the metrics do on the same test samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vlrb.api.comparison import ComparedRow, Comparison, RunPair
from vlrb.api.results import AggregatedScores, MetricInfo, RunInfo
from vlrb.api.routing import MetricValue, Undefined
from vlrb.api.statistics import Interval
from vlrb.benchmark.matrices import MATRICES
from vlrb.errors import ConfigError, DataError, did_you_mean
from vlrb.evaluation.splits import Splitting
from vlrb.running.differing import differing_settings
from vlrb.running.paired import SameTests, paired_rows
from vlrb.running.stored import StoredRun, stored_splitting

if TYPE_CHECKING:
    from vlrb.running.finished import FinishedRun

FAILED = Undefined("a cell failed for every seed")


def compare_runs(runs: Sequence[FinishedRun]) -> Comparison:
    """Compare runs with the first of them.

    :raises ConfigError: for fewer than two runs, or the same one twice
    :raises DataError: when a file is missing or broken, or two runs have nothing in common
    """
    names = _distinct_names(runs)
    infos = tuple(r.result.run for r in runs)
    first = StoredRun.of(runs[0])
    metrics, left_out = _common_metrics(infos, names, first.left_out)
    statistics = runs[0].result.statistics
    return Comparison(
        runs=infos,
        names=names,
        leaders=tuple(r.result.statistics.leader for r in runs),
        metrics=metrics,
        left_out=left_out,
        selection_metric=infos[0].selection_metric,
        draws=statistics.draws,
        level=statistics.level,
        differing=differing_settings(infos),
        pairs=tuple(_pair(first, other, place, metrics) for place, other in enumerate(runs[1:], 1)),
    )


def _distinct_names(runs: Sequence[FinishedRun]) -> tuple[str, ...]:
    """Return the runs' names, or their folders where two have the same name."""
    if len(runs) < 2:
        raise ConfigError("a comparison needs two runs or more", fix="name another run")
    folders = Counter(r.directory.resolve() for r in runs)
    if twice := [f for f, count in folders.items() if count > 1]:
        raise ConfigError("the same run was given twice", where=str(twice[0]), fix="name another run")
    names = [r.result.run.id for r in runs]
    return tuple(names if len(set(names)) == len(names) else map(str, folders))


def _common_metrics(
    runs: Sequence[RunInfo], names: Sequence[str], missing: Mapping[str, str]
) -> tuple[tuple[MetricInfo, ...], dict[str, str]]:
    """Return the first run's metrics that can be compared, and name -> why another cannot."""
    left_out = dict(missing)
    every = dict.fromkeys(m.name for run in runs for m in run.metrics)
    for metric in every:
        lacking = [n for n, run in zip(names, runs, strict=True) if all(m.name != metric for m in run.metrics)]
        if lacking:
            left_out.setdefault(metric, f"{', '.join(lacking)} did not compute it")
    metrics = tuple(m for m in runs[0].metrics if m.name not in left_out)
    if not metrics:
        fix = did_you_mean(runs[0].selection_metric, [m.name for run in runs[1:] for m in run.metrics])
        raise DataError("the runs have no metric in common", where=names[0], fix=fix)
    return metrics, left_out


def _pair(first: StoredRun, other: FinishedRun, place: int, metrics: Sequence[MetricInfo]) -> RunPair:
    """Compare another run with the first."""
    notes, tests = _common_tests(first, other)
    one, two = ([r.label for r in run.result.routers] for run in (first.finished, other))
    references = [r.name for r in first.finished.result.references]
    pairs = [(label, label, "router") for label in one if label in two]
    pairs += [(name, name, "reference") for name in references if name in other.names]
    leader, its_leader = (run.result.statistics.leader for run in (first.finished, other))
    if leader and its_leader and leader != its_leader:
        pairs.insert(0, (leader, its_leader, "leaders"))
    if not pairs:
        fix = f"the first has {', '.join(one)}; the other {', '.join(two)}"
        raise DataError("the runs have no router and no reference point in common", where=str(other.directory), fix=fix)
    rows, groups = tuple(_unpaired(first.finished, other, pair, metrics) for pair in pairs), 0
    if tests:
        rows, groups = paired_rows(first, other, tests, rows)
    return RunPair(
        other=place,
        paired=bool(tests),
        notes=tuple(notes),
        samples=sum(t.on.rows.size for t in tests),
        groups=groups,
        rows=rows,
        only_first=tuple(label for label in one if label not in two),
        only_other=tuple(label for label in two if label not in one),
    )


def _common_tests(first: StoredRun, other: FinishedRun) -> tuple[list[str], list[SameTests]]:
    """Return what differs between what two runs test, in words, and the test rows that both evaluate together.

    :raises DataError: when they have neither a sample nor a model in common, or one of them is damaged
    """
    benchmark, samples = first.context.benchmark, other.samples
    runs = first.finished.result.run, other.result.run
    if runs[0].benchmark.fingerprint != runs[1].benchmark.fingerprint:
        ids = len(set(benchmark.ids) & set(samples.ids))
        models = len(set(runs[0].benchmark.models) & set(samples.models))
        if not ids and not models:
            fix = "compare runs on the same logs"
            raise DataError("the benchmarks have no sample and no model in common", where=str(other.directory), fix=fix)
        has = f"{ids:,} of {len(benchmark):,} and {len(samples.ids):,} samples and {models} models are in both"
        return [f"the benchmarks differ ({has}): no paired comparison, each value has its own samples and interval"], []
    same = all(np.array_equal(getattr(benchmark, m), getattr(samples, m)) for m in MATRICES)
    if benchmark.ids != samples.ids or not same:
        raise other.broken(
            "evaluated.parquet", f"differs from that of {first.finished.directory}, whose fingerprint it has"
        )
    splitting = stored_splitting(other, benchmark)
    tests = _same_tests(first, splitting)
    every = len(first.context.test_sets())
    if not tests:
        tested = [np.unique(np.concatenate([s.test for s in of.splits])) for of in (first.context.splitting, splitting)]
        both = np.intersect1d(tested[0], tested[1]).size
        has = f"{tested[0].size:,} and {tested[1].size:,} samples are tested, {both:,} of them in both"
        return [
            f"the test samples differ ({has}): no paired comparison, each value has its own samples and interval"
        ], []
    notes = (
        [f"paired on {len(tests)} of {every} splits: the others test different samples"] if len(tests) < every else []
    )
    return notes + _other_conditions(first, other, splitting), tests


def _other_conditions(first: StoredRun, other: FinishedRun, splitting: Splitting) -> list[str]:
    """Return what else differs where both runs test the same samples."""
    runs, notes = (first.finished.result.run, other.result.run), []
    if runs[0].split.digest != runs[1].split.digest:
        notes.append("the same samples are tested, but train or dev differ")
    if not np.array_equal(first.context.splitting.groups, splitting.groups):
        notes.append("the groups differ: those of the first run are drawn")
    if runs[0].bounds != runs[1].bounds:
        notes.append("the cost bounds differ: both are evaluated with those of the first run")
    if [m for m in runs[0].metrics if any(m.name == o.name and m.parameters != o.parameters for o in runs[1].metrics)]:
        notes.append("parameters of metrics differ: both are evaluated with those of the first run")
    return notes


def _same_tests(first: StoredRun, splitting: Splitting) -> list[SameTests]:
    """Return the test rows that are evaluated together in both runs, whatever the splits are called."""
    sets = [splitting.splits] if splitting.pooled else [(s,) for s in splitting.splits]
    named = {np.sort(np.concatenate([s.test for s in those])).tobytes(): those for those in sets}
    found = []
    for splits in first.context.test_sets():
        on = first.context.evaluated(splits, "test")
        if (those := named.get(np.sort(on.rows).tobytes())) is not None:
            names = (frozenset(s.name for s in of) for of in (splits, those))
            found.append(SameTests(on, tuple(names)))  # type: ignore[arg-type]
    return found


def _unpaired(
    first: FinishedRun, other: FinishedRun, pair: tuple[str, str, str], metrics: Sequence[MetricInfo]
) -> ComparedRow:
    """Return two rows with the values and intervals of their own runs."""
    values, intervals = {}, {}
    rows = [_stored_row(run, name) for run, name in zip((first, other), pair[:2], strict=True)]
    for metric in (m.name for m in metrics):
        one, two = (scores.get(metric, FAILED) for scores, _ in rows)
        values[metric] = one, two
        low, high = (of.get(metric) for _, of in rows)
        intervals[metric] = low, high
    return ComparedRow(*pair, values, intervals)  # type: ignore[arg-type]


def _stored_row(run: FinishedRun, name: str) -> tuple[Mapping[str, MetricValue], Mapping[str, Interval | Undefined]]:
    """Return the values and intervals of a row of a run, overall."""
    tests: dict[str, AggregatedScores | None] = {r.label: r.test for r in run.result.routers}
    tests |= {r.name: r.test for r in run.result.references}
    test, statistics = tests[name], run.result.statistics.rows.get(name)
    scores = test.scores.get("overall", {}) if test is not None else {}
    return scores, statistics.intervals.get("overall", {}) if statistics is not None else {}
