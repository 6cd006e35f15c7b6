"""A cell from fit to file: what a router is given, and what is refused of what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import handmade
import numpy as np
import pytest
from cell_work import COUNTING, DEV, ESTIMATING, SWEPT, TEST, Fitted, Work, by_text, estimated

from vlrb.api.decide import decide
from vlrb.api.routing import CostBounds, Estimate, Features, FitContext, Labelled, Undefined
from vlrb.errors import PluginError
from vlrb.evaluation.features import Encoded
from vlrb.evaluation.metrics import Evaluator
from vlrb.running.cell_files import read_curve, read_routed
from vlrb.running.cells import _CellRun
from vlrb.storage import read_json, read_parquet

BOUNDS = CostBounds(1e-3, 4e-3, "train")


def test_a_fit_is_given_its_own_rows_and_context(work: Work) -> None:
    """Train to learn from, dev to select on; candidates, bounds, seed, threads and a folder for its work."""
    router = Fitted()
    told: list[Any] = []
    context = work.context(top="seeds = [7]", bounds=BOUNDS)
    work.run(router, context, threads=1, progress=lambda *a: told.append(a))
    train, dev, given = router.seen[:3]

    names = dict(zip(context.benchmark.opaque_ids, context.benchmark.ids, strict=True))
    assert sorted(names[i] for i in train.queries.ids) == [
        f"{d}/{i}" for d in ("Apples", "Books", "Cats") for i in range(3)
    ]
    assert sorted(names[i] for i in dev.queries.ids) == DEV
    assert [sorted(names[i] for i in q.ids) for q in router.seen[3:]] == [DEV, TEST]
    assert [c.name for c in given.candidates] == list(handmade.MODELS)
    assert (given.bounds, given.seed, given.threads, given.device) == (BOUNDS, 7, 1, "cpu")
    assert given.work_directory.is_relative_to(work.folder / "cache" / "work")
    given.progress(np.int64(2), 5.0)
    assert told[-1] == ("fitting counting-seed7", 2, 5)
    assert not context.work_folder(context.cells()[0]).exists()


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("average-cost", -1)])
def test_the_score_on_dev_is_better_where_it_is_larger(work: Work, metric: str, sign: int) -> None:
    """Whatever the metric; it is of the rows as the router sees them, and of nothing but choices that can be made."""
    router = Fitted()
    context = work.context(top=f'[selection]\nmetric = "{metric}"', routers=f'[[metric]]\nuse = "{metric}"\n{COUNTING}')
    work.run(router, context)
    _, _, given = router.seen[:3]
    choices = np.array([0, 1, 2])
    rows = context.benchmark.unordered(context.splitting.splits[0].dev)
    matrix = context.benchmark.quality if metric == "accuracy" else context.benchmark.cost

    expected = sign * float(matrix[rows, choices].mean())
    assert given.dev_score(choices) == pytest.approx(expected)
    for wrong in (np.array([0, 1]), np.array([0, 1, 3]), np.array([0.0, 1.0, 2.0])):
        with pytest.raises(PluginError):
            given.dev_score(wrong)


def test_an_undefined_score_on_dev_stays_undefined(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undefined is not a number, with either sign."""
    monkeypatch.setattr(Evaluator, "select", lambda *_: Undefined("free"))
    for metric in ("accuracy", "average-cost"):
        router = Fitted()
        work.run(
            router,
            work.context(top=f'[selection]\nmetric = "{metric}"', routers=f'[[metric]]\nuse = "{metric}"\n{COUNTING}'),
        )
        assert router.seen[2].dev_score(np.zeros(3, dtype=int)) == Undefined("free")


def test_draws_depend_on_seed_and_label_alone(work: Work) -> None:
    """Another router in the experiment moves no numbers; another seed or label is another series."""

    def drawn(routers: str, top: str, label: str) -> float:
        router = Fitted()
        context = work.context(routers, top)
        cell = next(c for c in context.cells() if c.label == label)
        context.forget(cell)
        work.run(router, context, cell)
        value: float = router.seen[2].rng.random()
        return value

    alone = drawn(COUNTING, "seeds = [1]", "counting")
    assert drawn('[[router]]\nuse = "peeking"\n' + COUNTING, "seeds = [1]", "counting") == alone
    others = [drawn(COUNTING, "seeds = [2]", "counting"), drawn(COUNTING + 'label = "b"\n', "seeds = [1]", "b")]
    assert len({alone, *others}) == 3


BAD: dict[str, Any] = {
    "nothing": lambda q: None,
    "too many": lambda q: np.zeros(len(q) + 1, dtype=int),
    "too few": lambda q: np.zeros(len(q) - 1, dtype=int),
    "a matrix": lambda q: np.zeros((len(q), 1), dtype=int),
    "floats": lambda q: np.zeros(len(q)),
    "booleans": lambda q: np.zeros(len(q), dtype=bool),
    "k": lambda q: np.arange(len(q)) % 2 * 3,
    "-1": lambda q: -(np.arange(len(q)) % 2),
}


@pytest.mark.parametrize("how", BAD)
def test_choices_are_whole_numbers_of_candidates(work: Work, how: str) -> None:
    """One for each query, none outside; nothing is kept of the cell."""
    context = work.context()
    with pytest.raises(PluginError, match="counting"):
        work.run(Fitted(BAD[how]), context)
    assert not context.finished(context.cells()[0])


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64])
def test_any_integers_are_choices(work: Work, kind: Any) -> None:
    """The first and the last candidate included."""
    folder = work.run(Fitted(lambda q: np.array([0, 2] * 3, dtype=kind)[: len(q)]))
    assert sorted(read_parquet(folder / "test.parquet").column("choice").to_pylist()) == [0, 0, 0, 2, 2, 2]


def _scores(change: Callable[[Any], Any]) -> dict[str, Any]:
    return {"scores": lambda q: change(np.eye(3)[by_text(q)])}


def _set(matrix: Any, at: tuple[int, int], value: float) -> Any:
    matrix[at] = value
    return matrix


def _estimate(p: Callable[[Any], Any] = lambda m: m, cost: Callable[[Any], Any] = lambda m: m) -> dict[str, Any]:
    return {"estimate": lambda q: Estimate(p(np.full((len(q), 3), 0.5)), cost(np.full((len(q), 3), 1e-3)))}


WRONG: dict[str, dict[str, Any]] = {
    "scores: a column too many": _scores(lambda m: np.hstack([m, m[:, :1]])),
    "scores: a row too few": _scores(lambda m: m[1:]),
    "scores: integers": _scores(lambda m: m.astype(int)),
    "scores: nan": _scores(lambda m: _set(m, (0, 2), math.nan)),
    "scores: infinite": _scores(lambda m: m - np.where(m, 0.0, math.inf)),
    "scores: of another choice": _scores(lambda m: m[:, [1, 2, 0]]),
    "estimate: no Estimate": {"estimate": lambda q: np.zeros((len(q), 3))},
    "estimate: shape of p": _estimate(p=lambda m: m[1:]),
    "estimate: shape of cost": _estimate(cost=lambda m: m[:, 1:]),
    "estimate: p above 1": _estimate(p=lambda m: _set(m, (0, 0), 1.001)),
    "estimate: p below 0": _estimate(p=lambda m: _set(m, (0, 0), -1e-3)),
    "estimate: p nan": _estimate(p=lambda m: _set(m, (0, 0), math.nan)),
    "estimate: cost below 0": _estimate(cost=lambda m: _set(m, (0, 0), -1e-9)),
    "estimate: cost infinite": _estimate(cost=lambda m: _set(m, (0, 0), math.inf)),
    "chosen: no mapping": {"chosen": [("x", 1)]},
    "chosen: a name that is not a text": {"chosen": {1: 1}},
    "chosen: a list": {"chosen": {"x": [1]}},
    "chosen: nan": {"chosen": {"x": math.nan}},
    "route: not callable": {},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_router_may_not_return_is_refused(work: Work, what: str) -> None:
    """The router is named, and no number comes of it."""
    context = work.context()
    router = Fitted(more=WRONG[what])
    fits = SimpleNamespace(fit=lambda *_: SimpleNamespace(route=3)) if "callable" in what else router
    with pytest.raises(PluginError, match="counting"):
        work.run(fits, context)
    assert not context.finished(context.cells()[0])


def test_limits_of_estimates_are_allowed(work: Work) -> None:
    """Probabilities of 0 and 1, costs of 0 and costs above 1."""
    p = np.tile([0.0, 1.0, 0.5], (6, 1))
    cost = np.tile([0.0, 2.0, 0.5], (6, 1))
    work.run(Fitted(more=_estimate(lambda m: p[: len(m)], lambda m: cost[: len(m)])))


def test_what_a_fit_chose_is_kept(work: Work) -> None:
    """Numbers of numpy as plain ones; texts, booleans and None too."""
    chosen = {"lambda": np.float64(30.0), "k": np.int64(3), "rule": "best", "on": True, "none": None, "top": math.inf}
    about = read_json(work.run(Fitted(more={"chosen": chosen})) / "cell.json")

    assert {k: about["chosen"][k] for k in ("lambda", "k", "rule", "on", "none")} == {
        "lambda": 30.0,
        "k": 3,
        "rule": "best",
        "on": True,
        "none": None,
    }


def test_time_that_was_borrowed_counts(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the fit and in each routing; encoding counts for each query; time never runs backwards."""
    context = work.context(
        '[features.f]\nencoders = ["hashed-text"]\nfusion = "concat"\n[[router]]\nuse = "knn"\nfeatures = "f"\n'
    )
    features = Features(np.ones((18, 1), np.float32), ())
    monkeypatch.setattr("vlrb.running.context.encode", lambda *_: Encoded(features, 0.25))
    about = read_json(work.run(Fitted(more={"borrowed_seconds": 100.0}), context) / "cell.json")

    assert about["fit_seconds"] == pytest.approx(100, abs=20)
    for name, count in (("dev", 3), ("test", 6)):
        timing = about["timing"][name]
        assert (timing["requests"], timing["encode_seconds"]) == (count, 0.25 * count)
        assert timing["route_seconds"] == pytest.approx(100, abs=20)
    context.forget(context.cells()[0])
    with pytest.raises(PluginError, match="borrowed_seconds"):
        work.run(Fitted(more={"borrowed_seconds": -100.0}), context)


def test_a_time_that_is_unknown_is_no_number(work: Work) -> None:
    """A router whose choices were made elsewhere has no timing, except of its fit."""
    about = read_json(work.run(Fitted(more={"borrowed_seconds": None}), work.context()) / "cell.json")

    assert about["timing"] == {}
    assert 0 <= about["fit_seconds"] < 100


@pytest.mark.parametrize(("said", "borrowed"), [(0.25, 0.25), (3, 3.0), (0.0, 0.0)])
def test_borrowed_time_is_what_the_router_says(work: Work, said: float, borrowed: float) -> None:
    """None where it says nothing."""
    context = work.context()
    cell = context.cells()[0]
    work_on = _CellRun(context, cell, context.chosen(cell), 1, lambda *_: None, lambda *_: None)

    assert work_on.borrowed_seconds(SimpleNamespace(borrowed_seconds=said)) == borrowed
    assert work_on.borrowed_seconds(SimpleNamespace()) == 0


def test_features_are_those_of_the_rows(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router sees each sample with its own features."""
    context = work.context(
        '[features.f]\nencoders = ["hashed-text"]\nfusion = "concat"\n[[router]]\nuse = "knn"\nfeatures = "f"\n'
    )
    features = Features(np.arange(18, dtype=np.float32)[:, None], ())
    monkeypatch.setattr("vlrb.running.context.encode", lambda *_: Encoded(features, 0.25))
    router = Fitted()
    work.run(router, context)
    for queries in (router.seen[0].queries, router.seen[1].queries, *router.seen[3:]):
        rows = [context.benchmark.opaque_ids.index(i) for i in queries.ids]
        assert queries.features.matrix[:, 0].tolist() == rows


def test_points_that_only_decide_share_a_fit(work: Work) -> None:
    """Each decides by the estimates of the one fit; what it was asked for is not shown as chosen, and curves are copied."""
    context = work.context(SWEPT)
    fits = []

    class Logged(Fitted):
        def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
            context.log(1, {"loss": 0.5})
            fits.append(self)
            return self

    router = Logged(more={"estimate": estimated, "chosen": {"lambda": 7.0, "shrinkage": "half"}})
    for cell in context.cells():
        folder = work.run(router, context, cell)
        about, routed = read_json(folder / "cell.json"), read_routed(folder, "test", TEST, handmade.MODELS)
        kept = routed.estimate
        assert kept is not None
        lambda_ = {"0": 0.0, "100": 100.0, "inf": math.inf}[str(cell.point["lambda"]).removesuffix(".0")]
        expected = decide(kept, lambda_=lambda_)
        assert routed.choices.tolist() == expected.tolist()
        table = read_parquet(folder / "test.parquet")
        assert table.column_names[:3] == ["id", "choice", "model"]
        assert table.column("model").to_pylist() == [handmade.MODELS[j] for j in expected]
        assert about["chosen"] == {"shrinkage": "half"}
        assert about["cell"]["point"] == dict(cell.point)
        assert read_curve(folder) == ((1, "loss", 0.5),)
    assert len(fits) == 1


def test_a_point_of_a_budget_decides_by_it(work: Work) -> None:
    """It is the budget that is swept, not lambda."""
    context = work.context(ESTIMATING + "sweep = { budget = [0.002, 1] }\n")
    router = Fitted(more={"estimate": estimated})
    for cell in context.cells():
        routed = read_routed(work.run(router, context, cell), "dev", DEV, handmade.MODELS)
        kept = routed.estimate
        assert kept is not None
        assert routed.choices.tolist() == decide(kept, budget=float(cell.point["budget"])).tolist()


def test_a_sweep_over_decisions_needs_estimates(work: Work) -> None:
    """A router that gives none is named."""
    context = work.context(SWEPT)
    with pytest.raises(PluginError, match="estimating"):
        work.run(Fitted(), context)
