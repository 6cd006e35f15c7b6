"""Results of routers and reference points on test, over splits, folds and seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.results import (
    REFERENCES,
    AggregatedScores,
    CellResult,
    CurvePoint,
    ReferenceResult,
    RouterResult,
    Scores,
    SweepPoint,
)
from vlrb.api.routing import Evaluation, MetricValue, Undefined
from vlrb.evaluation.metrics import Chosen, EvaluatedRows
from vlrb.evaluation.reference import least_costly, reference_choices
from vlrb.evaluation.splits import Split
from vlrb.running.cell_files import ROUTED
from vlrb.running.context import RunContext
from vlrb.running.pooled import pool_cells
from vlrb.running.selection import Selected, first_defined_metric, is_chosen

Seen = tuple[tuple[Evaluation, ...], ...]
"""What metrics see of a row of a table: per set of test rows that is evaluated together, per seed."""


@attrs.frozen(eq=False)
class _Tested:
    """The scores of a row of a table and what the metrics saw, per set of test rows, per seed."""

    scores: tuple[tuple[Scores, ...], ...]
    seen: Seen


def router_results(
    context: RunContext, results: Sequence[CellResult], selected: Mapping[str, Mapping[str, Selected]]
) -> tuple[tuple[RouterResult, ...], dict[str, Seen], dict[tuple[str, float], Seen]]:
    """Return the results of all routers, and label -> what the metrics saw, of those whose cells have not failed.

    Also (label, share of train) -> what they saw of the points of learning curves.
    """
    by_label: dict[str, list[CellResult]] = {}
    for result in results:
        by_label.setdefault(result.cell.label, []).append(result)
    fractions = sorted({s.info.train_fraction for s in context.splitting.each})
    first = context.evaluator.selection.spec.name
    routers, seen, curves = [], {}, {}
    for label, cells in by_label.items():
        chosen = selected.get(label, {})
        standing = _standing(context, cells, selected)
        tested = {f: t for f in fractions if (t := _tested(context, standing, context.test_sets(f))) is not None}
        if 1.0 in tested:
            seen[label] = tested[1.0].seen
        curve = [CurvePoint(f, aggregate_scores(t.scores)) for f, t in tested.items()] if len(fractions) > 1 else []
        curves.update({(label, point.train_fraction): tested[point.train_fraction].seen for point in curve})
        routers.append(
            RouterResult(
                label=label,
                points={split: s.point for split, s in chosen.items()},
                decided_by={split: s.metric for split, s in chosen.items() if s.metric != first},
                rule=next((s.rule for s in chosen.values()), ""),
                cells=tuple(r.cell.name for those in standing.values() for r in those if r.cell.train_fraction == 1),
                test=aggregate_scores(tested[1.0].scores) if 1.0 in tested else None,
                sweep=_sweep(context, chosen),
                curve=tuple(curve),
            )
        )
    return tuple(routers), seen, curves


def _standing(
    context: RunContext, cells: Sequence[CellResult], selected: Mapping[str, Mapping[str, Selected]]
) -> dict[str, list[CellResult]]:
    """Return split -> the cells that stand for a router there: those of the chosen point, fitted again if so asked.

    A failed cell is not fitted again, and stands for itself.
    """
    standing: dict[str, list[CellResult]] = {}
    for result in cells:
        last = result.cell.refit == context.plan.selection.refit or result.status == "failed"
        if last and is_chosen(result.cell, selected):
            standing.setdefault(result.cell.outer_name, []).append(result)
    return standing


def _sweep(context: RunContext, chosen: Mapping[str, Selected]) -> tuple[SweepPoint, ...]:
    """Return the points of a sweep with their values where they were compared, and how often each was chosen."""
    splits = [chosen[s.name] for s in context.splitting.splits if s.name in chosen]
    shared = [p for p in (splits[0].values if splits else ()) if all(p in s.values for s in splits)]
    points = []
    for name in shared:
        scores = [[{"overall": v} for v in s.values[name]] for s in splits]
        times = sum(s.point == name for s in splits)
        points.append(SweepPoint(name, aggregate_scores(scores).scores["overall"], times))
    return tuple(points)


def _tested(
    context: RunContext, standing: Mapping[str, Sequence[CellResult]], test_sets: Iterable[Sequence[Split]]
) -> _Tested | None:
    """Return the scores on each set of test rows with each seed that has no failed cell there; None without one."""
    scores, seen = [], []
    for splits in test_sets:
        cells = [standing.get(s.name, ()) for s in splits]
        by_seed = [
            tuple(c for those in cells for c in those if c.cell.seed == seed) for seed in context.plan.general.seeds
        ]
        by_seed = [t for t in by_seed if len(t) == len(splits) and all(c.status == "done" for c in t)]
        if not by_seed:
            return None
        joined = [pool_cells(context, those) for those in by_seed]
        seen.append(tuple(p.evaluation(context) for p in joined))
        if len(splits) == 1:
            scores.append(tuple(those[0].scores["test"] for those in by_seed))
        else:
            scores.append(tuple(context.evaluator.scores(joined[0].on, [p.chosen for p in joined])))
    return _Tested(tuple(scores), tuple(seen))


def reference_choices_of(context: RunContext) -> dict[str, dict[str, dict[str, Array]]]:
    """Return dev or test -> split -> reference point -> choices int[m] on its rows."""
    found: dict[str, dict[str, dict[str, Array]]] = {part: {} for part in ROUTED}
    for split in context.splitting.splits:
        best = _best_by_metric(context, split)
        for part, of_splits in found.items():
            of_splits[split.name] = reference_choices(context.benchmark, split, split.rows(part), best)
    return found


def _best_by_metric(context: RunContext, split: Split) -> int:
    """Return the model with the best value of the selection metric on train, the cheaper of equals.

    Where the metric has no value for any, the next one decides.
    """
    evaluator = context.evaluator
    on = EvaluatedRows.of(context.benchmark, [split], "train", context.plan.general.cost_bounds)  # large, and used once
    models = range(len(context.benchmark.candidates))

    def value(model: int, metric: str) -> MetricValue:
        return evaluator.value(metric, evaluator.evaluation(on, Chosen(np.full(on.rows.size, model))))

    found = first_defined_metric(evaluator, models, value)
    cost, right = context.benchmark.mean_cost_and_right(split.train)
    return max(found[1], key=lambda j: (found[1][j], -cost[j])) if found else least_costly(cost, right)


def reference_results(
    context: RunContext, choices: Mapping[str, Mapping[str, Array]]
) -> tuple[tuple[ReferenceResult, ...], dict[str, Seen]]:
    """Return the results of the reference points, and name -> what the metrics saw.

    :param choices: split -> name -> int[m], on the test rows of the split
    """
    evaluator, names = context.evaluator, list(next(iter(choices.values())))
    scores: dict[str, list[list[Scores]]] = {name: [] for name in names}
    seen: dict[str, list[tuple[Evaluation]]] = {name: [] for name in names}
    for splits in context.test_sets():
        on = context.evaluated(splits, "test")
        several = [Chosen(np.concatenate([choices[s.name][name] for s in splits])) for name in names]
        for name, chosen, found in zip(names, several, evaluator.scores(on, several), strict=True):
            scores[name].append([found])
            seen[name].append((evaluator.evaluation(on, chosen),))
    references = tuple(ReferenceResult(n, REFERENCES[n], aggregate_scores(scores[n])) for n in names)
    return references, {name: tuple(those) for name, those in seen.items()}


def aggregate_scores(scores: Sequence[Sequence[Scores]]) -> AggregatedScores:
    """Return the means over sets of test rows of the means over seeds, and the standard deviations apart.

    The deviation over seeds is the root of the mean variance inside the sets.  A mean is undefined where one of its values is.
    Only scopes that all sets have are returned.
    """
    first = scores[0][0]
    scopes = [s for s in first if all(s in of_seed for of_set in scores for of_seed in of_set)]
    means: dict[str, dict[str, MetricValue]] = {}
    over_seeds: dict[str, dict[str, float]] = {}
    over_splits: dict[str, dict[str, float]] = {}
    for scope in scopes:
        for metric in first[scope]:
            values = [[of_seed[scope][metric] for of_seed in of_set] for of_set in scores]
            mean, seeds, splits = _aggregate(values)
            means.setdefault(scope, {})[metric] = mean
            if seeds is not None:
                over_seeds.setdefault(scope, {})[metric] = seeds
            if splits is not None:
                over_splits.setdefault(scope, {})[metric] = splits
    return AggregatedScores(means, over_seeds, over_splits)


def _aggregate(values: Sequence[Sequence[MetricValue]]) -> tuple[MetricValue, float | None, float | None]:
    undefined = [v for of_set in values for v in of_set if isinstance(v, Undefined)]
    if undefined:
        return undefined[0], None, None
    numbers = [[v for v in of_set if not isinstance(v, Undefined)] for of_set in values]
    means = [statistics.fmean(of_set) for of_set in numbers]
    seeds = [statistics.variance(of_set) for of_set in numbers if len(of_set) > 1]
    deviation = statistics.fmean(seeds) ** 0.5 if seeds else None
    return statistics.fmean(means), deviation, statistics.stdev(means) if len(means) > 1 else None
