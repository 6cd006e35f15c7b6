"""The statistics of a run: recomputed from its directory, and what metrics say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest
from split_runs import FOLDS, KEYED, SWEPT, SplitRun, experiment, run_splits

from vlrb.api.routing import Undefined
from vlrb.api.statistics import Interval
from vlrb.errors import DataError
from vlrb.evaluation.bootstrap import Draws
from vlrb.experiment.resolve import make_plan
from vlrb.running.leaderboard import NO_BASELINE, leaderboard
from vlrb.running.results import read_result
from vlrb.running.run import execute, prepare
from vlrb.storage import Places
from vlrb_plugins.reports.notes import leaderboard_notes

ROUTERS = KEYED + 'lambda = 2\n[[router]]\nuse = "random"\n'
STATISTICS = '[statistics]\ndraws = 500\nseed = 3\nlevel = 0.9\nbaseline = "random"\npairs = [["keyed", "oracle"]]\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run of three folds with two seeds."""
    return run_splits(tmp_path_factory.mktemp("statistics"), ROUTERS, FOLDS + STATISTICS, "seeds = [1, 2]")


def drawn_accuracies(run: SplitRun, label: str) -> Any:
    """Return the accuracy of a router in every draw, float64[1 + draws], by plain sums from files alone."""
    known = run.known()
    groups = sorted({row["group"] for row in known.values()})
    # a group's stratum is the dataset of its first tested sample; folds stand one after the other
    order = [i for c in run.standing(label, 1) for i in run.chosen(c)]
    stratum: dict[int, str] = {}
    for i in order:
        stratum.setdefault(known[i]["group"], known[i]["dataset"])
    counts = Draws(np.array([stratum[g] for g in groups]), 500, 3).counts()
    values = []
    for seed in (1, 2):
        right, size = np.zeros(len(groups)), np.zeros(len(groups))
        for cell in run.standing(label, seed):
            for i, model in run.chosen(cell).items():
                right[groups.index(known[i]["group"])] += known[i][f"quality:{model}"]
                size[groups.index(known[i]["group"])] += 1
        values.append((right @ counts.astype(float)) / (size @ counts.astype(float)))
    return np.mean(values, axis=0)


def test_an_interval_can_be_recomputed_from_the_run_directory(run: SplitRun) -> None:
    """Choices, groups, datasets and right answers are there: with the same draws, the interval and the p-value are the same."""
    mine, other = drawn_accuracies(run, "keyed"), drawn_accuracies(run, "random")
    row = run.result.statistics.rows["keyed"]
    interval = row.intervals["overall"]["accuracy"]
    difference = row.against["random"]["accuracy"]

    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(mine[1:], [0.05, 0.95])), abs=1e-12)
    assert difference.value == pytest.approx(mine[0] - other[0], abs=1e-12)
    assert isinstance(difference.interval, Interval)
    low, high = np.quantile((mine - other)[1:], [0.05, 0.95])
    assert (difference.interval.low, difference.interval.high) == pytest.approx((low, high), abs=1e-12)
    drawn = (mine - other)[1:]
    fewer = min((drawn <= 1e-13).sum(), (drawn >= -1e-13).sum())
    assert difference.p == pytest.approx(min(1, 2 * (fewer + 1) / 501))


def test_every_row_is_compared_with_the_baseline_and_pairs_as_asked(run: SplitRun) -> None:
    """Reference points too; the row of the baseline with itself is not."""
    statistics = run.result.statistics
    names = {"keyed", "random", *(r.name for r in run.result.references)}

    assert (statistics.baseline, statistics.draws, statistics.level, statistics.seed) == ("random", 500, 0.9, 3)
    assert set(statistics.rows) == names
    assert all("random" in row.against for name, row in statistics.rows.items() if name != "random")
    assert "random" not in statistics.rows["random"].against
    assert "oracle" in statistics.rows["keyed"].against
    assert statistics.groups == len({row["group"] for row in run.known().values()})


def test_results_are_read_back_as_they_were(run: SplitRun) -> None:
    """Intervals, ranks and undefined differences included, from `results.json` alone."""
    found = read_result(run.files)

    assert found.statistics == run.result.statistics
    assert found.routers == run.result.routers
    assert found.references == run.result.references


def test_few_groups_are_a_caution(run: SplitRun) -> None:
    """Fewer than 200 make intervals too narrow."""
    assert any("only 30 groups are tested" in text for text in run.result.statistics.cautions)


def test_a_value_of_a_column_is_a_scope(tmp_path: Path) -> None:
    """Every metric also for the samples of each value, recomputed from the column in the run directory."""
    run = run_splits(tmp_path, ROUTERS, FOLDS + '[statistics]\nby = ["dataset"]\n')
    known = run.known()
    test = run.router().test

    assert test is not None
    scopes = [s for s in test.scores if s.startswith("by/")]
    assert len(scopes) == 2
    for scope in scopes:
        value = scope.rpartition("/")[2].casefold()
        chosen = {i: m for c in run.standing() for i, m in run.chosen(c).items()}
        right = [known[i][f"quality:{m}"] for i, m in chosen.items() if known[i]["by:dataset"].casefold() == value]
        assert test.scores[scope]["accuracy"] == pytest.approx(np.mean(right), abs=1e-12)
        assert "accuracy" in run.result.statistics.rows["keyed"].intervals[scope]


def test_an_unknown_column_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    """Before anything is fitted."""
    plan = make_plan(experiment(tmp_path, ROUTERS, FOLDS + '[statistics]\nby = ["datset"]\n'), ("no:mlflow",))
    with pytest.raises(DataError) as caught:
        prepare(plan, Places(tmp_path / "runs", tmp_path / "cache"), jobs=1)
    (problem,) = caught.value.problems

    assert "'datset'" in problem.message
    assert "statistics" in problem.where
    assert "did you mean 'dataset'" in problem.fix


MISLEADING = """
from vlrb import MetricSpec, hookimpl

class Plain:
    def __call__(self, evaluation):
        return 0.5

    def cautions(self, evaluation):
        return CAUTIONS

@hookimpl
def vlrb_metrics():
    return [MetricSpec(name="plain", summary="", factory=lambda _: Plain())]
"""


@pytest.mark.parametrize(("returned", "shown"), [("['mind\\nthe gap']", True), ("'mind the gap'", False), ("7", False)])
def test_cautions_of_a_metric_are_sentences_or_its_plugins_error(tmp_path: Path, returned: str, shown: bool) -> None:
    """One text is not a caution per character; the run is complete, and the plugin named with exit status 5."""
    plugin = tmp_path / "misleading.py"
    plugin.write_text(MISLEADING.replace("CAUTIONS", returned), encoding="utf-8")
    path = experiment(tmp_path, ROUTERS, "[[metric]]\nuse = 'plain'\n")
    path.write_text(path.read_text(encoding="utf-8").replace("plugins = [", f"plugins = [{str(plugin)!r}, "))
    outcome = execute(make_plan(path, ("no:mlflow",)), Places(tmp_path / "runs", tmp_path / "cache"), jobs=1)
    own = [text for text in outcome.result.statistics.cautions if "groups are tested" not in text]

    assert [text for text in own if "mind" in text] == (["mind the gap"] if shown else [])
    assert not [text for text in own if len(text) == 1]
    assert outcome.exit_code == (0 if shown else 5)
    assert [("misleading" in str(e), "cautions returned" in str(e)) for e in outcome.errors] == [(True, True)] * (
        not shown
    )


def test_independent_answers_of_one_seed_are_compared_by_mcnemar(tmp_path: Path) -> None:
    """Exact, from the samples on which one is right and the other wrong; other metrics, and groups of several, by draws."""
    routers, more = KEYED + 'lambda = 2\n[[router]]\nuse = "random"\n', "[statistics]\nbaseline = 'random'\n"
    alone = run_splits(tmp_path, routers, more, logs="images = false\n[benchmark]\ndatasets = ['TinyA']")
    grouped = run_splits(tmp_path, routers, more)
    known = alone.known()
    right = {
        label: np.array([known[i][f"quality:{m}"] for i, m in sorted(alone.chosen(alone.standing(label)[0]).items())])
        for label in ("keyed", "random")
    }
    only = [int(((right[a] == 1) & (right[b] == 0)).sum()) for a, b in (("keyed", "random"), ("random", "keyed"))]
    found = alone.result.statistics.rows["keyed"].against["random"]

    assert (found["accuracy"].test, found["cost-per-10k"].test) == ("mcnemar", "bootstrap")
    assert found["accuracy"].p == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    assert grouped.result.statistics.rows["keyed"].against["random"]["accuracy"].test == "bootstrap"


def test_where_all_answers_are_wrong_no_number_stands_for_what_cannot_be_computed(tmp_path: Path) -> None:
    """Accuracy is 0 without an interval, the share of the gap is undefined, each with its reason; the run ends in order."""
    more = FOLDS + "[selection]\non = 'folds'\nfolds = 2\n"
    run = run_splits(tmp_path, SWEPT, more, logs="wrong = 'all'")
    router, statistics = run.router(), run.result.statistics.rows["keyed"]

    assert run.outcome.exit_code == 0
    assert router.test is not None
    values = router.test.scores["overall"]
    assert values["accuracy"] == 0
    assert isinstance(values["oracle-gap-closed"], Undefined)
    interval = statistics.intervals["overall"]["accuracy"]
    assert isinstance(interval, Undefined)
    assert "the same in every draw" in interval.reason
    difference = statistics.against["best-single"]["oracle-gap-closed"]
    assert isinstance(difference.value, Undefined)
    assert isinstance(difference.p, Undefined)
    assert read_result(run.files).statistics == run.result.statistics


def test_a_train_without_a_solved_sample_is_no_crash(tmp_path: Path) -> None:
    """Where no model was right in the only dataset to learn from: each router is fitted, or says why it failed."""
    learned = 'use = "knn"\n[[router]]\nuse = "ovr"\n[[router]]\nuse = "linear"\n[[router]]\nuse = "kmeans"\n'
    more = '[split]\nuse = "hold-out"\ndatasets = ["TinyA"]\n'
    run = run_splits(tmp_path, f"{KEYED}[[router]]\n{learned}", more, logs="wrong = 'TinyB'")

    assert {c.cell.label for c in run.result.cells if c.status == "done"} >= {"keyed"}
    for cell in run.result.cells:
        assert cell.status == "done" or "no model is right on any of" in cell.error, cell.error


def test_a_baseline_that_failed_costs_no_result(tmp_path: Path) -> None:
    """The run ends in order; a caution says that differences from it are missing, and no row claims to be it."""
    routers = '[[router]]\nuse = "faulty"\nlabel = "failing"\nfault = "raise"\n' + KEYED
    run = run_splits(tmp_path, routers, "[statistics]\nbaseline = 'failing'\n")

    assert run.outcome.exit_code == 1
    assert any("the baseline 'failing' has no result" in c for c in run.result.statistics.cautions)
    assert "best-single" in run.result.statistics.rows["keyed"].against
    assert {r.cells[3] for r in leaderboard(run.result).rows if r.name != "failing"} == {NO_BASELINE}


def test_the_best_single_model_is_compared_with_whatever_the_baseline(tmp_path: Path) -> None:
    """And a row that is not separated from it says so, as do reference points and rows that no draw tells apart."""
    run = run_splits(
        tmp_path, KEYED + 'lambda = 2\n[[router]]\nuse = "random"\n', "[statistics]\nbaseline = 'random'\n"
    )
    wrong = run_splits(tmp_path / "wrong", '[[router]]\nuse = "random"\n', "", logs="wrong = 'all'")

    assert {"best-single", "random"} <= set(run.result.statistics.rows["keyed"].against)
    by_metric = next(r for r in leaderboard(wrong.result).rows if r.name == "strongest-per-dataset")
    assert "best-single" in by_metric.tied


def test_inner_folds_stand_in_the_run_directory(tmp_path: Path) -> None:
    """A column for each, with the part of every sample: what points of a sweep were compared on can be computed again."""
    run = run_splits(tmp_path, SWEPT, FOLDS + "[selection]\non = 'folds'\nfolds = 2\n")
    table = pq.read_table(run.files / "inner_splits.parquet").to_pydict()
    outer = run.parts("fold-1")

    assert set(table) == {"id", *(f"fold-{i},inner-{j}" for i in (1, 2, 3) for j in (1, 2))}
    inner = dict(zip(table["id"], table["fold-1,inner-1"], strict=True))
    assert {i for i, part in inner.items() if part is None} == {i for i, part in outer.items() if part == "test"}
    assert set(inner.values()) == {None, "train", "dev", "test"}


def test_a_failure_in_draws_is_told_by_every_run(tmp_path: Path) -> None:
    """Of a metric whose columns are wrong its values may be right: the run is not taken for finished in order."""
    file = experiment(tmp_path, KEYED + '[[metric]]\nuse = "crooked"\n', "")
    text = file.read_text(encoding="utf-8").replace(
        "keyed.py'", f"keyed.py', '{Path(__file__).parents[2]}/bad_plugins/crooked.py'"
    )
    file.write_text(text, encoding="utf-8")
    plan, places = make_plan(file, ("no:mlflow",)), Places(tmp_path / "runs", tmp_path / "cache")

    for _ in range(2):
        outcome = execute(plan, places, jobs=1)
        assert outcome.exit_code == 5
        assert any("crooked" in str(e) for e in outcome.errors)


def test_test_samples_of_each_scope_are_counted(tmp_path: Path) -> None:
    """Those of a value of a column too, so that a table can say how few they are."""
    run = run_splits(tmp_path, KEYED, FOLDS + "[statistics]\nby = ['dataset']\n")
    samples = run.result.statistics.samples

    assert (samples["overall"], samples["dataset/tinya"], samples["by/dataset/TinyA"]) == (120, 60, 60)
    notes = leaderboard_notes(run.result, leaderboard(run.result))
    assert "test samples by dataset: TinyA 60, TinyB 60" in notes
