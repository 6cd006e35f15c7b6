"""Reference points of every leaderboard: rules that look at labels or dataset names, or choose one model for all samples.

They learn on train (VL-RouterBench, baselines; the reference implementation fits them on test).
"""

from __future__ import annotations

import numpy as np

from vlrb.api.frozen import Array
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.splits import Split


def oracle_choices(quality: Array, cost: Array) -> Array:
    """Return the cheapest correct model of every sample, else the cheapest model, int[n]; ties go to the first."""
    solved = quality.any(axis=1, keepdims=True)
    return np.asarray(np.where(quality | ~solved, cost, np.inf).argmin(axis=1))


def strongest_model(quality: Array, cost: Array) -> int:
    """Return the most accurate model; ties go to the cheaper one, then to the first.

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    return int(np.lexsort((cost.mean(axis=0), -quality.sum(axis=0)))[0])


def cheapest_model(quality: Array, cost: Array) -> int:
    """Return the model with the smallest mean cost; ties go to the more accurate one, then to the first.

    :param quality: Y, bool[n, k]
    :param cost: C, float[n, k], USD per sample
    """
    return int(np.lexsort((-quality.sum(axis=0), cost.mean(axis=0)))[0])


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
    quality, cost = benchmark.quality[train], benchmark.cost[train]
    return {
        "oracle": oracle_choices(benchmark.quality[rows], benchmark.cost[rows]),
        "strongest-per-dataset": strongest_per_dataset(datasets[rows], datasets[train], quality, cost),
        "best-single": np.full(rows.size, strongest_model(quality, cost)),
        "best-single-by-metric": np.full(rows.size, best_by_metric),
        "cheapest-single": np.full(rows.size, cheapest_model(quality, cost)),
    }
