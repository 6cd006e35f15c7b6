"""Which MLflow runs stand for the rows of the leaderboard, and what they say."""

from __future__ import annotations

import json

import attrs
import pytest

from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.views import ROWS

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

REFERENCES = {"reference/oracle", "reference/cheapest"}


@pytest.fixture
def rows(database, read):
    """Return the function that returns the nodes that the filter of ``vlrb ui`` finds; each other cell must say that it is one."""

    def find() -> set[str]:
        store = read(database)
        found = store.client.search_runs([store.experiment.experiment_id], ROWS)
        nodes = {r.data.tags["vlrb.node"] for r in found}
        for node, run in store.runs().items():
            if node in nodes:
                assert run.data.tags["role"] == ("reference" if node in REFERENCES else "router")
            elif node != "run":
                assert (run.data.tags["role"], run.data.tags["selected"]) == ("cell", "false")
        return nodes

    return find


@pytest.fixture
def several(study, splits):
    """Return the function that gives the study other cells: those of a router without a sweep, and of one with."""

    def change(names=("",), seeds=(0,), points=(1, 5), refit=False):
        plain = [attrs.evolve(study.cells[0], split=n, seed=s) for n in names for s in seeds]
        swept = [
            attrs.evolve(c, label="swept", point={"k": k}, parameters={"k": k, "l2": 0.1})
            for c in plain
            for k in points
        ]
        study.cells = (*plain, *swept)
        experiment = {**study.run.experiment, "selection": {**study.run.experiment["selection"], "refit": refit}}
        study.run = attrs.evolve(study.run, cells=study.cells, split=splits(*names), experiment=experiment)
        return study

    return change


def test_one_cell_stands_for_its_router(several, rows, database, read):
    """Protects the filter where one cell is all of a router: that of the chosen point, and no other."""
    several().show(chosen={"swept": {"": "k=5"}})
    assert rows() == {"cell/knn-seed0", "cell/swept-k=5-seed0", *REFERENCES}
    runs = read(database).runs()
    assert "router/swept" not in runs
    assert runs["cell/swept-k=5-seed0"].data.metrics["test-low/accuracy"] == 58.0
    assert "accuracy" not in runs["cell/swept-k=1-seed0"].data.metrics


def test_what_stands_for_its_router_is_said_at_once(several, rows):
    """Protects a look at a long run: a router without a sweep is found by the filter while others are being fitted."""
    study, plugin = several(), MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    for cell in study.cells[:2]:
        plugin.vlrb_cell_start(study.run, cell)
    assert rows() == {"cell/knn-seed0"}


def test_a_first_fit_is_never_said_to_stand_for_its_router(several, rows):
    """Protects a look at a long run whose routers will be fitted again: what is shown as their result is the second fit."""
    study, plugin = several(refit=True), MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    for cell in study.cells:
        plugin.vlrb_cell_start(study.run, cell)
    assert rows() == set()
    plugin.vlrb_cell_start(study.run, attrs.evolve(study.cells[1], refit=True))
    assert rows() == {"cell/swept-k=1-refit-seed0"}


@pytest.mark.parametrize(("names", "seeds"), [(("fold-1", "fold-2"), (0,)), (("",), (0, 1))], ids=["folds", "seeds"])
def test_several_cells_have_a_run_for_their_router(several, rows, database, read, names, seeds):
    """Protects the values of a router over folds or seeds: they are those of the leaderboard, and of no single cell."""
    study = several(names, seeds)
    study.show(chosen={"swept": {n: f"k={1 if n == 'fold-1' else 5}" for n in names}})
    assert rows() == {"router/knn", "router/swept", *REFERENCES}
    runs = read(database).runs()
    swept = runs["router/swept"]
    assert (swept.info.run_name, swept.info.status) == ("swept 0102-030405", "FINISHED")
    assert swept.data.tags["mlflow.parentRunId"] == runs["run"].info.run_id
    points = "k=1 (1 of 2), k=5 (1 of 2)" if len(names) == 2 else "k=5 (1 of 1)"
    assert swept.data.tags["vlrb.points"] == points
    assert json.loads(read(database).text("router/swept", "undefined.json"))["test/brier"] == "no estimate"
    assert swept.data.params == {
        "router": "feature-routers/knn",
        "label": "swept",
        "features": "text",
        "router.l2": "0.1",
    }
    assert swept.data.metrics["test/accuracy/group/general"] == 60.0
    assert swept.data.metrics["test-vs-cheapest/accuracy.p-holm"] == 0.08
    assert swept.data.metrics.get("test-over-seeds/accuracy") == (0.5 if len(seeds) == 2 else None)
    parts = [r for node, r in runs.items() if node.startswith("cell/")]
    assert len(parts) == 6
    assert not [n for r in parts for n in r.data.metrics if n.startswith(("test-", "accuracy"))]
    if len(names) == 2:
        assert runs["cell/swept-k=1-fold-2-seed0"].data.params["split"] == "fold-2"


def test_deviations_are_logged(several, database, read):
    """Protects the spread over seeds and over repeated splits, which have metrics of their own."""
    study = several(("seed-1", "seed-2"), (0, 1), ())
    result = study.result()
    test = attrs.evolve(result.routers[0].test, over_splits={"overall": {"accuracy": 1.25}})
    result = attrs.evolve(result, routers=(attrs.evolve(result.routers[0], test=test),))
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_run_end(result)
    metrics = read(database).runs()["router/knn"].data.metrics
    assert (metrics["test-over-seeds/accuracy"], metrics["test-over-splits/accuracy"]) == (0.5, 1.25)


def test_folds_on_the_parent(several, database, read):
    """Protects the parameters of the parent run: what the splits have in common, and not each split's fields."""
    several(("fold-1", "fold-2")).show(chosen={"swept": dict.fromkeys(("fold-1", "fold-2"), "k=5")})
    params = read(database).runs()["run"].data.params
    assert {k: v for k, v in params.items() if k.startswith("split.")} == {
        "split.use": "splits/grouped",
        "split.seed": "7",
        "split.train": "0.7",
        "split.made": "seed 7",
        "split.pooled": "True",
        "split.digest": "abc123",
        "split.groups": "17",
        "split.grouped_by.image": "120",
        "split.splits": "2",
    }


def test_inner_folds_have_no_run(several, rows, database, read):
    """Protects the store against noise: a cell that only takes part in choosing has no MLflow run, nor has its curve."""
    study = several(points=())
    inner = attrs.evolve(study.cells[0], inner=1)
    study.cells = (*study.cells, inner)
    study.run = attrs.evolve(study.run, cells=study.cells)
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_cell_start(study.run, inner)
    for step in range(300):
        plugin.vlrb_cell_log(study.run, inner, step, {"loss": 1.0})
    study.show(study.failed(inner), plugin=plugin)
    assert rows() == {"cell/knn-seed0", *REFERENCES}
    runs = read(database).runs()
    assert set(runs) == {"run", "cell/knn-seed0", *REFERENCES}
    assert runs["run"].data.tags["vlrb.failed"] == inner.name, "the failure is told on the parent at least"


def test_points_of_a_learning_curve_stand_for_nothing(several, rows):
    """Protects the filter: a router that was fitted on a share of train is not a row of the leaderboard."""
    study = several(points=())
    study.cells = (*study.cells, attrs.evolve(study.cells[0], train_fraction=0.1))
    study.run = attrs.evolve(study.run, cells=study.cells)
    study.show()
    assert rows() == {"cell/knn-seed0", *REFERENCES}


def test_a_refit_stands_for_its_router(several, rows):
    """Protects the filter where routers are fitted again on train and dev: the first fits are cells like others."""
    study = several(refit=True)
    again = [attrs.evolve(c, refit=True) for c in study.cells if c.point_name != "k=1"]
    study.cells = (*study.cells, *again)
    plugin = study.show(chosen={"swept": {"": "k=5"}})
    plugin.vlrb_run_end(study.result(chosen={"swept": {"": "k=5"}}))
    assert rows() == {"cell/knn-refit-seed0", "cell/swept-k=5-refit-seed0", *REFERENCES}


def test_another_point_is_chosen_in_the_end(several, rows, database, read):
    """Protects the filter when failed cells are run again: first no point can be chosen, then one, then a better one."""
    study = several()
    plain, one, five = study.cells
    study.show(study.failed(one), study.failed(five), finished="1", chosen={"swept": {}})
    assert rows() == {"cell/knn-seed0", "router/swept", *REFERENCES}
    assert read(database).runs()["router/swept"].info.status == "FAILED"
    study.show(study.failed(five), finished="2", chosen={"swept": {"": "k=1"}})
    assert rows() == {"cell/knn-seed0", f"cell/{one.name}", *REFERENCES}
    study.show(finished="3", chosen={"swept": {"": "k=5"}})
    assert rows() == {"cell/knn-seed0", f"cell/{five.name}", *REFERENCES}
    study.show(study.failed(plain), finished="4", chosen={"swept": {"": "k=1"}})
    assert rows() == {"cell/knn-seed0", f"cell/{one.name}", *REFERENCES}, "a failed router is a row too"


def test_a_failed_fold_is_repaired(several, rows, database, read):
    """Protects the row of a router over folds whose cell failed: it is a row without values, and later the same with them."""
    study = several(("fold-1", "fold-2"), points=())
    study.show(study.failed(study.cells[0]), finished="1")
    before = read(database)
    assert rows() == {"router/knn", *REFERENCES}
    failed = before.runs()["router/knn"]
    assert (failed.info.status, failed.data.metrics, failed.data.tags["status"]) == ("FAILED", {}, "failed")
    study.show(finished="2")
    assert rows() == {"router/knn", *REFERENCES}
    repaired = read(database).runs()["router/knn"]
    assert read(database).ids() == before.ids()
    assert (repaired.info.status, repaired.data.tags["status"]) == ("FINISHED", "done")
    assert repaired.data.metrics["accuracy"] == 61.5


@pytest.mark.parametrize("names", [("",), ("fold-1", "fold-2")], ids=["split", "folds"])
def test_rows_are_logged_once(several, database, read, names):
    """Protects against doubles: a run that is told again, with a later end, logs the values of a row no second time."""
    study = several(names, points=())
    for finished in ("1", "2"):
        study.show(finished=finished)
    store = read(database)
    standing = "cell/knn-seed0" if names == ("",) else "router/knn"
    for node in (standing, *REFERENCES):
        for metric in ("accuracy", "test-low/accuracy", "test/accuracy"):
            assert len(store.client.get_metric_history(store.ids()[node], metric)) == 1


@pytest.mark.parametrize("names", [("",), ("fold-1", "fold-2")], ids=["split", "folds"])
def test_a_row_whose_run_was_deleted(several, rows, database, read, names):
    """Protects the values of a row whose MLflow run somebody removed: they are logged to the new one."""
    study = several(names, points=())
    study.show()
    standing = "cell/knn-seed0" if names == ("",) else "router/knn"
    read(database).client.delete_run(read(database).ids()[standing])
    study.show()
    assert standing in rows()
    assert read(database).runs()[standing].data.metrics["test-high/accuracy"] == 65.0


@pytest.mark.parametrize("count", range(1, 9))
def test_a_kill_while_rows_are_logged(several, rows, database, read, monkeypatch, count):
    """Protects completeness: wherever the end of a run is cut off, the next one adds what is missing."""
    from mlflow.tracking import MlflowClient

    study, plugin = several(("fold-1", "fold-2"), points=()), MlflowPlugin()
    ended = study.result()
    plugin.vlrb_run_start(study.run)
    for cell in ended.cells:
        plugin.vlrb_cell_end(study.run, cell)
    calls = 0
    with monkeypatch.context() as patch:
        for name in ("create_run", "log_batch", "set_terminated"):
            method = getattr(MlflowClient, name)

            def interrupted(*args, real=method, **kwargs):
                nonlocal calls
                calls += 1
                if calls == count:
                    raise KeyboardInterrupt
                return real(*args, **kwargs)

            patch.setattr(MlflowClient, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            plugin.vlrb_run_end(ended)
    study.show()
    assert rows() == {"router/knn", *REFERENCES}
    runs = read(database).runs()
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    assert {runs[node].data.metrics["test-low/accuracy"] for node in ("router/knn", *REFERENCES)} == {58.0}
