"""Metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from evaluations import evaluation
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.routing import CostBounds, Evaluation, OfMeans, Timing, Undefined
from vlrb_plugins.metrics import values
from vlrb_plugins.metrics.params import RankScoreParams
from vlrb_plugins.metrics.rank import rank_score


def test_the_plain_metrics_by_hand() -> None:
    """Accuracy, cost, gap and throughput of four samples that can be computed in the head."""
    timed = evaluation(timing=Timing(4, 0.5, 1.5))

    assert values.accuracy(timed) == 0.5
    assert values.average_cost(timed) == 2.5
    assert values.cost_per_10k(timed) == 25000
    assert values.oracle_gap_closed(timed) == 0.5
    assert values.requests_per_second(timed) == 2
    assert values.tokens_per_second(timed) == 20
    assert values.routing_ms(timed) == 125
    assert values.encoding_ms(timed) == 375


def test_what_has_no_value_says_why() -> None:
    """No timing, no gap: undefined with a reason, never 0 or NaN."""
    untimed = evaluation(quality=np.array([[1, 1], [0, 1], [1, 1], [0, 0]], dtype=bool))

    for metric in (values.requests_per_second, values.tokens_per_second, values.routing_ms, values.encoding_ms):
        assert isinstance(metric(untimed), Undefined)
    assert isinstance(values.oracle_gap_closed(untimed), Undefined)


def test_rank_score_equals_the_reference_on_regular_rows(shared: Callable[[str], Path]) -> None:
    """810 regular rows agree to 1e-9; the edge rows are undefined, each with a reason, or a free choice at the lower bound."""
    with np.load(shared("vectors/rank_score.npz")) as vectors:
        inputs, outputs, edge = vectors["inputs"], vectors["outputs"], int(vectors["n_edge"])

    for row, expected in zip(inputs[:-edge], outputs[:-edge], strict=True):
        assert rank_score(*map(float, row)) == pytest.approx(float(expected), abs=1e-9)
    for row in inputs[-edge:]:
        accuracy, cost, low, high, beta = map(float, row)
        value = rank_score(accuracy, cost, low, high, beta)
        if cost == 0 and isinstance(value, float):
            assert value == rank_score(accuracy, low, low, high, beta)
        else:
            assert isinstance(value, Undefined)
            assert value.reason


def test_a_free_choice_counts_as_the_cheapest_bound() -> None:
    """A mean cost of 0 under positive bounds moves to the lower bound, as any cost below it does."""
    at_bound = rank_score(0.5, 1e-4, 1e-4, 1e-2, 0.1)

    assert at_bound == pytest.approx(1.1 * 0.5 * 1 / (0.1 * 0.5 + 1))
    assert rank_score(0.5, 0.0, 1e-4, 1e-2, 0.1) == rank_score(0.5, 5e-5, 1e-4, 1e-2, 0.1) == at_bound


@pytest.mark.parametrize(
    ("low", "high", "cause"),
    [(0.0, 1.0, "costs nothing"), (0.5, 0.5, "equal"), (0.0, 0.0, "costs nothing"), (2.0, 1.0, "interval")],
)
def test_bounds_that_are_no_interval_name_the_cause(low: float, high: float, cause: str) -> None:
    """A free model, equal prices or one model leave the rank score undefined, and the reason says which it is."""
    value = rank_score(0.5, 0.5, low, high, 0.1)

    assert isinstance(value, Undefined)
    assert cause in value.reason


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_rank_score_is_a_number_from_0_to_1_or_undefined(
    a: float, c: float, low: float, high: float, beta: float
) -> None:
    """No input gives NaN, or a score outside [0, 1]."""
    value = rank_score(a, c, low, high, beta)

    if not isinstance(value, Undefined):
        assert 0 <= value <= 1 + 1e-9
        assert not math.isnan(value)


@given(st.floats(0.01, 1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_rank_score_falls_with_cost_and_rises_with_accuracy(a: float, one: float, two: float) -> None:
    """The score orders what it is made to order."""
    dear, cheap = max(one, two), min(one, two)
    at = {c: rank_score(a, c, 0.0005, 2.0, 0.1) for c in (dear, cheap)}
    less = rank_score(a / 2, cheap, 0.0005, 2.0, 0.1)

    assert not isinstance(at[cheap], Undefined)
    assert not isinstance(at[dear], Undefined)
    assert not isinstance(less, Undefined)
    assert at[cheap] >= at[dear] - 1e-12
    assert at[cheap] >= less


@pytest.mark.parametrize(
    ("right", "cost", "low", "high", "beta", "expected"),
    [
        (0.5, 2.0, 1.0, 4.0, 0.1, 0.5),  # K = 1/2: both are equal, and so is their mean
        (0.8, 1.0, 1.0, 4.0, 0.1, 1.1 * 0.8 / 1.08),  # K = 1
        (0.6, 1.0, 0.25, 16.0, 0.5, 1.5 * 0.6 * (4 / 6) / (0.5 * 0.6 + 4 / 6)),
        (1.0, 2.0, 1.0, 8.0, 2.0, 3 * (2 / 3) / (2 + 2 / 3)),
        (0.8, 0.5, 1.0, 4.0, 0.1, 1.1 * 0.8 / 1.08),  # below the bounds: as at the lower one
        (0.8, 9.0, 1.0, 4.0, 0.1, 0.0),  # above: K = 0
        (0.0, 2.0, 1.0, 4.0, 0.1, 0.0),
        (0.0, 4.0, 1.0, 4.0, 0.1, 0.0),  # both are 0
        (1.0, 1.0, 1.0, 4.0, 0.1, 1.0),
    ],
)
def test_rank_score_by_hand(right: float, cost: float, low: float, high: float, beta: float, expected: float) -> None:
    """(1 + beta) A K / (beta A + K), with K from logarithms of powers of 2."""
    assert rank_score(right, cost, low, high, beta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "given",
    [
        (0.5, 2.0, 4.0, 1.0, 0.1),
        (0.5, 2.0, 2.0, 2.0, 0.1),
        (0.5, 2.0, 0.0, 4.0, 0.1),
        (0.5, 2.0, 1.0, math.inf, 0.1),
        (0.5, 2.0, math.nan, 4.0, 0.1),
        (0.5, math.inf, 1.0, 4.0, 0.1),
        (0.5, math.nan, 1.0, 4.0, 0.1),
        (0.5, -1.0, 1.0, 4.0, 0.1),
        (1.5, 2.0, 1.0, 4.0, 0.1),
        (-0.5, 2.0, 1.0, 4.0, 0.1),
        (0.5, 2.0, 1.0, 4.0, 0.0),
        (0.5, 2.0, 1.0, 4.0, -1.0),
        (0.5, 2.0, 1.0, 4.0, math.inf),
        (0.5, 1e10, 1e10, math.nextafter(1e10, math.inf), 0.1),
    ],
)
def test_rank_score_is_undefined_outside_its_formula(given: tuple[float, ...]) -> None:
    """Undefined for bounds that are not an interval, costs without a logarithm, impossible accuracies and a beta of 0 or
    less or without a limit; bounds whose logarithms are equal are not an interval either.
    """
    value = rank_score(*given)
    assert isinstance(value, Undefined)
    assert value.reason


def test_metrics_look_at_the_chosen_models() -> None:
    """Each of its own matrix: right, score and cost of what was chosen, and of nothing else."""
    found = evaluation(
        score=np.array([[0.5, 0.0], [0.0, 0.25], [1.0, 0.125], [0.0, 1.0]]),
        cost=np.array([[4.0, 1.0], [4.0, 1.5], [4.0, 0.5], [2.0, 1.0]]),
        oracle_choices=np.array([0, 1, 0, 1]),
    )

    assert values.mean_score(found) == (0.5 + 0.25 + 0.125 + 0.0) / 4
    assert values.average_cost(found) == (4.0 + 1.5 + 0.5 + 2.0) / 4
    assert values.cost_per_10k(found) == 20000
    assert values.oracle_gap_closed(found) == (0.5 - 0.25) / 0.5
    assert values.make_rank_score(RankScoreParams(beta=1.0))(found) == pytest.approx(2 * 0.5 * 0.5 / (0.5 + 0.5))
    bounds = CostBounds(0.5, 8.0)
    assert values.make_rank_score(RankScoreParams(beta=3.0))(
        evaluation(bounds=bounds, choices=np.zeros(4, dtype=int))
    ) == pytest.approx(4 * 0.5 * 0.25 / (3 * 0.5 + 0.25))


def test_throughput_counts_routing_and_encoding() -> None:
    """Requests and mean input tokens per second of both; milliseconds of each; without time there is no speed."""
    tokens = np.array([[10, 20], [30, 40], [0, 2], [1, 1]])
    timed = evaluation(timing=Timing(8, 3.0, 1.0), input_tokens=tokens)

    assert values.requests_per_second(timed) == 2
    assert values.tokens_per_second(timed) == (15 + 35 + 1 + 1) / 4
    assert values.routing_ms(timed) == 375
    assert values.encoding_ms(timed) == 125
    instant = evaluation(timing=Timing(8, 0.0, 0.0))
    assert values.requests_per_second(instant) == values.tokens_per_second(instant) == values.NOT_ROUTED
    assert values.routing_ms(instant) == values.encoding_ms(instant) == 0
    tokens[2, 1] = -1
    assert isinstance(values.tokens_per_second(timed), Undefined)
    assert values.tokens_per_second(timed) != values.NOT_ROUTED


# --- functions of means -----------------------------------------------------------------------------------------------------

OF_MEANS: dict[str, Any] = {
    "accuracy": values.accuracy,
    "mean-score": values.mean_score,
    "average-cost": values.average_cost,
    "cost-per-10k": values.cost_per_10k,
    "rank-score": values.RankScore(0.1),
    "rank-score, beta 2": values.RankScore(2.0),
    "oracle-gap-closed": values.oracle_gap_closed,
}
COSTS = st.one_of(st.just(0.0), st.floats(1e-9, 1e3))


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    """Draw an evaluation of few samples and models, free models and bounds that are not an interval included."""
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 4))

    def matrix(elements: st.SearchStrategy[Any], kind: type) -> Any:
        return np.array(draw(st.lists(elements, min_size=n * k, max_size=n * k)), dtype=kind).reshape(n, k)

    bounds = st.sampled_from(
        [(1e-6, 1e-3), (1.0, 4.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (2.0, 1.0), (1e10, 1e10 + 2e-6)]
    )
    return evaluation(
        best=draw(st.integers(0, k - 1)),
        choices=np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))),
        quality=matrix(st.booleans(), bool),
        score=matrix(st.floats(0, 1), float),
        cost=matrix(COSTS, float),
        bounds=CostBounds(*draw(bounds)),
    )


@given(st.lists(evaluations(), min_size=1, max_size=3))
def test_means_give_what_the_rows_give(found: list[Evaluation]) -> None:
    """For every metric of means, one by one and stacked in a shape of their own; NaN exactly where a value is undefined."""
    bounds = found[0].bounds
    found = [attrs.evolve(e, bounds=bounds) for e in found]
    for name, metric in OF_MEANS.items():
        assert isinstance(metric, OfMeans)
        columns = [metric.columns(e) for e in found]
        assert all(
            c.dtype == np.float64 and c.shape == e.choices.shape
            for e, own in zip(found, columns, strict=True)
            for c in own.values()
        )
        means = {key: np.array([[own[key].mean() for own in columns]] * 2) for key in columns[0]}
        expected = [math.nan if isinstance(value := metric(e), Undefined) else value for e in found]

        stacked = metric.of_means(means, bounds)
        assert stacked.shape == (2, len(found)), name
        np.testing.assert_allclose(stacked, [expected] * 2, rtol=1e-12, atol=1e-12, err_msg=name)
        alone = metric.of_means({key: mean[0, 0] for key, mean in means.items()}, bounds)
        np.testing.assert_allclose(alone, expected[0], rtol=1e-12, atol=1e-12, err_msg=name)


def test_columns_of_one_name_are_the_same() -> None:
    """Whatever the metric, so that a column is drawn once for all of them."""
    one = evaluation(score=np.arange(8.0).reshape(4, 2))
    seen: dict[str, Any] = {}
    for metric in OF_MEANS.values():
        for name, column in metric.columns(one).items():
            assert np.array_equal(seen.setdefault(name, column), column)

    assert {name: column.tolist() for name, column in seen.items()} == {
        "correct": [1, 1, 0, 0],
        "score": [0, 3, 5, 6],
        "cost": [4, 1, 1, 4],
        "best-single-correct": [0, 1, 0, 0],
        "oracle-correct": [1, 1, 1, 0],
    }


def test_means_off_by_rounding_are_what_they_stand_for() -> None:
    """Weights that sum to nearly 1 make an accuracy of 1 + 2e-16 and a gap of 1e-16: these are 1 and no gap."""
    more = {"correct": np.array([1 + 2**-52]), "cost": np.array([1.0])}
    gap = {"best-single-correct": np.array([0.3]), "oracle-correct": np.array([0.1 + 0.2]), "correct": np.array([0.2])}

    assert values.RankScore(0.1).of_means(more, CostBounds(1.0, 4.0)) == pytest.approx(1)
    assert np.isnan(values.oracle_gap_closed.of_means(gap, CostBounds(1.0, 4.0))).all()


def test_no_rank_score_of_impossible_costs() -> None:
    """Means that no cost can have are NaN, beside others that have a value."""
    means = {"correct": np.full(4, 0.5), "cost": np.array([-1.0, math.inf, math.nan, 2.0])}

    assert np.isnan(values.RankScore(0.1).of_means(means, CostBounds(1.0, 4.0))).tolist() == [True, True, True, False]
