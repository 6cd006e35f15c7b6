"""A cell from fit to file: what a router is given, what is refused of what it returns, and what is kept and read back.

The samples are those of the handmade benchmark; each router here is an object of the test, in the place of the tiny plugin's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import handmade
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb.api.decide import decide
from vlrb.api.results import CellInfo
from vlrb.api.routing import CostBounds, Estimate, Features, FitContext, Labelled, Queries, Undefined
from vlrb.errors import DataError, PluginError
from vlrb.evaluation.features import Encoded
from vlrb.evaluation.metrics import Evaluator
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.resolve import make_plan
from vlrb.running.cell_files import hardware, read_cell
from vlrb.running.cells import _CellRun, run_cell
from vlrb.running.context import RunContext
from vlrb.running.curves import read_curve
from vlrb.storage import Places, read_json, read_parquet, write_json

TINY = Path(__file__).parents[2] / "support" / "tiny.py"
COUNTING = '[[router]]\nuse = "counting"\n'
ESTIMATING = '[[router]]\nuse = "estimating"\n'


def by_text(queries: Queries) -> Any:
    """Choose by the number in the question: other rows, or another order, are other choices."""
    return np.array([int(text.split()[1]) % 3 for text in queries.texts])


@attrs.define
class Fitted:
    """A router as its own fit; without ``scores``, ``estimate``, ``chosen`` or ``save`` unless the test adds them."""

    how: Callable[[Queries], Any] = by_text
    seen: list[Any] = attrs.field(factory=list)
    more: dict[str, Any] = attrs.field(factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.more[name]
        except KeyError:
            raise AttributeError(name) from None

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
        self.seen += [train, dev, context]
        return self

    def route(self, queries: Queries) -> Any:
        self.seen.append(queries)
        return self.how(queries)


@attrs.frozen
class Work:
    """Runs cells of an experiment with a router of the test."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def context(self, routers: str = COUNTING, top: str = "") -> RunContext:
        """Return what the cells share."""
        head = f'name = "t"\nplugins = ["{TINY}"]\nrequires = []\n{top}\n[logs]\nuse = "tiny"\n'
        path = self.folder / "experiment.toml"
        path.write_text(head + routers, encoding="utf-8")
        plan = make_plan(path)
        made = handmade.make(self.folder)
        split = handmade.split_of(made)
        evaluator = Evaluator(made, split, CostBounds(1e-3, 4e-3, "train"), plan.metrics, plan.selection_metric())
        return RunContext(plan, Places(self.folder / "runs", self.folder / "cache"), made, split, evaluator)

    def run(self, router: Any, context: RunContext | None = None, cell: CellInfo | None = None, **more: Any) -> Path:
        """Run a cell, by default the only one; return its folder."""
        make = ConfiguredComponent.make
        self.monkeypatch.setattr(ConfiguredComponent, "make", lambda s, *m: router if m == ("fit",) else make(s, *m))
        context = context or self.context()
        cell = cell or context.cells()[0]
        arguments = {"threads": 1, "log": lambda *_: None, "progress": lambda *_: None, **more}
        run_cell(context, cell, arguments["threads"], arguments["log"], arguments["progress"])
        self.monkeypatch.setattr(ConfiguredComponent, "make", make)
        return context.folder(cell)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Work(tmp_path, monkeypatch)


DEV = ["Apples/3", "Books/3", "Cats/3"]
TEST = ["Apples/4", "Apples/5", "Books/4", "Books/5", "Cats/4", "Cats/5"]


def estimated(queries: Queries) -> Estimate:
    """Return estimates that differ in every entry, by the question."""
    number = np.array([int(t.split()[1]) + len(t) / 100 for t in queries.texts])[:, None]
    return Estimate(0.9 - number / 10 - np.array([0.0, 0.1, 0.2]), 1e-3 * (number + np.array([3.0, 2.0, 1.0])))


def test_choices_are_kept_beside_the_samples_that_they_were_made_for(work: Work) -> None:
    """In the order of the benchmark's rows, though a router sees them in another; scores and estimates with them."""

    def scores(queries: Queries) -> Any:
        found = np.zeros((len(queries), 3))
        found[np.arange(len(queries)), by_text(queries)] = [1 + len(t) for t in queries.texts]
        return found

    folder = work.run(Fitted(more={"scores": scores, "estimate": estimated}))
    for name, ids in (("dev", DEV), ("test", TEST)):
        table = read_parquet(folder / f"{name}.parquet")
        numbers = [int(i[-1]) for i in ids]
        lengths = [len(f"question {i[-1]} of {i[:-2]}") for i in ids]
        p = [0.9 - (n + length / 100) / 10 for n, length in zip(numbers, lengths, strict=True)]
        assert table.column("id").to_pylist() == ids
        assert table.column("choice").to_pylist() == [n % 3 for n in numbers]
        assert table.column("model").to_pylist() == [handmade.MODELS[n % 3] for n in numbers]
        for j, model in enumerate(handmade.MODELS):
            expected = [1 + length if n % 3 == j else 0 for n, length in zip(numbers, lengths, strict=True)]
            assert table.column(f"score:{model}").to_pylist() == expected
            assert table.column(f"p_correct:{model}").to_pylist() == pytest.approx([x - j / 10 for x in p])
            cost = [1e-3 * (n + length / 100 + 3 - j) for n, length in zip(numbers, lengths, strict=True)]
            assert table.column(f"cost:{model}").to_pylist() == pytest.approx(cost)


def test_what_was_kept_is_read_back(work: Work) -> None:
    """Choices and estimates of dev and test; nothing is read as if it were of other samples."""
    folder = work.run(Fitted(more={"estimate": estimated}))
    ids = {"dev": DEV, "test": TEST}
    about, routed = read_cell(folder, ids, handmade.MODELS)

    assert about["cell"]["label"] == "counting"
    assert routed["test"].choices.tolist() == [1, 2, 1, 2, 1, 2]
    assert routed["dev"].choices.tolist() == [0, 0, 0]
    kept = routed["test"].estimate
    assert kept is not None
    texts = [f"question {i[-1]} of {i[:-2]}" for i in TEST]
    expected = estimated(SimpleNamespace(texts=texts))  # type: ignore[arg-type]
    np.testing.assert_allclose(kept.p_correct, expected.p_correct)
    np.testing.assert_allclose(kept.cost, expected.cost)

    with pytest.raises(DataError) as caught:
        read_cell(folder, {**ids, "test": TEST[::-1]}, handmade.MODELS)
    assert caught.value.problems[0].where == str(folder / "test.parquet")
    for lacking in ("id", "choice"):
        table = read_parquet(folder / "dev.parquet").drop_columns([lacking])
        pq.write_table(table, folder / "dev.parquet.aside")
        whole = (folder / "dev.parquet").rename(folder / "whole")
        (folder / "dev.parquet.aside").rename(folder / "dev.parquet")
        with pytest.raises(DataError, match=f"'{lacking}'"):
            read_cell(folder, ids, handmade.MODELS)
        whole.rename(folder / "dev.parquet")
    (folder / "dev.parquet").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"dev\.parquet"):
        read_cell(folder, ids, handmade.MODELS)


def test_a_router_without_estimates_has_none(work: Work) -> None:
    """Nothing stands in for them."""
    _, routed = read_cell(work.run(Fitted()), {"dev": DEV, "test": TEST}, handmade.MODELS)
    assert [r.estimate for r in routed.values()] == [None, None]


def test_a_fit_is_given_its_own_rows_and_context(work: Work) -> None:
    """Train to learn from, dev to select on; candidates, bounds, seed, threads and a folder for its work."""
    router = Fitted()
    told: list[Any] = []
    context = work.context(top="seeds = [7]")
    work.run(router, context, threads=1, progress=lambda *a: told.append(a))
    train, dev, given = router.seen[:3]

    names = dict(zip(context.benchmark.opaque_ids, context.benchmark.ids, strict=True))
    assert sorted(names[i] for i in train.queries.ids) == [
        f"{d}/{i}" for d in ("Apples", "Books", "Cats") for i in range(3)
    ]
    assert sorted(names[i] for i in dev.queries.ids) == DEV
    assert [sorted(names[i] for i in q.ids) for q in router.seen[3:]] == [DEV, TEST]
    assert [c.name for c in given.candidates] == list(handmade.MODELS)
    assert (given.bounds, given.seed, given.threads, given.device) == (context.evaluator.bounds, 7, 1, "cpu")
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
    rows = context.benchmark.unordered(context.split.dev)
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
    about, _ = read_cell(work.run(Fitted(more={"chosen": chosen})), {"dev": DEV, "test": TEST}, handmade.MODELS)

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


def test_a_finished_cell_is_not_fitted_again(work: Work) -> None:
    """Until it is forgotten, with its work."""
    context = work.context()
    (cell,) = context.cells()
    first, again, forced = Fitted(), Fitted(), Fitted()
    assert not context.finished(cell)
    folder = work.run(first, context)
    assert context.finished(cell)
    work.run(again, context)
    context.work_folder(cell).mkdir(parents=True)
    context.forget(cell)
    assert not context.finished(cell)
    assert not folder.exists()
    assert not context.work_folder(cell).exists()
    work.run(forced, context)

    assert (len(first.seen), len(again.seen), len(forced.seen)) == (5, 0, 5)


SWEPT = ESTIMATING + "sweep = { lambda = [0, 100, inf] }\n"


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
        about, routed = read_cell(folder, {"dev": DEV, "test": TEST}, handmade.MODELS)
        kept = routed["test"].estimate
        assert kept is not None
        lambda_ = {"0": 0.0, "100": 100.0, "inf": math.inf}[str(cell.point["lambda"]).removesuffix(".0")]
        expected = decide(kept, lambda_=lambda_)
        assert routed["test"].choices.tolist() == expected.tolist()
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
        _, routed = read_cell(work.run(router, context, cell), {"dev": DEV, "test": TEST}, handmade.MODELS)
        kept = routed["dev"].estimate
        assert kept is not None
        assert routed["dev"].choices.tolist() == decide(kept, budget=float(cell.point["budget"])).tolist()


def test_a_sweep_over_decisions_needs_estimates(work: Work) -> None:
    """A router that gives none is named."""
    context = work.context(SWEPT)
    with pytest.raises(PluginError, match="estimating"):
        work.run(Fitted(), context)


def test_what_cells_use_of_the_cache_is_told(work: Work) -> None:
    """The folders that a run needs, of each fit once, and no others."""
    context = work.context(SWEPT)
    cells = context.cells()
    uses = context.uses(cells)

    folders = {context.folder(c).name for c in cells}
    assert set(uses["cells"]) == set(uses["work"]) == folders | {cells[0].fit_key[:20]}
    assert len(uses["cells"]) == 4
    assert (uses["benchmarks"], uses["features"]) == (["handmade"], [])
    assert {f.name for f in (work.folder / "cache").iterdir()} >= {"benchmarks"}


def test_a_forgotten_point_forgets_the_fit_that_it_shares(work: Work) -> None:
    """Otherwise it would decide by old estimates."""
    context = work.context(SWEPT)
    cell = context.cells()[1]
    work.run(Fitted(more={"estimate": estimated}), context, cell)
    base = work.folder / "cache" / "cells" / cell.fit_key[:20]
    assert (base / "cell.json").is_file()
    context.forget(cell)
    assert not base.exists()


def test_a_saved_router_is_kept_with_its_cell(work: Work) -> None:
    """What it writes stands in a folder of its own."""
    saved = {"save": lambda folder: write_json(folder / "weights.json", [1])}
    assert read_json(work.run(Fitted(more=saved)) / "router" / "weights.json") == [1]


def test_a_cell_says_where_it_ran(work: Work) -> None:
    """The device that the router names, or the one that all have."""
    assert read_json(work.run(Fitted()) / "cell.json")["hardware"].endswith(", cpu")
    for device in ("cuda:0", {"name": "cuda:0", "memory": ""}):
        context = work.context()
        context.forget(context.cells()[0])
        about = read_json(work.run(Fitted(more={"device": device}), context) / "cell.json")
        assert about["hardware"].endswith(", cuda:0")
        assert about["threads"] == 1


def test_an_estimate_is_read_from_its_own_columns(tmp_path: Path) -> None:
    """By the models' names, whatever the order of the columns."""
    columns: dict[str, Any] = {"id": DEV, "choice": [0, 1, 2]}
    for first, kind in ((0, "cost"), (9, "p_correct")):
        for j, model in enumerate(handmade.MODELS):
            columns[f"{kind}:{model}"] = [1.0 + first + j, 2.0 + first + j, 3.0 + first + j]
    pq.write_table(pa.table(columns), tmp_path / "dev.parquet")
    pq.write_table(pa.table({"id": TEST, "choice": [0] * 6}), tmp_path / "test.parquet")
    write_json(tmp_path / "cell.json", {})
    _, routed = read_cell(tmp_path, {"dev": DEV, "test": TEST}, handmade.MODELS[::-1])

    assert routed["dev"].estimate is not None
    assert routed["dev"].estimate.cost.tolist() == [[3, 2, 1], [4, 3, 2], [5, 4, 3]]
    assert routed["dev"].estimate.p_correct[0].tolist() == [12, 11, 10]
    assert routed["test"].estimate is None


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        (None, "cpu"),
        ("", "cpu"),
        ("cuda:0", "cuda:0"),
        ({"device": "cuda", "name": "H100", "note": None}, "cuda, H100"),
        (np.array([object(), 1]), "1]"),
    ],
)
def test_where_a_router_ran_stands_in_its_result(device: object, shown: str) -> None:
    """The CPU by default; an array, which has no truth value, does not fail the cell."""
    assert hardware(device).endswith(shown)
