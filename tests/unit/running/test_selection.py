"""Which point of a sweep stands for its router, on each split by itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pytest
from split_runs import FOLDS, KEYED, SWEPT, SplitRun, accuracy, experiment, run_splits

from vlrb.api.results import CellInfo, CellResult, MetricInfo
from vlrb.api.routing import MetricValue, Undefined
from vlrb.experiment.resolve import make_plan
from vlrb.experiment.sections import SelectionSection
from vlrb.running import selection
from vlrb.running.context import RunContext
from vlrb.running.leaderboard import leaderboard
from vlrb.running.run import execute, prepare
from vlrb.running.selection import select_points
from vlrb.storage import Places

METRICS = (
    MetricInfo("cost", "", False, ""),
    MetricInfo("accuracy", "", True, ""),
    MetricInfo("rank-score", "", True, ""),
)


def cell(x: int, seed: int = 1, split: str = "", **values: MetricValue) -> CellResult:
    """Return a finished cell of the point x with these values where points are compared."""
    info = CellInfo("k", "a", "p/a", {}, seed, None, "p", "d 1", "", {"x": x}, split=split)
    numbers = {"cost": 1.0, "accuracy": 0.5, "rank-score": 0.5, **{k.replace("_", "-"): v for k, v in values.items()}}
    return CellResult(info, "done", False, Path(), {"dev": {"overall": numbers}})


@pytest.fixture(autouse=True)
def values_of_cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let points be compared by the values that stand in handmade cells."""
    if "run" not in request.fixturenames and "tmp_path" not in request.fixturenames:
        monkeypatch.setattr(
            selection, "_rows", lambda _, cells: [SimpleNamespace(estimate=None, cell=c) for c in cells]
        )
        monkeypatch.setattr(selection, "_values", lambda _, chose, __: chose.cell.scores["dev"]["overall"])


def won(*cells: CellResult, by: str = "rank-score") -> dict[str, dict[str, tuple[str, str]]]:
    """Return label -> split -> the point and the metric that decided."""
    metrics = tuple(SimpleNamespace(spec=m) for m in METRICS)
    chosen = next(m for m in metrics if m.spec.name == by)
    plan = SimpleNamespace(selection=SelectionSection(metric=by))
    context: Any = SimpleNamespace(plan=plan, evaluator=SimpleNamespace(selection=chosen, metrics=metrics))
    found = select_points(context, cells)
    return {label: {split: (s.point, s.metric) for split, s in splits.items()} for label, splits in found.items()}


def one(point: str, metric: str = "rank-score") -> dict[str, dict[str, tuple[str, str]]]:
    return {"a": {"": (point, metric)}}


def test_the_best_mean_over_the_seeds_wins_and_ties_go_to_the_first() -> None:
    """One lucky seed does not decide; smaller wins where smaller is better."""
    lucky = [
        cell(1, 1, rank_score=0.9),
        cell(1, 2, rank_score=0.1),
        cell(2, 1, rank_score=0.6),
        cell(2, 2, rank_score=0.6),
    ]

    assert won(*lucky) == one("x=2")
    assert won(cell(1, cost=1.0), cell(2, cost=0.5), by="cost") == one("x=2", "cost")
    assert won(cell(3), cell(2), cell(1)) == one("x=3")


def test_a_point_without_a_value_loses_to_any_that_has_one() -> None:
    """Undefined is not 0, and not the best either."""
    assert won(cell(1, rank_score=Undefined("none")), cell(2, rank_score=0.0)) == one("x=2")
    gap = [cell(1, 1, rank_score=0.9), cell(1, 2, rank_score=Undefined("none")), cell(2, 1), cell(2, 2)]
    assert won(*gap) == one("x=2")


def test_where_no_point_has_a_value_the_next_metric_decides() -> None:
    """In the order of the metrics: here the cost, then the accuracy; a sweep whose points finished has a winner."""
    free = {"rank_score": Undefined("a model costs nothing")}

    assert won(cell(1, cost=2.0, **free), cell(2, cost=1.0, **free)) == one("x=2", "cost")
    nothing = {**free, "cost": Undefined("unknown")}
    assert won(cell(1, accuracy=0.1, **nothing), cell(2, accuracy=0.2, **nothing)) == one("x=2", "accuracy")


def test_a_point_with_a_failed_cell_cannot_win() -> None:
    """One of an inner fold too; and where every point has one, there is no winner."""
    failed = attrs.evolve(cell(1, 2), status="failed", scores={})
    inner = attrs.evolve(failed, cell=attrs.evolve(failed.cell, inner=2, seed=1))

    for bad in (failed, inner):
        assert won(cell(1, 1, rank_score=0.9), bad, cell(2, 1, rank_score=0.1), cell(2, 2, rank_score=0.1)) == one(
            "x=2"
        )
    assert won(failed, attrs.evolve(failed, cell=attrs.evolve(failed.cell, point={"x": 2}))) == {}


def test_the_place_of_a_point_does_not_matter() -> None:
    """The best wins first, last or in the middle."""
    for best in (1, 2, 3):
        assert won(*(cell(x, rank_score=0.9 if x == best else 0.1 * x) for x in (1, 2, 3))) == one(f"x={best}")


def test_a_router_without_a_sweep_stands_for_itself() -> None:
    """Whatever became of its cells: there is nothing to choose from, and the selection metric is named."""
    nothing = {"rank_score": Undefined("free"), "cost": Undefined("unknown"), "accuracy": Undefined("none")}
    failed = attrs.evolve(cell(1, 2), status="failed", scores={})

    for cells in ([cell(1)], [cell(1, **nothing)], [cell(1, 1), failed], [failed]):
        assert won(*cells) == one("x=1")


def test_each_router_and_each_split_has_a_point_of_its_own() -> None:
    """Points of one router are not compared with those of another, nor values of one split with those of another."""
    cells = [cell(1, rank_score=0.5), cell(2, rank_score=0.4)]
    other = [cell(1, split="fold-1", rank_score=0.8), cell(2, split="fold-1", rank_score=0.9)]
    other = [attrs.evolve(c, cell=attrs.evolve(c.cell, label="b")) for c in other]
    more = [cell(1, split="fold-2", rank_score=0.2), cell(2, split="fold-2", rank_score=0.3)]

    assert won(*cells, *other, *more) == {
        "a": {"": ("x=1", "rank-score"), "fold-2": ("x=2", "rank-score")},
        "b": {"fold-1": ("x=2", "rank-score")},
    }


ON_FOLDS = FOLDS + '[selection]\non = "folds"\nfolds = 2\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run that chooses on inner folds and fits again, and writes down every fit."""
    folder = tmp_path_factory.mktemp("selection")
    routers = SWEPT + f'file = "{folder / "fits"}"\n[[router]]\nuse = "keyed"\nlabel = "plain"\nlambda = 2\n'
    return run_splits(folder, routers, ON_FOLDS + "refit = true\nmetric = 'accuracy'\n")


def fits(run: SplitRun) -> list[dict[str, Any]]:
    """Return what each fit saw, with the ids of the logs."""
    names = dict(zip(run.context.benchmark.opaque_ids, run.context.benchmark.ids, strict=True))
    lines = (run.context.places.cache.parent / "fits").read_text(encoding="utf-8").splitlines()
    return [{**f, **{k: {names[i] for i in f[k]} for k in ("train", "dev")}} for f in map(json.loads, lines)]


def test_a_sweep_over_decisions_fits_once_per_split_and_inner_fold(run: SplitRun) -> None:
    """Three points share each fit: one for a split, two for its inner folds; the chosen point is fitted again."""
    assert len(fits(run)) == 3 * (1 + 2 + 1)
    assert sum(c.cell.inner > 0 for c in run.result.cells) == 3 * 2 * 3


def test_a_router_without_a_sweep_has_no_inner_cells(run: SplitRun) -> None:
    """There is nothing to choose."""
    assert not any(c.cell.inner for c in run.result.cells if c.cell.label == "plain")


def test_no_fit_sees_a_test_sample_nor_a_group_of_one(run: SplitRun) -> None:
    """Of a split, of its inner folds, and of the refit, whose train is train and dev together."""
    tests = {n: {i for i, p in run.parts(n).items() if p == "test"} for n in ("fold-1", "fold-2", "fold-3")}
    group = {i: row["group"] for i, row in run.known().items()}
    everything = set(group)
    seen = fits(run)
    for name, test in tests.items():
        parts = run.parts(name)
        train, dev = ({i for i, p in parts.items() if p == part} for part in ("train", "dev"))
        of_split = [f for f in seen if not (f["train"] | f["dev"]) & test]
        assert len(of_split) == 4, name
        assert sum(f["train"] == train and f["dev"] == dev for f in of_split) == 1
        assert sum(f["train"] == everything - test for f in of_split) == 1
        for f in of_split:
            assert not {group[i] for i in f["train"] | f["dev"]} & {group[i] for i in test}
            if f["train"] != everything - test:  # a refit's dev is part of its train
                assert not {group[i] for i in f["train"]} & {group[i] for i in f["dev"]}


def test_the_score_on_dev_is_of_dev_alone(run: SplitRun) -> None:
    """What a router can ask for while it is fitted is computed on the dev samples of its own fit."""
    known, models = run.known(), [c.name for c in run.context.benchmark.candidates]
    for f in fits(run):
        expected = [np.mean([known[i][f"quality:{m}"] for i in f["dev"]]) for m in models]
        assert f["dev_score"] == pytest.approx(expected)


def test_refitted_cells_stand_for_the_router(run: SplitRun) -> None:
    """The row is made of them, on the test samples of the folds; the first fits stay in the results, not in the row."""
    standing = run.standing()
    assert [c.cell.name for c in standing if not c.cell.refit] == []
    assert len(standing) == 3
    chosen = {i: m for c in standing for i, m in run.chosen(c).items()}
    test = run.router().test
    assert test is not None
    assert test.scores["overall"]["accuracy"] == pytest.approx(accuracy(run, chosen), abs=1e-12)
    assert {c.cell.outer_name: c.cell.point_name for c in standing} == dict(run.router().points)


def test_each_split_chooses_on_its_own_inner_folds(run: SplitRun) -> None:
    """The chosen point has the best accuracy over the inner folds' cells of its split, recomputed from their files."""
    for split, point in run.router().points.items():
        values = {}
        for name in ("lambda=0.0", "lambda=3.0", "lambda=inf"):
            cells = [
                c for c in run.result.cells if c.cell.inner and c.cell.split == split and c.cell.point_name == name
            ]
            values[name] = accuracy(run, {i: m for c in cells for i, m in run.chosen(c).items()})
        assert values[point] == max(values.values())
        assert point == next(n for n in values if values[n] == max(values.values()))


@pytest.mark.parametrize("rule", ["best", "one-standard-error", "predicted"])
@pytest.mark.parametrize("on", ["dev", "folds"])
def test_choosing_does_not_change_with_the_test_answers(tmp_path: Path, on: str, rule: str) -> None:
    """Whatever the models did on the test samples of a fold, its points are chosen as before."""
    folds = "folds = 2\n" if on == "folds" else ""
    more = f'{FOLDS}[selection]\non = "{on}"\n{folds}rule = "{rule}"\nmetric = "accuracy"\n'
    plan = make_plan(experiment(tmp_path, SWEPT, more), ("no:mlflow",))
    places = Places(tmp_path / "runs", tmp_path / "cache")
    result = execute(plan, places, jobs=1).result
    context = prepare(plan, places, jobs=1)
    before = select_points(context, result.cells)["keyed"]
    for fold in context.splitting.splits:
        quality = context.benchmark.quality.copy()
        quality[fold.test] = ~quality[fold.test]
        benchmark = attrs.evolve(context.benchmark, quality=quality)
        evaluator = attrs.evolve(context.evaluator, benchmark=benchmark)
        changed = RunContext(plan, places, benchmark, context.splitting, evaluator)
        after = select_points(changed, [c for c in result.cells if c.cell.split == fold.name])["keyed"]
        assert after == {fold.name: before[fold.name]}


def test_predicted_values_are_calibrated_estimates_at_actual_costs(tmp_path: Path) -> None:
    """Accuracy is then the mean calibrated probability of the choices, and the cost the actual one."""
    more = FOLDS + '[selection]\nrule = "predicted"\nmetric = "accuracy"\n'
    run = run_splits(tmp_path, SWEPT, more)
    observed = run_splits(tmp_path, SWEPT, more.replace("predicted", "best"))

    assert run.router().rule == "predicted"
    for a, b in zip(run.router().sweep, observed.router().sweep, strict=True):
        assert a.values["accuracy"] != b.values["accuracy"]
        assert a.values["average-cost"] == b.values["average-cost"]
    row = next(r for r in leaderboard(run.result).rows if r.name == "keyed")
    assert "as predicted" in row.note
    assert "by observed results" not in row.note


def test_a_router_without_estimates_is_chosen_as_observed_and_says_so(tmp_path: Path) -> None:
    """Under the rule that needs estimates."""
    routers = '[[router]]\nuse = "counting"\nsweep = { choice = [0, 1, 2] }\n' + KEYED
    run = run_splits(tmp_path, routers, FOLDS + '[selection]\nrule = "predicted"\n')

    assert run.router("counting").rule == "best"
    row = next(r for r in leaderboard(run.result).rows if r.name == "counting")
    assert "by observed results: the router gives no estimates" in row.note
    assert "by observed results" not in next(r for r in leaderboard(run.result).rows if r.name == "keyed").note


def test_within_one_standard_error_the_cheapest_point_is_chosen(tmp_path: Path) -> None:
    """Where the error is large, the cheapest of all; where it is unknown, the best; among equals the cheapest."""
    routers = '[[router]]\nuse = "counting"\nsweep = { choice = [0, 1, 2] }\n'
    more = FOLDS + '[selection]\nrule = "one-standard-error"\nmetric = "accuracy"\n'
    plan = make_plan(experiment(tmp_path, routers, more), ("no:mlflow",))
    places = Places(tmp_path / "runs", tmp_path / "cache")
    context, result = prepare(plan, places, jobs=1), execute(plan, places, jobs=1).result

    def points(error: float) -> dict[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "standard_error", lambda *_: error)
            return {split: s.point for split, s in select_points(context, result.cells)["counting"].items()}

    best = run_splits(tmp_path, routers, more.replace("one-standard-error", "best")).router("counting").points
    assert points(float("nan")) == dict(best)
    assert set(points(1.0).values()) == {"choice=2"}
    for split, point in points(0.0).items():
        right = {
            c.cell.point_name: c.scores["dev"]["overall"]["accuracy"] for c in result.cells if c.cell.split == split
        }
        assert point == max((p for p in right if right[p] == max(right.values())), key=lambda p: p)
    assert "choice=0" in best.values()


def test_a_point_with_a_failed_inner_cell_is_not_chosen(tmp_path: Path) -> None:
    """Though its own cell on the split is done, and the run goes on with the other points."""
    routers = KEYED + "sweep = { lambda = [0], spread = [0.2, 0.9], fail = [{}, -1] }\n"
    first = run_splits(tmp_path, SWEPT, ON_FOLDS)
    context = first.context
    sizes = {c.cell.split_name: context.split_of(c.cell).train.size for c in first.result.cells}
    size = sizes["fold-1,inner-1"]
    assert size not in {n for name, n in sizes.items() if "inner" not in name}
    run = run_splits(tmp_path, routers.replace("{}", str(size)), ON_FOLDS)

    failed = {c.cell.point["fail"] for c in run.result.cells if c.status == "failed"}
    assert failed == {size}
    assert "fail=-1" in run.router().points["fold-1"]
    assert run.outcome.exit_code == 1


def test_a_router_that_failed_is_not_fitted_again(tmp_path: Path) -> None:
    """With `refit`, the error of its only fit is told once, and its row says that it failed."""
    routers = '[[router]]\nuse = "faulty"\nlabel = "failing"\nfault = "raise"\n' + KEYED
    run = run_splits(tmp_path, routers, "[selection]\nrefit = true\n")
    failed = [c for c in run.result.cells if c.status == "failed"]
    row = next(r for r in leaderboard(run.result).rows if r.name == "failing")

    assert [c.cell.refit for c in failed] == [False]
    assert row.note == "1 of 1 cells failed"
    assert run.router().test is not None


def test_by_estimates_every_metric_of_quality_is_predicted(tmp_path: Path) -> None:
    """The mean score too, and the share of the gap to the Oracle by the estimates: defined, and 1 at most."""
    run = run_splits(tmp_path, SWEPT, FOLDS + '[selection]\nrule = "predicted"\n')

    for point in run.router().sweep:
        assert point.values["mean-score"] == point.values["accuracy"]
        gap = point.values["oracle-gap-closed"]
        assert not isinstance(gap, Undefined)
        assert gap <= 1 + 1e-12


def test_a_sweep_of_one_value_is_no_choice(tmp_path: Path) -> None:
    """Its row says the value, and not of how many points or by which rule it is the best."""
    run = run_splits(tmp_path, KEYED + "sweep = { lambda = [3] }\n", '[selection]\nrule = "predicted"\n')

    assert next(r for r in leaderboard(run.result).rows if r.name == "keyed").note == "lambda=3.0"
