"""Small metrics of means, as plugins write them, and synthetic tables for the tests and benchmarks of statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.routing import CostBounds, Evaluation, MetricValue, Undefined
from vlrb.evaluation.drawn_values import MeasuredMetric, Row, TestSet

BOUNDS = CostBounds(1e-4, 1e-2)


@attrs.frozen
class OfColumns:
    """A metric made of columns and of a function of their means."""

    make: Callable[[Evaluation], Mapping[str, Array]]
    function: Callable[[Mapping[str, Array], CostBounds], Array]

    def columns(self, evaluation: Evaluation) -> Mapping[str, Array]:
        return self.make(evaluation)

    def of_means(self, means: Mapping[str, Array], bounds: CostBounds) -> Array:
        return self.function(means, bounds)

    def __call__(self, evaluation: Evaluation) -> MetricValue:
        means = {n: np.asarray(c, dtype=float).mean() for n, c in self.make(evaluation).items()}
        with np.errstate(all="ignore"):
            value = float(self.function(means, evaluation.bounds))
        return value if np.isfinite(value) else Undefined("no gap to the Oracle")


def right(e: Evaluation) -> Array:
    return e.chosen(e.quality).astype(float)


def _rank(means: Mapping[str, Array], bounds: CostBounds) -> Array:
    low, high = np.log2(bounds.low), np.log2(bounds.high)
    saved = (high - np.log2(np.clip(means["cost"], bounds.low, bounds.high))) / (high - low)
    weighted = 0.1 * means["right"] + saved
    return np.where(weighted > 0, 1.1 * means["right"] * saved / np.where(weighted > 0, weighted, 1), 0.0)


def _gap(means: Mapping[str, Array], bounds: CostBounds) -> Array:
    gap = means["oracle"] - means["best"]
    return np.where(gap > 0, (means["right"] - means["best"]) / np.where(gap > 0, gap, 1), np.nan)


def _gap_columns(e: Evaluation) -> dict[str, Array]:
    rows = np.arange(e.choices.size)
    best, oracle = (e.quality[rows, c].astype(float) for c in (e.best_single_choices, e.oracle_choices))
    return {"right": right(e), "best": best, "oracle": oracle}


ACCURACY = OfColumns(lambda e: {"right": right(e)}, lambda m, b: m["right"])
COST = OfColumns(lambda e: {"cost": e.chosen(e.cost)}, lambda m, b: m["cost"])
COST_PER_10K = OfColumns(lambda e: {"cost": e.chosen(e.cost)}, lambda m, b: 1e4 * m["cost"])
SCORE = OfColumns(lambda e: {"score": e.chosen(e.score)}, lambda m, b: m["score"])
RANK_SCORE = OfColumns(lambda e: {"right": right(e), "cost": e.chosen(e.cost)}, _rank)
GAP = OfColumns(_gap_columns, _gap)


def measured() -> list[MeasuredMetric]:
    """Return the metrics of means of this module, as a table has them."""
    return [
        MeasuredMetric("accuracy", ACCURACY, paired_binary=True),
        MeasuredMetric("cost", COST, higher_is_better=False),
        MeasuredMetric("cost-per-10k", COST_PER_10K, higher_is_better=False),
        MeasuredMetric("score", SCORE),
        MeasuredMetric("rank-score", RANK_SCORE),
        MeasuredMetric("oracle-gap-closed", GAP),
    ]


@attrs.frozen(eq=False)
class Outcomes:
    """The outcomes of k models on m samples."""

    quality: Array
    score: Array
    cost: Array

    @classmethod
    def random(cls, rng: np.random.Generator, samples: int, models: int) -> Outcomes:
        quality = rng.random((samples, models)) < np.linspace(0.3, 0.7, models)
        score = np.where(quality, rng.uniform(0.5, 1, quality.shape), rng.uniform(0, 0.5, quality.shape))
        return cls(quality, score, rng.gamma(2, 1, quality.shape) * np.geomspace(1e-4, 3e-3, models))

    def evaluation(self, choices: Array, **more: object) -> Evaluation:
        rows, tokens = np.arange(choices.size), np.full(self.quality.shape, 7)
        best, oracle = np.full(choices.size, self.quality.shape[1] - 1), self.quality.argmax(axis=1)
        given = {
            "choices": np.asarray(choices),
            "quality": self.quality,
            "score": self.score,
            "cost": self.cost,
            "input_tokens": tokens,
            "output_tokens": tokens,
            "bounds": BOUNDS,
            "best_single": float(self.quality[rows, best].mean()),
            "oracle": float(self.quality[rows, oracle].mean()),
            "best_single_choices": best,
            "oracle_choices": oracle,
            "models": tuple(f"m{i}" for i in range(self.quality.shape[1])),
        }
        return Evaluation(**{**given, **more})  # type: ignore[arg-type]


def binary_row(name: str, *seeds: Sequence[int] | Array, is_router: bool = True) -> Row:
    """Return a row that is right where a seed says 1, on one test set: model 0 is always wrong, model 1 always right."""
    made = []
    for one in seeds:
        choices = np.asarray(one, dtype=int)
        quality = np.tile([False, True], (choices.size, 1))
        made.append(Outcomes(quality, quality * 1.0, np.full(quality.shape, 1e-3)).evaluation(choices))
    return Row(name, is_router, [made])


def make_test_set(
    groups: Sequence[int] | Array, datasets: Sequence[str] | Array | None = None, **scopes: Array
) -> TestSet:
    """Return a test set; every sample is of dataset ``d`` unless said otherwise."""
    numbers = np.asarray(groups)
    return TestSet(numbers, np.full(numbers.size, "d") if datasets is None else np.asarray(datasets), scopes, BOUNDS)
