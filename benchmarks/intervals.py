"""What the intervals and comparisons of a large table cost, against the bare matrix product of the same draws, in one run.

Usage: python benchmarks/intervals.py [DRAWS] [ROUTERS] [SEEDS]

The table has the paper's size: 6,108 test rows in about 4,900 image groups, 17 models, 14 datasets, 3 task groups; 60 cells by
default.  A metric that is not a function of means is shown with few draws; its time for all of them is extrapolated, since it
grows with their number.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from small_metrics import BOUNDS, Outcomes, measured, right

from vlrb.evaluation.bootstrap import OVERALL, Draws, scope_sums, strata_of
from vlrb.evaluation.drawn_values import ColumnTable, MeasuredMetric, Row, TestSet
from vlrb.evaluation.intervals import Settings, table_statistics

SAMPLES, MODELS, DATASETS = 6108, 17, 14
FEW = 20


def make_table(routers: int, seeds: int) -> tuple[list[TestSet], list[Row]]:
    """Return a test set and rows: routers with some seeds each, and best-single."""
    rng = np.random.default_rng(0)
    outcomes = Outcomes.random(rng, SAMPLES, MODELS)
    number = np.sort(rng.integers(DATASETS, size=SAMPLES))
    datasets = np.char.add("d", number.astype(str))
    groups = np.repeat(np.arange(SAMPLES), rng.choice([1, 2, 3], SAMPLES, p=[0.8, 0.15, 0.05]))[:SAMPLES]
    scopes = {f"group/{g}": number % 3 == g for g in range(3)} | {f"dataset/d{d}": number == d for d in range(DATASETS)}
    plain = outcomes.evaluation(np.full(SAMPLES, MODELS - 1))

    def random_choices() -> list[Any]:
        return [
            outcomes.evaluation(rng.integers(MODELS, size=SAMPLES), input_tokens=plain.input_tokens)
            for _ in range(seeds)
        ]

    rows = [Row(f"router-{i}", True, [random_choices()]) for i in range(routers)]
    return [TestSet(groups, datasets, scopes, BOUNDS)], [Row("best-single", False, [[plain]]), *rows]


def timed(what: str, work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of work and its wall seconds, and print these with the CPU seconds and the peak memory so far."""
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<66} {seconds:7.2f} s wall  {cpu:7.2f} s CPU  peak {peak:5.0f} MB")
    return result, seconds


def main() -> None:
    """Print the times of all rows."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    routers, seeds = (int(a) for a in sys.argv[2:4]) if len(sys.argv) > 3 else (20, 3)
    what = f"synthetic table: {routers} routers x {seeds} seeds, and best-single"
    (tests, rows), _ = timed(what, lambda: make_table(routers, seeds))
    settings = Settings(("best-single",), "rank-score", draws=draws)
    _, whole = timed(
        f"statistics, {draws:,} draws, {len(measured())} metrics",
        lambda: table_statistics(tests, rows, measured(), settings),
    )
    numbers, strata = strata_of([tests[0].groups], [tests[0].datasets])
    drawing = Draws(strata, draws, 0)
    counts, _ = timed(f"  of which: counts of {numbers.size:,} groups", drawing.counts)
    table, _ = timed("  of which: columns", lambda: ColumnTable.of(tests[0], 0, rows, measured()))
    sample = table.sample(tests[0], np.searchsorted(numbers, tests[0].groups))
    timed("  of which: counts and sums of all scopes", lambda: sum(1 for _ in scope_sums([sample], drawing)))
    _, bare = timed("bare numpy: one product [columns, groups] @ [groups, draws]", lambda: bare_product(sample, counts))
    print(f"statistics take {whole / bare:.1f} x the bare product of {table.matrix.shape[1]} columns")
    by_rows = [MeasuredMetric("accuracy", lambda e: float(right(e).mean()))]
    few = Settings(("best-single",), "accuracy", draws=FEW)
    _, slow = timed(
        f"one metric by rows, {FEW} draws, {OVERALL} only", lambda: table_statistics(tests, rows, by_rows, few)
    )
    print(f"extrapolated to {draws:,} draws: {slow / (FEW + 1) * draws:,.0f} s")


def bare_product(sample: Any, counts: Any) -> None:
    """Multiply what must be multiplied at least, in parts of 1,000 draws."""
    sums = np.zeros((counts.shape[0], sample.matrix.shape[1]))
    np.add.at(sums, sample.groups, sample.matrix)
    for start in range(0, counts.shape[1], 1000):
        sums.T @ counts[:, start : start + 1000].astype(np.float64)


if __name__ == "__main__":
    main()
