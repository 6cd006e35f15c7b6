"""How a finished run was evaluated, from its directory alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_runs import copy_of, read_run
from split_runs import SWEPT, SplitRun, run_splits

from vlrb.benchmark.matrices import MATRICES
from vlrb.errors import ConfigError, DataError
from vlrb.running.finished import FinishedRun
from vlrb.running.stored import StoredRun, stored_benchmark, stored_metrics, stored_splitting

SETTINGS = """
cost_bounds = "all"
seeds = [1]
[selection]
metric = "accuracy"
"""
MORE = """
[split]
folds = 3
train_fraction = [0.5, 1]
[statistics]
draws = 500
[[metric]]
use = "rank-score"
beta = 0.5
[[metric]]
use = "accuracy"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run of three folds with a learning curve and settings of its own."""
    return run_splits(tmp_path_factory.mktemp("stored"), SWEPT, MORE, SETTINGS)


@pytest.fixture(scope="module")
def run(made: SplitRun) -> FinishedRun:
    return read_run(made.files)


@pytest.fixture
def copy(run: FinishedRun, tmp_path: Path) -> FinishedRun:
    return copy_of(run, tmp_path)


def test_the_benchmark_is_the_one_of_the_run(run: FinishedRun, made: SplitRun) -> None:
    """Every figure that evaluates choices, bit by bit; its own manifest; questions and images are not there."""
    found, benchmark = stored_benchmark(run), made.context.benchmark

    assert (found.ids, found.candidates, found.fingerprint) == (
        benchmark.ids,
        benchmark.candidates,
        benchmark.fingerprint,
    )
    assert found.datasets.tolist() == benchmark.datasets.tolist()
    for name in MATRICES:
        assert np.array_equal(getattr(found, name), getattr(benchmark, name))
    assert "question" not in found.samples.column_names


def test_the_splits_are_those_of_the_run(run: FinishedRun, made: SplitRun) -> None:
    """Whole and thinned ones, in their order, with the same rows and groups."""
    found, splitting = stored_splitting(run, stored_benchmark(run)), made.context.splitting

    assert [s.name for s in found.each] == [s.name for s in splitting.each]
    assert (len(found.splits), found.pooled) == (3, True)
    assert np.array_equal(found.groups, splitting.groups)
    for one, other in zip(found.each, splitting.each, strict=True):
        assert one.info == other.info
        for part in ("train", "dev", "test"):
            assert np.array_equal(one.rows(part), other.rows(part))
            assert not one.rows(part).flags.writeable


def test_the_settings_that_evaluate_choices_are_those_of_the_run(run: FinishedRun, made: SplitRun) -> None:
    """Metrics with their parameters, the one that selects, cost bounds and draws; so the test rows have the same bounds."""
    stored = StoredRun.of(run)
    plan, original = stored.context.plan, made.context.plan

    assert stored.left_out == {}
    assert plan.selection == original.selection
    assert plan.statistics == original.statistics
    assert plan.general.cost_bounds == "all"
    assert [(m.registered.id, m.params) for m in plan.metrics] == [
        (m.registered.id, m.params) for m in original.metrics
    ]
    assert stored.context.evaluator.selection.spec.name == "accuracy"
    splits = made.context.splitting.splits
    assert stored.context.evaluated(splits, "test").bounds == made.context.evaluated(splits, "test").bounds


def test_no_file_beyond_the_directory_is_needed(run: FinishedRun) -> None:
    """Without a cache nothing may be written to, or read from, a place that happens to be there."""
    places = StoredRun.of(run).context.places

    assert not places.cache.exists()
    assert not places.runs.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["split_name"]), "holds another split 'fold-1"),
        (lambda t: t.drop_columns(["split"]), "no such column"),
        (lambda t: t.drop_columns(["id"]), "no such column"),
        (lambda t: t.set_column(0, "id", pa.array(["x", *t.column("id").to_pylist()[1:]])), "lacks, or no such column: 'x'"),
        (lambda t: t.slice(1), "holds another split 'fold-1"),
    ],
)  # fmt: skip
def test_a_broken_split_is_refused(copy: FinishedRun, change: Any, said: str) -> None:
    """Samples that are lost, unknown, or in another part: no value is computed on other rows than the results are."""
    file = copy.directory / "split.parquet"
    pq.write_table(change(pq.read_table(file)), file)
    with pytest.raises(DataError, match=r"split\.parquet") as caught:
        StoredRun.of(copy)

    assert said in caught.value.problems[0].message


def test_a_benchmark_of_other_models_is_refused(copy: FinishedRun) -> None:
    """Columns are joined by the models' names, in their order."""
    file = copy.directory / "benchmark.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    tree["models"].reverse()
    file.write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(DataError, match=r"benchmark\.json: names other models than results\.json"):
        stored_benchmark(copy)


def test_a_benchmark_of_another_version_is_refused(copy: FinishedRun) -> None:
    """The error says what reads it."""
    file = copy.directory / "benchmark.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**tree, "schema": 1}), encoding="utf-8")
    with pytest.raises(DataError, match=r"(?s)schema version 1.*use the vlrb that wrote it"):
        stored_benchmark(copy)


def changed(run: FinishedRun, **tables: Any) -> FinishedRun:
    """Return a run whose experiment has other tables."""
    info = run.result.run
    return attrs.evolve(
        run, result=attrs.evolve(run.result, run=attrs.evolve(info, experiment={**info.experiment, **tables}))
    )


def test_an_experiment_of_another_version_is_refused(run: FinishedRun) -> None:
    """With keys that this version does not know, or without those that it must have."""
    for section in ({"nosuch": 1}, {}):
        with pytest.raises(DataError, match=r"results\.json: holds an experiment of another version"):
            StoredRun.of(changed(run, statistics=section))


def test_metrics_that_cannot_be_made_are_named_with_the_reason(run: FinishedRun) -> None:
    """One whose plugin is gone, and one whose parameters have changed; the others stay in their order."""
    metrics = [
        {"use": "metrics/accuracy"},
        {"use": "gone/mine"},
        {"use": "metrics/rank-score", "nosuch": 1},
        {"use": "metrics/cost-per-10k"},
    ]
    found, left_out = stored_metrics(changed(run, metric=metrics))

    assert [m.spec.name for m in found] == ["accuracy", "cost-per-10k"]
    assert left_out.keys() == {"mine", "rank-score"}
    assert "there is no metric 'gone/mine'" in left_out["mine"]
    assert left_out["rank-score"].startswith("its parameters have changed: ")


def test_without_the_metric_that_selected_the_first_one_stands_for_it(run: FinishedRun) -> None:
    """Its row groups are needed by no other; nothing is chosen anew by it."""
    some = changed(run, metric=[{"use": "metrics/cost-per-10k"}, {"use": "metrics/rank-score"}])

    assert StoredRun.of(some).context.evaluator.selection.spec.name == "cost-per-10k"


def test_a_run_that_was_read_without_plugins_cannot_be_evaluated(run: FinishedRun) -> None:
    """The error says how to read it."""
    with pytest.raises(ConfigError, match=r"(?s)no plugins are loaded.*vlrb\.load_run"):
        stored_metrics(attrs.evolve(run, registry=None))
