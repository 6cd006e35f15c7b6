"""Folds are evaluated together: choices, cost bounds, reference points and time of all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs
import handmade
import numpy as np
import pytest
from split_runs import FOLDS, KEYED, SplitRun, accuracy, run_splits

from vlrb.evaluation.metrics import Chosen, EvaluatedRows, Evaluator
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.running.pooled import pool_cells

OTHER = '[[router]]\nuse = "cheapest"\n'


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run of three folds with two seeds, of a router with estimates and one without."""
    return run_splits(tmp_path_factory.mktemp("folds"), KEYED + "lambda = 2\n" + OTHER, FOLDS, "seeds = [1, 2]")


def test_every_sample_is_tested_once_and_the_pooled_accuracy_is_that_of_all(folds: SplitRun) -> None:
    """Per seed it is the mean over samples of what the cells' files say; the row has the mean over the seeds."""
    values = []
    for seed in (1, 2):
        cells = folds.standing(seed=seed)
        assert [c.cell.split for c in cells] == ["fold-1", "fold-2", "fold-3"]
        tested = Counter(i for c in cells for i in folds.chosen(c))
        assert set(tested.values()) == {1}
        assert set(tested) == set(folds.known())
        values.append(accuracy(folds, {i: m for c in cells for i, m in folds.chosen(c).items()}))
    test = folds.router().test

    assert values[0] != values[1]
    assert test is not None
    assert test.scores["overall"]["accuracy"] == pytest.approx(np.mean(values), abs=1e-12)
    assert test.over_seeds["overall"]["accuracy"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert not test.over_splits


def test_cost_bounds_of_folds_are_those_of_the_mean_costs(folds: SplitRun) -> None:
    """The mean over the folds of each model's mean cost on train, and the smallest and largest of them."""
    known, models = folds.known(), [c.name for c in folds.context.benchmark.candidates]
    means = []
    for fold in ("fold-1", "fold-2", "fold-3"):
        train = [i for i, part in folds.parts(fold).items() if part == "train"]
        means.append([np.mean([known[i][f"cost:{m}"] for i in train]) for m in models])
    expected = np.mean(means, axis=0)
    bounds = folds.context.evaluated(folds.context.splitting.splits, "test").bounds

    assert (bounds.low, bounds.high) == pytest.approx((expected.min(), expected.max()))
    assert folds.result.run.bounds == bounds


def test_the_best_single_model_is_that_of_each_fold(tmp_path: Path) -> None:
    """Where it differs between folds, each test sample is compared with what was best on the train of its own fold."""
    made = handmade.make(tmp_path)
    split = handmade.split_of(made)
    folds = [
        attrs.evolve(split, test=split.test[:2]),
        attrs.evolve(split, train=np.array([6, 7, 8]), test=split.test[2:]),
    ]
    on = EvaluatedRows.of(made, folds, "test", "train")

    assert on.best.tolist() == [1, 1, 2, 2, 2, 2]
    evaluator = Evaluator(made, (), ConfiguredComponent.default(load(Selection()), "metric", "accuracy"))
    seen = evaluator.evaluation(on, Chosen(np.zeros(6, dtype=np.int64)))
    assert seen.best_single_choices.tolist() == on.best.tolist()
    assert seen.best_single == pytest.approx(made.quality[on.rows, on.best].mean())


def test_time_of_folds_is_the_sum(folds: SplitRun) -> None:
    """Requests and seconds of all folds: throughput is of all test samples together."""
    cells = folds.standing(seed=1)
    timings = [c.timing for c in cells if c.timing is not None]
    found = pool_cells(folds.context, cells).chosen.timing

    assert len(timings) == 3
    assert found is not None
    assert found.requests == 120
    assert found.route_seconds == pytest.approx(sum(t.route_seconds for t in timings))
    assert pool_cells(folds.context, cells, "dev").chosen.timing is None


def test_estimates_are_pooled_where_every_cell_has_them(folds: SplitRun) -> None:
    """In the order of the choices; none where a router gives none."""
    cells = folds.standing(seed=2)
    joined = pool_cells(folds.context, cells)
    each = [pool_cells(folds.context, [c]) for c in cells]
    estimate = joined.evaluation(folds.context).estimate

    assert estimate is not None
    assert joined.chosen.choices.tolist() == [j for p in each for j in p.chosen.choices.tolist()]
    expected = np.concatenate([p.chosen.estimate().p_correct for p in each if p.chosen.estimate is not None])
    assert np.array_equal(estimate.p_correct, expected)
    assert pool_cells(folds.context, folds.standing("cheapest", 2)).chosen.estimate is None
    assert pool_cells(folds.context, [*cells[:2], folds.standing("cheapest", 2)[2]]).chosen.estimate is None
