"""What cells come to: over folds, over repeated splits and seeds, and for learning curves."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from split_runs import KEYED, SplitRun, accuracy, run_splits

from vlrb.api.results import Scores
from vlrb.api.routing import Undefined
from vlrb.api.statistics import Interval
from vlrb.running.leaderboard import leaderboard
from vlrb.running.routers import aggregate_scores


def scores(**values: Any) -> Scores:
    return {"overall": values}


def test_means_are_over_splits_of_means_over_seeds_and_deviations_stand_apart() -> None:
    """A split with more seeds weighs no more; the spread over seeds is inside splits, that over splits between their means."""
    found = aggregate_scores([[scores(a=0.1), scores(a=0.3)], [scores(a=0.5), scores(a=0.6), scores(a=0.7)]])

    assert found.scores["overall"]["a"] == pytest.approx((0.2 + 0.6) / 2)
    assert found.over_seeds["overall"]["a"] == pytest.approx(((0.02 + 0.01) / 2) ** 0.5)
    assert found.over_splits["overall"]["a"] == pytest.approx(statistics.stdev([0.2, 0.6]))
    single = aggregate_scores([[scores(a=0.1)]])
    assert (single.over_seeds, single.over_splits) == ({}, {})


def test_a_mean_is_undefined_where_a_value_is() -> None:
    """With its reason, and without deviations; scopes are those that all sets have."""
    none = Undefined("free")
    found = aggregate_scores([[{**scores(a=0.1, b=0.5), "group/x": {"a": 1.0}}, scores(a=none, b=0.7)]])

    assert found.scores == {"overall": {"a": none, "b": pytest.approx(0.6)}}
    assert list(found.over_seeds["overall"]) == ["b"]


def test_repeated_splits_are_averaged_not_pooled(tmp_path: Path) -> None:
    """A row is the mean over the splits of what each says of its own test samples, recomputed from the cells' files."""
    run = run_splits(tmp_path, KEYED + "lambda = 2\n", "[split]\nseeds = [1, 2, 3]\n", "seeds = [4, 5]")
    names = ("seed-1", "seed-2", "seed-3")
    each = {
        s: [accuracy(run, run.chosen(c)) for seed in (4, 5) for c in run.standing(seed=seed) if c.cell.split == s]
        for s in names
    }
    means = [statistics.fmean(each[s]) for s in names]
    test = run.router().test

    assert test is not None
    assert test.scores["overall"]["accuracy"] == pytest.approx(statistics.fmean(means), abs=1e-12)
    assert test.over_splits["overall"]["accuracy"] == pytest.approx(statistics.stdev(means), abs=1e-12)
    within = statistics.fmean(statistics.variance(each[s]) for s in names) ** 0.5
    assert test.over_seeds["overall"]["accuracy"] == pytest.approx(within, abs=1e-12)
    assert leaderboard(run.result).title == "t: test, mean of 3 splits"


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run with learning curves on folds."""
    more = "[split]\nfolds = 2\ntrain_fraction = [1, 0.3, 0.6]\n"
    return run_splits(tmp_path_factory.mktemp("curves"), KEYED + "lambda = 2\n", more)


def test_points_of_a_learning_curve_stand_in_no_row(curves: SplitRun) -> None:
    """Cells with a part of train have a table of their own; the row, its cells and the references are of the whole train."""
    router = curves.router()
    assert [p.train_fraction for p in router.curve] == [0.3, 0.6, 1]
    assert len(router.cells) == 2
    assert all(c.cell.train_fraction == 1 for c in curves.standing())
    assert router.test == router.curve[-1].test
    assert router.curve[0].test != router.test
    board = leaderboard(curves.result)
    assert board.title == "t: test, 2 folds pooled"
    assert [r.name for r in board.rows].count("keyed") == 1
    (table,) = board.curves
    assert [r.name for r in table.rows] == ["train = 0.3", "train = 0.6", "train = 1"]


def test_points_of_a_learning_curve_have_intervals(curves: SplitRun) -> None:
    """Of every metric and around its value; that of the whole train has those of the row."""
    router = curves.router()
    for point in router.curve:
        interval = point.intervals["accuracy"]
        assert isinstance(interval, Interval)
        assert interval.low <= point.test.scores["overall"]["accuracy"] <= interval.high
    assert router.curve[-1].intervals == curves.result.statistics.rows["keyed"].intervals["overall"]
    assert router.curve[0].intervals != router.curve[-1].intervals
    (table,) = leaderboard(curves.result).curves
    shown = table.rows[0].cells[table.headings.index("accuracy")].interval
    assert shown == router.curve[0].intervals["accuracy"]


def test_smaller_parts_of_train_are_nested_and_tested_on_the_same_samples(curves: SplitRun) -> None:
    """In the split file of the run; the accuracy of a point is that of its own cells."""
    for fold in ("fold-1", "fold-2"):
        trains, tests = [], []
        for name in (f"{fold},train=0.3", f"{fold},train=0.6", fold):
            parts = curves.parts(name)
            trains.append({i for i, part in parts.items() if part == "train"})
            tests.append({i for i, part in parts.items() if part == "test"})
        assert trains[0] < trains[1] < trains[2]
        assert tests[0] == tests[1] == tests[2]
    cells = [c for c in curves.result.cells if c.cell.train_fraction == 0.3]
    chosen = {i: m for c in cells for i, m in curves.chosen(c).items()}
    point = curves.router().curve[0].test.scores["overall"]["accuracy"]
    assert point == pytest.approx(accuracy(curves, chosen), abs=1e-12)


def test_a_router_with_a_failed_fold_has_no_row(tmp_path: Path) -> None:
    """The other folds alone would be other samples; its cells say what failed."""
    first = run_splits(tmp_path)
    sizes = [s.samples["train"] for s in first.result.run.split.each]
    failing = f'{KEYED}label = "failing"\nlambda = 2\nfail = {sizes[0]}\n'
    run = run_splits(tmp_path, failing)
    failed = [c.cell.split for c in run.result.cells if c.status == "failed"]

    assert failed
    assert run.router("failing").test is None
    assert run.outcome.exit_code == 1
    assert "failing" not in run.result.statistics.rows


def test_the_best_single_model_by_the_metric_may_be_another_than_the_most_accurate(tmp_path: Path) -> None:
    """It has the best train value of the selection metric: of the average cost, the cheapest model."""
    more = "[split]\nfolds = 3\n[selection]\nmetric = 'average-cost'\n"
    run = run_splits(tmp_path, KEYED, more)
    found = {r.name: r.test.scores["overall"] for r in run.result.references}

    assert found["best-single-by-metric"] == found["cheapest-single"] != found["best-single"]
    assert np.isfinite(found["best-single"]["average-cost"])


def test_of_models_with_an_equal_value_the_cheaper_is_best(tmp_path: Path) -> None:
    """As for the best single model: where all answers are wrong, every accuracy is 0."""
    run = run_splits(tmp_path, KEYED, "[selection]\nmetric = 'accuracy'\n", logs="wrong = 'all'")
    found = {r.name: r.test.scores["overall"] for r in run.result.references}

    assert found["best-single-by-metric"] == found["best-single"] == found["cheapest-single"]


def test_the_best_single_model_by_the_metric_is_chosen_on_train_alone(tmp_path: Path) -> None:
    """Where on test, whose answers are all wrong, another model would be best: the cheapest."""
    more = "[split]\nuse = 'hold-out'\ndatasets = ['TinyB']\n[selection]\nmetric = 'accuracy'\n"
    run = run_splits(tmp_path, KEYED, more, logs="wrong = 'TinyB'")
    rows = pq.read_table(run.files / "references.parquet").to_pylist()
    chosen = {run.result.run.benchmark.models[r["best-single-by-metric"]] for r in rows}
    train = [run.known()[i] for i, part in run.parts("").items() if part == "train"]
    right = {m: statistics.fmean(float(row[f"quality:{m}"]) for row in train) for m in run.result.run.benchmark.models}

    assert chosen == {max(right, key=right.__getitem__)} == {"tiny-large"}
