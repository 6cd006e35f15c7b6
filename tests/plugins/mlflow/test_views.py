"""What the pages of MLflow's UI show first: names, columns, charts and descriptions."""

from __future__ import annotations

import json

import attrs
import pytest

from vlrb.api.routing import Undefined
from vlrb.api.statistics import Difference
from vlrb_plugins.mlflow import MlflowPlugin
from vlrb_plugins.mlflow.describing import cell_name, describe_cell, describe_result, parent_name, row_name
from vlrb_plugins.mlflow.rows import leaderboard_rows
from vlrb_plugins.mlflow.views import LONGEST_VIEW, table_address, table_views

# MLflow reads with what SQLAlchemy calls deprecated; inside the plugin this is silenced, here MLflow is read back
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

SHOWN = 15
"""Characters of a name that the UI shows in charts."""


@pytest.fixture
def views(study):
    """Return the function that returns the views of the run table by name."""

    def make(result=None):
        result = result or study.result()
        found = table_views(result, leaderboard_rows(result))
        assert all(len(text) <= LONGEST_VIEW for text in found.values())
        return {tag.rpartition(".")[2]: json.loads(text) for tag, text in found.items()}

    return make


def test_names_differ_where_the_ui_shows_them(study):
    """Protects charts and tables: points, splits and seeds of a router with a long name differ in the first characters."""
    long = attrs.evolve(study.cells[0], label="a-router-with-a-long-name")
    cells = [
        attrs.evolve(long, point={"k": k}, split=split, seed=seed)
        for k in (5, 50)
        for split in ("fold-1", "fold-2")
        for seed in (0, 1)
    ]
    run = attrs.evolve(study.run, cells=tuple(cells))
    names = [cell_name(run, c) for c in cells]
    assert len({name[: SHOWN + 5] for name in names}) == len(names)
    later = attrs.evolve(run, directory=run.directory.with_name("20260102-030407-0123abcd"))
    assert parent_name(run)[:SHOWN] != parent_name(later)[:SHOWN]
    assert row_name(run, "knn")[:SHOWN] != row_name(later, "knn")[:SHOWN]
    assert len(row_name(run, "x" * 400)) == 250


def test_few_names_come_first(study, database, read):
    """Protects columns and menus, which are sorted by name: a leaderboard's columns have short names, all else sorts behind."""
    study.show()
    for run in read(database).runs().values():
        names = sorted(run.data.metrics)
        short = [n for n in names if "/" not in n]
        assert names[: len(short)] == short == ["accuracy"]
        assert {n.partition("/")[0] for n in names if "/" in n} <= {
            "test",
            "test-low",
            "test-high",
            "test-vs-cheapest",
            "timing",
            "val",
        }


def test_views_show_what_rows_have(views, study):
    """Protects the columns of the run table: the selection metric first, then its neighbours, then intervals; no empty ones."""
    rows = leaderboard_rows(study.result())
    known = {f"metrics.`{name}`" for row in rows for name in row.metrics} | {"tags.`leader`", "tags.`role`"}
    found = views()
    assert set(found) == {"vlrb-runs", "vlrb-leaderboard"}
    for view in found.values():
        assert set(view["selectedColumns"]) <= known
        assert view["selectedColumns"][1:] == [
            "metrics.`accuracy`",
            "metrics.`test-low/accuracy`",
            "metrics.`test-high/accuracy`",
        ]
        assert {c["metricSectionId"] for c in view["compareRunCharts"]} == {"Model metrics"}
    best = found["vlrb-leaderboard"]
    assert (best["orderByKey"], best["orderByAsc"]) == ("metrics.`accuracy`", False)
    assert found["vlrb-runs"]["searchFilter"] == ""


def test_a_view_fits_into_a_tag(views, study, scores):
    """Protects runs with results by many values of a column: sections are left out, and the view stays whole."""
    result = study.result()
    many = {f"by/column/a-long-value-of-it-{i}": {"accuracy": 1.0} for i in range(300)}
    test = attrs.evolve(result.references[0].test, scores={**scores()["test"], **many})
    result = attrs.evolve(result, references=(attrs.evolve(result.references[0], test=test),))
    assert views(result)["vlrb-leaderboard"]["compareRunCharts"]
    metrics = tuple(attrs.evolve(m, name="m" * 5000) for m in study.run.metrics)
    experiment = {**study.run.experiment, "selection": {"refit": False, "metric": "x/" + "m" * 5000}}
    long = attrs.evolve(result, run=attrs.evolve(study.run, metrics=metrics, experiment=experiment))
    assert set(views(long)) == {"vlrb-runs"}, "the view that cannot be made shorter is left out"


def test_address_without_a_view():
    """Protects experiments of an earlier version, which have no views: the filter stands in the address."""
    assert table_address("http://h", "7", "vlrb-runs", False) == (
        "http://h/#/experiments/7/runs?workflowType=machine_learning"
    )
    assert "searchFilter=tags.selected%20%3D%20%27true%27" in table_address("http://h", "7", "vlrb-leaderboard", False)


def test_descriptions(study, database, read):
    """Protects a reader who sees MLflow only: what leads, by how much, on what, how it was split, and what misleads."""
    study.show()
    runs = read(database).runs()
    parent = runs["run"].data.tags["mlflow.note.content"]
    for text in (
        "**knn leads by accuracy.** accuracy on test: 61.5 \\[58, 65\\].",
        "Difference from cheapest: +1.5 \\[-0.5, 3.5\\], p = 0.08, Holm: it may be chance.",
        "2 routers (knn, linear)",
        "`ffffffffffff`: 120 samples of 2 datasets, 2 models",
        "**Synthetic data:** made up for tests",
        "by splits/grouped (seed 7): train 84, dev 12, test 24 samples",
        "95 %, 2,000 draws of 20 groups",
        "- few groups",
    ):
        assert text in parent
    knn = runs["cell/knn-seed0"].data.tags["mlflow.note.content"]
    assert knn.startswith("**knn**: router feature-routers/knn (vlrb 0.1.0), features text.")
    assert "p = 0.08" in knn
    oracle = runs["reference/oracle"].data.tags["mlflow.note.content"]
    assert oracle.startswith("**oracle**: reference point, the cheapest right model.")


def test_a_running_run_is_described(study, database, read):
    """Protects a look at a long run: what is compared on what stands there from the start."""
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_cell_start(study.run, study.cells[0])
    runs = read(database).runs()
    assert "**Compared:** 2 routers" in runs["run"].data.tags["mlflow.note.content"]
    assert "seed 0, features text" in runs["cell/knn-seed0"].data.tags["mlflow.note.content"]
    assert runs["run"].info.run_name == "0102-030405 (study)"


def test_a_first_try_is_described_as_one(study):
    """Protects whoever compares runs from a run on part of the samples."""
    run = attrs.evolve(study.run, experiment={**study.run.experiment, "limited": {"samples": 40}})
    assert "**Only part of the experiment:** limited to" in describe_result(attrs.evolve(study.result(), run=run))


@pytest.mark.parametrize(
    ("value", "p", "rises", "said"),
    [
        (1.5, 0.01, True, "better than chance explains"),
        (1.5, 0.01, False, "worse"),
        (-1.5, 0.01, False, "better than chance explains"),
        (1.5, 0.2, True, "it may be chance"),
        (Undefined("no value"), 0.01, True, "is undefined: no value"),
    ],
)
def test_what_may_be_concluded(study, value, p, rises, said):
    """Protects the direction of a conclusion: of costs, less is better, and what may be chance is called so."""
    result = study.result()
    row = attrs.evolve(
        result.statistics.rows["knn"],
        against={"cheapest": {"accuracy": Difference(value, Undefined("one group"), p, p)}},
    )
    result = attrs.evolve(
        result,
        run=attrs.evolve(study.run, metrics=tuple(attrs.evolve(m, higher_is_better=rises) for m in study.run.metrics)),
        statistics=attrs.evolve(result.statistics, rows={**result.statistics.rows, "knn": row}),
    )
    assert said in describe_result(result)


def test_without_a_leader(study, database, read):
    """Protects a run whose cells all failed: the parent has no values and says why."""
    result = study.result(*(study.failed(c) for c in study.cells))
    result = attrs.evolve(result, statistics=attrs.evolve(result.statistics, leader="", rows={}))
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_run_end(result)
    parent = read(database).runs()["run"]
    assert parent.data.metrics == {}
    assert "No router has a value of accuracy" in parent.data.tags["mlflow.note.content"]


def test_markup_in_names_is_text(study):
    """Protects the pages against names from logs: neither Markdown nor HTML in them has an effect."""
    cell = attrs.evolve(study.cells[0], label="<img src=x> *a*")
    assert "**&lt;img src=x&gt; \\*a\\***" in describe_cell(study.run, cell)


def test_the_headline_is_logged_once_and_follows_the_leader(study, database, read):
    """Protects the parent's values: told again they are not logged again, and another leader replaces them."""
    study.show(finished="1")
    study.show(finished="2")
    store = read(database)
    assert len(store.client.get_metric_history(store.ids()["run"], "accuracy")) == 1
    result = study.result(finished="3")
    plugin = MlflowPlugin()
    plugin.vlrb_run_start(study.run)
    plugin.vlrb_run_end(attrs.evolve(result, statistics=attrs.evolve(result.statistics, leader="linear")))
    parent = read(database).runs()["run"]
    assert (parent.data.tags["leader"], parent.info.run_name) == ("linear", "0102-030405 linear (study)")


def test_files_in_folders_of_the_reports(study, database, read):
    """Protects figures: they are artifacts in the folders in which they were written, which the UI previews."""
    for name in ("figures/pareto.svg", "figures/calls.png", "report.html", "leaderboard.csv"):
        file = study.run.directory / "reports" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    study.show()
    store = read(database)
    assert store.artifacts("run", "reports/figures") == {"reports/figures/pareto.svg", "reports/figures/calls.png"}
    assert {"reports/report.html", "reports/leaderboard.csv"} < store.artifacts("run", "reports")


def test_runs_of_an_earlier_version_are_gone_on_with(study, database, read, opened):
    """Protects a run that an earlier version began to track: it keeps its values and gets the new ones, once."""
    client, experiment = opened()
    identity = f"{study.run.key[:16]}/{study.run.directory.name}"
    tags = {"vlrb.run": identity, "vlrb.node": "run", "environment.python": "3.11"}
    parent = client.create_run(experiment, run_name="study 20260102-030405-0123abcd", tags=tags).info.run_id
    tags = {"vlrb.run": identity, "vlrb.node": "cell/knn-seed0", "mlflow.parentRunId": parent}
    cell = client.create_run(experiment, run_name="knn-seed0", tags=tags).info.run_id
    client.log_metric(cell, "dev/accuracy", 60.0)
    study.show()
    store = read(database)
    assert store.ids()["run"] == parent
    assert store.ids()["cell/knn-seed0"] == cell
    runs = store.runs()
    assert runs["run"].info.run_name == "0102-030405 knn (study)"
    assert runs["cell/knn-seed0"].info.run_name == "knn 0102-030405"
    assert runs["cell/knn-seed0"].data.metrics["dev/accuracy"] == 60.0
    assert runs["cell/knn-seed0"].data.metrics["accuracy"] == 61.5


def test_several_runs_in_another_experiment(study, database, read):
    """Protects users with an experiment of their own: all their runs stand there, each with its rows, and views are shared."""
    study.use(experiment="mine")
    study.show()
    study.run = attrs.evolve(
        study.run, key="f" * 64, directory=study.run.directory.with_name("20260102-040000-ffffffff")
    )
    study.show()
    store = read(database, "mine")
    names = [r.info.run_name for r in store.client.search_runs([store.experiment.experiment_id])]
    assert len(names) == len(set(names)) == 10
    assert [n for n in names if n.endswith("(study)")] == ["0102-040000 knn (study)", "0102-030405 knn (study)"]
    assert "mlflow.sharedViewState.vlrb-runs" in store.experiment.tags
