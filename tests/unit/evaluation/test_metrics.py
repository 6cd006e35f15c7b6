"""Metrics over choices: of which rows they are, and what they are measured against.

The samples and their figures are those of the handmade benchmark: on test, large, middle and small are right as in
100, 110 (Apples), 101, 001 (Books), 100, 000 (Cats).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import handmade
import numpy as np
import pytest

from vlrb.api.components import MetricSpec, NoParams
from vlrb.api.routing import CostBounds, Estimate, Evaluation, MetricValue, Timing, Undefined
from vlrb.errors import PluginError
from vlrb.evaluation.metrics import Chosen, EvaluatedRows, Evaluator, cost_bounds
from vlrb.evaluation.on_demand import OnDemand
from vlrb.evaluation.splits import Split
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered
from vlrb_plugins.metrics import values

CHOICES = np.array([0, 2, 2, 2, 0, 1])
"""On test: right, wrong, right, right, right, wrong."""


def metric(function: Callable[[Evaluation], Any], name: str, **more: Any) -> ConfiguredComponent:
    """Return a metric as an experiment chooses it."""
    spec = MetricSpec(name=name, summary="for tests", factory=lambda _: function, **more)
    return ConfiguredComponent("metric", Registered(spec, Plugin("tests", "tests", "1", "here")), NoParams())


ACCURACY, COST = metric(values.accuracy, "accuracy"), metric(values.average_cost, "average-cost")


@attrs.frozen
class Case:
    """An evaluator of the handmade benchmark with its split."""

    evaluator: Evaluator
    split: Split
    bounds: CostBounds | None = None

    @property
    def errors(self) -> list[PluginError]:
        return self.evaluator.errors

    def on(self, name: str) -> EvaluatedRows:
        """Return the rows of dev or test."""
        rows = EvaluatedRows.of(self.evaluator.benchmark, [self.split], name, "train")
        return attrs.evolve(rows, bounds=self.bounds or rows.bounds)

    def scores(self, name: str, choices: Any, timing: Timing | None = None) -> Any:
        (found,) = self.evaluator.scores(self.on(name), [Chosen(np.asarray(choices), timing)])
        return found

    def select(self, rows: list[int], choices: list[int]) -> MetricValue:
        """Return the selection metric on any rows."""
        on = EvaluatedRows(self.evaluator.benchmark, np.array(rows), np.full(len(rows), 1), CostBounds(1, 2))
        return self.evaluator.select(self.evaluator.evaluation(on, Chosen(np.array(choices))))


def evaluator(folder: Path, *metrics: ConfiguredComponent, bounds: CostBounds | None = None) -> Case:
    made = handmade.make(folder)
    chosen = metrics or (ACCURACY, COST, metric(values.oracle_gap_closed, "oracle-gap-closed"))
    return Case(Evaluator(made, chosen, chosen[0]), handmade.split_of(made), bounds)


def of(scores: Any, name: str) -> dict[str, MetricValue]:
    """Return scope -> value of a metric."""
    return {scope: found[name] for scope, found in scores.items()}


def test_every_scope_has_the_figures_of_its_own_samples(tmp_path: Path) -> None:
    """Overall, of each task group and of each dataset: accuracy and cost over the test samples in it and no others."""
    scores = evaluator(tmp_path).scores("test", CHOICES)

    assert of(scores, "accuracy") == pytest.approx(
        {
            "overall": 4 / 6,
            "group/general": 2 / 4,
            "group/stem": 1,
            "dataset/apples": 1 / 2,
            "dataset/books": 1,
            "dataset/cats": 1 / 2,
        }
    )
    assert of(scores, "average-cost") == pytest.approx(
        {
            "overall": (8 + 2 + 2 + 2 + 8 + 1) / 6e3 + 63e-5 / 6,
            "group/general": (8 + 2 + 8 + 1) / 4e3 + 42e-5 / 4,
            "group/stem": (2 + 2) / 2e3 + 21e-5 / 2,
            "dataset/apples": (8 + 2) / 2e3 + 9e-5 / 2,
            "dataset/books": (2 + 2) / 2e3 + 21e-5 / 2,
            "dataset/cats": (8 + 1) / 2e3 + 33e-5 / 2,
        }
    )


def test_dev_and_test_have_their_own_rows(tmp_path: Path) -> None:
    """On dev, large is right on all samples, middle on none and small on one of three."""
    made = evaluator(tmp_path)
    for model, right in enumerate((1, 0, 1 / 3)):
        assert made.scores("dev", np.full(3, model))["overall"]["accuracy"] == pytest.approx(right)
    assert of(made.scores("dev", np.full(3, 2)), "accuracy") == pytest.approx(
        {
            "overall": 1 / 3,
            "group/general": 0,
            "group/stem": 1,
            "dataset/apples": 0,
            "dataset/books": 1,
            "dataset/cats": 0,
        }
    )


def test_the_best_single_model_is_the_best_on_train(tmp_path: Path) -> None:
    """Middle is best on train and right on 1 of 6 test samples; large would be right on 4, and on most samples of all."""
    made = evaluator(tmp_path)

    assert of(made.scores("test", CHOICES), "oracle-gap-closed") == pytest.approx(
        {
            "overall": (4 / 6 - 1 / 6) / (5 / 6 - 1 / 6),
            "group/general": (2 / 4 - 1 / 4) / (3 / 4 - 1 / 4),
            "group/stem": 1,
            "dataset/apples": 0,
            "dataset/books": 1,
            "dataset/cats": 1,
        }
    )


def test_a_metric_sees_all_that_is_known_of_its_rows(tmp_path: Path) -> None:
    """Every matrix is of the rows evaluated, in their order, read-only; best single, Oracle and bounds stand beside them."""
    seen: list[Evaluation] = []
    bounds = CostBounds(0.25, 0.5, "all")
    made = evaluator(tmp_path, metric(lambda e: float(len(seen.append(e) or seen)), "see"), bounds=bounds)
    timing = Timing(6, 1.0, 2.0)
    made.scores("test", CHOICES, timing)

    rows = {"overall": [4, 5, 10, 11, 16, 17], "general": [4, 5, 16, 17], "stem": [10, 11]}
    for found, (name, index) in zip(seen, rows.items(), strict=False):
        for matrix in ("quality", "score", "cost", "input_tokens", "output_tokens"):
            expected = getattr(made.evaluator.benchmark, matrix)[index]
            assert np.array_equal(getattr(found, matrix), expected), (name, matrix)
            assert not getattr(found, matrix).flags.writeable or matrix not in ("quality", "cost")
        assert found.bounds == bounds
        assert found.timing == (timing if name == "overall" else None)
    assert [e.choices.tolist() for e in seen[:3]] == [[0, 2, 2, 2, 0, 1], [0, 2, 0, 1], [2, 2]]
    assert [e.best_single for e in seen[:3]] == pytest.approx([1 / 6, 1 / 4, 0])
    assert [e.oracle for e in seen[:3]] == pytest.approx([5 / 6, 3 / 4, 1])


def test_a_metric_of_the_whole_split_has_no_value_in_its_parts(tmp_path: Path) -> None:
    """``per_subset = False`` is for what is measured once, such as throughput."""
    made = evaluator(tmp_path, ACCURACY, metric(values.requests_per_second, "requests-per-second", per_subset=False))
    scores = made.scores("test", CHOICES, Timing(6, 1.0, 2.0))

    assert scores["overall"]["requests-per-second"] == 2
    assert {tuple(found) for scope, found in scores.items() if scope != "overall"} == {("accuracy",)}


def test_a_scope_without_samples_is_left_out(tmp_path: Path) -> None:
    """A dataset that has no sample on a split has no figures there, rather than some that stand for nothing."""
    made = evaluator(tmp_path, ACCURACY)
    fewer = attrs.evolve(made, split=attrs.evolve(made.split, test=np.array([4, 10])))
    found = fewer.scores("test", np.array([0, 0]))

    assert of(found, "accuracy") == {
        "overall": 1,
        "group/general": 1,
        "group/stem": 1,
        "dataset/apples": 1,
        "dataset/books": 1,
    }


def test_the_selection_metric_is_taken_on_the_rows_asked_for(tmp_path: Path) -> None:
    """In whatever order the rows stand: choices belong to rows, not to places."""
    made = evaluator(tmp_path)

    assert made.select([4, 10, 17], [0, 2, 0]) == pytest.approx(2 / 3)
    assert made.select([17, 10, 4], [0, 2, 0]) == pytest.approx(2 / 3)
    assert made.select([17, 10, 5], [1, 1, 2]) == 0


def test_the_selection_metric_need_not_be_the_first(tmp_path: Path) -> None:
    """What selects is what the experiment names."""
    made = handmade.make(tmp_path)
    metrics = [ACCURACY, COST]
    found = Case(Evaluator(made, metrics, metrics[1]), handmade.split_of(made))

    assert found.select([4], [0]) == pytest.approx(8e-3 + 4e-5)


def test_cost_bounds_are_those_of_the_rows_that_the_experiment_names(tmp_path: Path) -> None:
    """Small is cheapest on train and middle on test, so that train and all rows give other bounds at both ends."""
    made = handmade.make(tmp_path)
    split = handmade.split_of(made)

    for rows, low, high in (
        ("train", 1e-3 + 7e-5, 4e-3 + 7e-5),
        ("all", 27e-3 / 18 + 8.5e-5, 96e-3 / 18 + 8.5e-5),
    ):
        found = cost_bounds(made, [split.train], rows)
        assert (found.low, found.high) == pytest.approx((low, high))
        assert found.rows == rows


@pytest.mark.parametrize("value", [None, "0.5", True, float("nan"), np.array([1.0]), np.float64("nan"), np.True_])
def test_a_metric_that_returns_no_number_is_undefined_and_blamed_once(tmp_path: Path, value: Any) -> None:
    """Whatever it returns does not become a number; its plugin is named once, not once for every scope."""
    made = evaluator(tmp_path, metric(lambda _: value, "odd"), ACCURACY)
    scores = made.scores("test", CHOICES)

    assert all(isinstance(v, Undefined) for v in of(scores, "odd").values())
    assert scores["overall"]["accuracy"] == pytest.approx(4 / 6)
    assert len(made.errors) == 1
    assert "'tests/odd'" in str(made.errors[0])


def test_matrices_that_no_metric_looks_at_are_not_taken(tmp_path: Path) -> None:
    """Scores and tokens of a large benchmark are copied for a metric that asks for them, once for all scopes and rows."""

    def mean_tokens(evaluation: Evaluation) -> float:
        return float(evaluation.input_tokens.mean())

    made = evaluator(tmp_path, ACCURACY, COST, metric(values.oracle_gap_closed, "oracle-gap-closed"))
    on = made.on("test")
    made.evaluator.scores(on, [Chosen(CHOICES)])
    assert sorted(name for name, matrix in on.matrices.items() if matrix.is_made) == ["cost", "quality"]

    asking = evaluator(tmp_path / "asking", metric(mean_tokens, "mean-tokens", per_subset=False))
    on = asking.on("test")
    both = asking.evaluator.scores(on, [Chosen(CHOICES), Chosen(CHOICES)])
    assert sorted(name for name, matrix in on.matrices.items() if matrix.is_made) == ["cost", "input_tokens", "quality"]
    tokens = on.matrices["input_tokens"]()
    assert [scores["overall"]["mean-tokens"] for scores in both] == [tokens.mean()] * 2
    assert on.matrices["input_tokens"]() is tokens


def test_a_scope_of_all_rows_is_not_taken_again(tmp_path: Path) -> None:
    """It is evaluated on the same matrices, without the time, which is that of all scopes together."""
    made = evaluator(tmp_path, ACCURACY)
    on = made.on("test")
    made.evaluator.scopes = {"group/all": np.ones(18, dtype=bool), "group/half": np.arange(18) < 9}
    estimate = OnDemand(lambda: Estimate(np.full((6, 3), 0.5), np.ones((6, 3))))
    seen: list[Evaluation] = []
    made.evaluator._metrics = [(ACCURACY, lambda e: seen.append(e) or 0.5)]

    made.evaluator.scores(on, [Chosen(CHOICES, Timing(6, 1.0, 1.0), estimate)])

    overall, whole, half = seen
    assert whole.quality is overall.quality
    assert [e.timing for e in seen] == [Timing(6, 1.0, 1.0), None, None]
    assert len(half.quality) < 6
    assert not estimate.is_made
    assert all(e.has_estimate for e in seen)
    assert not estimate.is_made
    assert half.estimate is not None
    assert half.estimate.cost.shape == half.cost.shape
    assert sorted(on.parts) == ["group/half"]


def test_means_of_a_split_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model's mean cost and right answers on some rows are those of the matrices, and computed once."""
    made = handmade.make(tmp_path)
    for rows in (np.array([3, 1, 7]), np.array([1, 3]), None):
        own = slice(None) if rows is None else rows
        cost, right = made.mean_cost_and_right(rows)
        assert np.array_equal(cost, made.cost[own].mean(axis=0))
        assert np.array_equal(right, made.quality[own].sum(axis=0))
        assert made.mean_cost_and_right(rows)[0] is cost


def test_another_process_gets_the_matrices_that_are_taken_on_demand(tmp_path: Path) -> None:
    """It has no rows of the benchmark to take them from; what several evaluations share is sent once."""
    made = evaluator(tmp_path, ACCURACY)
    on = made.on("test")
    estimate = OnDemand(lambda: Estimate(np.full((6, 3), 0.5), np.ones((6, 3))))
    pair = [made.evaluator.evaluation(on, Chosen(c, estimate=estimate)) for c in (CHOICES, CHOICES[::-1])]

    one, other = pickle.loads(pickle.dumps(pair))

    for name in ("score", "input_tokens", "output_tokens"):
        assert np.array_equal(getattr(one, name), on.matrices[name]())
        assert getattr(one, name) is getattr(other, name)
        assert np.array_equal(getattr(attrs.evolve(one, timing=None), name), on.matrices[name]())
    assert one.has_estimate
    assert one.estimate is other.estimate
    assert one.estimate.p_correct.mean() == 0.5


def test_a_metric_that_raises_is_undefined_and_blamed(tmp_path: Path) -> None:
    """One metric's error costs no other metric its value."""

    def broken(_: Evaluation) -> float:
        raise ZeroDivisionError("by nothing")

    made = evaluator(tmp_path, metric(broken, "broken"), ACCURACY)
    scores = made.scores("dev", np.zeros(3, dtype=int))

    assert isinstance(scores["overall"]["broken"], Undefined)
    assert scores["overall"]["accuracy"] == 1
    assert [type(e) for e in made.errors] == [PluginError]


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(2), float("inf"), Undefined("no reason")])
def test_a_number_or_a_reason_is_taken_as_it_is(tmp_path: Path, value: Any) -> None:
    """Python's and numpy's numbers come back as floats, and an Undefined with its reason."""
    made = evaluator(tmp_path, metric(lambda _: value, "fine"))
    found = made.scores("dev", np.zeros(3, dtype=int))["overall"]["fine"]

    assert found == value
    assert isinstance(found, float | Undefined)
    assert made.errors == []
