"""Reference points of every leaderboard: rules that look at labels or dataset names, or choose one model for all samples.

They learn on train (VL-RouterBench, baselines; the reference implementation fits them on test).
"""

from __future__ import annotations

import numpy as np

from vlrb.api.frozen import Array
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.splits import Split

ROWS_AT_ONCE = 100_000
"""Samples whose choices are made together."""


def oracle_choices(quality: Array, cost: Array) -> Array:
    """Return the cheapest correct model of every sample, else the cheapest model, int[n]; ties go to the first."""
    found = np.empty(len(cost), dtype=np.intp)
    for start in range(0, len(cost), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        right = quality[rows]
        np.where(right | ~right.any(axis=1, keepdims=True), cost[rows], np.inf).argmin(axis=1, out=found[rows])
    return found


def strongest_model(quality: Array, cost: Array) -> int:
    """Return the most accurate model; ties go to the cheaper one, then to the first.

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    return most_accurate(cost.mean(axis=0), quality.sum(axis=0))


def cheapest_model(quality: Array, cost: Array) -> int:
    """Return the model with the smallest mean cost; ties go to the more accurate one, then to the first.

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    return least_costly(cost.mean(axis=0), quality.sum(axis=0))


def most_accurate(cost: Array, right: Array) -> int:
    """Return the strongest model by each one's mean cost, float64[k], and its number of right answers, int[k]."""
    return int(np.lexsort((cost, -right))[0])


def least_costly(cost: Array, right: Array) -> int:
    """Return the cheapest model by each one's mean cost, float64[k], and its number of right answers, int[k]."""
    return int(np.lexsort((-right, cost))[0])


def strongest_per_dataset(datasets: Array, train_datasets: Array, quality: Array, cost: Array) -> Array:
    """Return for every sample the model that is most accurate on train in the sample's dataset, int[n].

    A dataset without train samples gets the model that is most accurate on all of train.

    :param datasets: str[n]
    :param train_datasets: str[m], of the train samples, as are quality and cost [m, k]
    """
    rows = {d: train_datasets == d for d in np.unique(train_datasets).tolist()}
    best = {d: strongest_model(quality[own], cost[own]) for d, own in rows.items()}
    overall = strongest_model(quality, cost)
    return np.array([best.get(d, overall) for d in datasets.tolist()], dtype=np.int64)


def reference_choices(benchmark: Benchmark, split: Split, rows: Array, best_by_metric: int) -> dict[str, Array]:
    """Return name -> choices int[n] of every reference point (:data:`vlrb.api.results.REFERENCES`) on some rows.

    :param best_by_metric: the model with the best value of the selection metric on train
    """
    train, datasets = split.train, benchmark.datasets
    quality, cost, on_train = benchmark.quality[train], benchmark.cost[train], benchmark.mean_cost_and_right(train)
    return {
        "oracle": oracle_choices(benchmark.quality[rows], benchmark.cost[rows]),
        "strongest-per-dataset": strongest_per_dataset(datasets[rows], datasets[train], quality, cost),
        "best-single": np.full(rows.size, most_accurate(*on_train)),
        "best-single-by-metric": np.full(rows.size, best_by_metric),
        "cheapest-single": np.full(rows.size, least_costly(*on_train)),
    }
