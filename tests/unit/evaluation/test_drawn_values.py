"""Metrics in every draw: from means of columns, or on the resampled rows, with the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import pytest
import small_metrics as small
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.frozen import Array
from vlrb.api.routing import CostBounds, Estimate, Evaluation, Timing, Undefined
from vlrb.errors import DataError, StorageError
from vlrb.evaluation.bootstrap import OVERALL, Draws, strata_of
from vlrb.evaluation.drawn_values import Drawn, MeasuredMetric, Row, TestSet, drawn_values, take_rows

TIMED = Timing(requests=5, route_seconds=1.0, encode_seconds=1.0)


def values(
    tests: list[TestSet], rows: list[Row], *metrics: MeasuredMetric, draws: int = 20
) -> dict[tuple[str, str], Drawn]:
    """Return (scope, metric) -> values in draws."""
    numbers, strata = strata_of([t.groups for t in tests], [t.datasets for t in tests])
    groups = [np.searchsorted(numbers, t.groups) for t in tests]
    return {(s, m.name): d for s, m, d in drawn_values(tests, rows, metrics, groups, Draws(strata, draws, 0))}


def by_rows(measured: MeasuredMetric) -> MeasuredMetric:
    """Return the same metric without the methods of a metric of means."""
    return attrs.evolve(measured, metric=lambda e: measured.metric(e))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
def test_means_of_columns_give_what_resampled_rows_give(
    seed: int, samples: int, models: int, sets: int, seeds: int
) -> None:
    """Any metric of means has the same values, and none in the same draws, as when it is computed again on each draw's rows."""
    rng = np.random.default_rng(seed)
    tests, evaluations = [], []
    for _ in range(sets):
        outcomes = small.Outcomes.random(rng, samples, models)
        datasets = rng.choice(["a", "b", "long name"], samples)
        tests.append(small.make_test_set(rng.integers(samples, size=samples), datasets))
        evaluations.append([outcomes.evaluation(rng.integers(models, size=samples)) for _ in range(seeds)])
    rows = [Row("r", True, evaluations)]
    for metric in small.measured():
        fast, slow = (values(tests, rows, m)[OVERALL, metric.name] for m in (metric, by_rows(metric)))
        if 0 not in slow.undefined:
            assert fast.values == pytest.approx(slow.values, rel=1e-12, abs=1e-15, nan_ok=True)
        assert {r: u.reason for r, u in fast.undefined.items()} == {r: u.reason for r, u in slow.undefined.items()}


def test_scopes_have_the_values_of_their_own_rows() -> None:
    """Per dataset, group or any part: the metric of the resampled rows in it; a metric that is not per subset, overall only."""
    rng = np.random.default_rng(1)
    outcomes, groups = small.Outcomes.random(rng, 40, 4), rng.integers(12, size=40)
    datasets = np.where(groups < 6, "a", "b")
    test = small.make_test_set(groups, datasets, **{"dataset/a": datasets == "a", "hard": np.arange(40) % 4 == 0})
    evaluation = outcomes.evaluation(rng.integers(4, size=40))
    once = MeasuredMetric("once", small.ACCURACY, per_subset=False)
    rows_only = by_rows(MeasuredMetric("rows", small.ACCURACY))
    found = values([test], [Row("r", True, [[evaluation]])], *small.measured(), once, rows_only)
    counts = Draws(strata_of([groups], [datasets])[1], 20, 0).counts()[np.searchsorted(np.unique(groups), groups)]

    assert {s for s, m in found if m == "once"} == {OVERALL}
    assert {s for s, m in found if m == "rows"} == {OVERALL}
    assert {s for s, m in found if m == "cost"} == {OVERALL, "dataset/a", "hard"}
    for scope, member in test.scopes.items():
        for metric in small.measured():
            drawn = found[scope, metric.name].values[0]
            for draw in range(21):
                rows = np.repeat(np.arange(40), counts[:, draw] * member)
                expected: Any = metric.metric(take_rows(evaluation, rows, {})) if rows.size else Undefined("no row")
                assert drawn[draw] == pytest.approx(
                    np.nan if isinstance(expected, Undefined) else expected, nan_ok=True
                )


def test_a_draw_without_a_row_of_the_scope_has_no_value() -> None:
    """Where no group of a scope is drawn, its metrics are undefined: no other number stands for them."""
    test = small.make_test_set(range(4), scope=np.array([True, False, False, False]))
    always = small.OfColumns(lambda e: {"right": small.right(e)}, lambda m, b: np.ones_like(m["right"]))
    found = values([test], [small.binary_row("r", [1, 0, 1, 0])], MeasuredMetric("always", always), draws=200)
    empty = Draws(np.full(4, "d"), 200, 0).counts()[0] == 0

    assert np.isnan(found["scope", "always"].values[0][empty]).all()
    assert (found["scope", "always"].values[0][~empty] == 1).all()
    assert 30 < empty.sum() < 100


def test_seeds_and_test_sets_are_averaged_in_each_draw() -> None:
    """The value of a draw: the mean over test sets of the mean over seeds; a group counts alike in all test sets."""
    tests = [small.make_test_set([0, 1, 2]), small.make_test_set([2, 3])]
    first, second = small.binary_row("r", [1, 0, 0], [1, 1, 0]), small.binary_row("r", [1, 0])
    row = Row("r", True, [*first.evaluations, *second.evaluations])
    found = values(tests, [row], MeasuredMetric("accuracy", small.ACCURACY))[OVERALL, "accuracy"].values[0]
    counts = Draws(np.full(4, "d"), 20, 0).counts().astype(float)
    for draw, (a, b, c, d) in enumerate(counts.T):
        one = np.mean([a / (a + b + c), (a + b) / (a + b + c)]) if a + b + c else np.nan
        two = c / (c + d) if c + d else np.nan
        assert found[draw] == pytest.approx((one + two) / 2, rel=1e-12, nan_ok=True)
    assert found[0] == pytest.approx((0.5 + 0.5) / 2)


def test_a_test_set_without_the_scope_is_left_out_of_its_mean() -> None:
    """A dataset that one of several splits has no test rows of is measured on the others."""
    tests = [small.make_test_set([0, 1], scope=np.array([True, True])), small.make_test_set([0, 1])]
    evaluations = [*small.binary_row("r", [1, 1]).evaluations, *small.binary_row("r", [0, 0]).evaluations]
    found = values(tests, [Row("r", True, evaluations)], MeasuredMetric("accuracy", small.ACCURACY))

    assert (found["scope", "accuracy"].values == 1).all()
    assert (found[OVERALL, "accuracy"].values == 0.5).all()


def test_estimates_and_shared_matrices_follow_their_rows() -> None:
    """A metric that looks at anything sees the same rows everywhere, the reference points' choices and accuracies included."""
    rng = np.random.default_rng(2)
    outcomes = small.Outcomes.random(rng, 9, 3)
    estimate = Estimate(outcomes.quality * 1.0, outcomes.cost)
    tokens = rng.integers(100, size=(2, 9, 3))
    more = {"input_tokens": tokens[0], "output_tokens": tokens[1], "estimate": estimate, "timing": TIMED}
    evaluation = outcomes.evaluation(rng.integers(3, size=9), **more)
    index = np.array([4, 4, 0, 8])
    taken = take_rows(evaluation, index, {})

    for name in (
        "choices",
        "quality",
        "score",
        "cost",
        "input_tokens",
        "output_tokens",
        "best_single_choices",
        "oracle_choices",
    ):
        assert np.array_equal(getattr(taken, name), getattr(evaluation, name)[index])
    assert taken.estimate is not None
    assert np.array_equal(taken.estimate.p_correct, estimate.p_correct[index])
    assert np.array_equal(taken.estimate.cost, estimate.cost[index])
    assert taken.best_single == taken.quality[np.arange(4), taken.best_single_choices].mean()
    assert taken.oracle == taken.quality[np.arange(4), taken.oracle_choices].mean()
    assert taken.timing is None


def throughput(evaluation: Evaluation) -> float | Undefined:
    return 5 / evaluation.timing.route_seconds if evaluation.timing else Undefined("no router was timed")


def test_time_does_not_depend_on_draws() -> None:
    """A metric of time has no interval: the reason says so for a timed router, and what the metric says for others."""
    row = small.binary_row("timed", [1, 0])
    timed = Row("timed", True, [[attrs.evolve(row.evaluations[0][0], timing=TIMED)]])
    rows = [timed, small.binary_row("other", [1, 0])]
    drawn = values([small.make_test_set([0, 1])], rows, MeasuredMetric("speed", throughput))[OVERALL, "speed"]

    assert np.isnan(drawn.values).all()
    assert "does not depend on the samples" in drawn.undefined[0].reason
    assert drawn.undefined[1].reason == "no router was timed"


class Broken(small.OfColumns):
    """A metric of means with what a test gives it in place of its results."""


def broken(columns: Any, result: Any = None) -> MeasuredMetric:
    def of_means(means: Mapping[str, Array], bounds: CostBounds) -> Any:
        return means["x"] if result is None else result

    return MeasuredMetric("m", Broken(lambda e: {"x": columns}, of_means))


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (broken(np.ones(3)), "column 'x' of metric 'm' must be 2 finite numbers, not float64 (3,)"),
        (broken(np.array([1, np.nan])), "column 'x' of metric 'm' must be 2 finite numbers, not float64 (2,)"),
        (broken("many"), "column 'x' of metric 'm' must be 2 finite numbers, not <U4 ()"),
        (broken(np.ones(2), result=0.5), "must be numbers of shape (21,), not float64 ()"),
        (broken(np.ones(2), result="good"), "must be numbers of shape (21,), not <U4 ()"),
        (MeasuredMetric("m", lambda e: 1 / 0), "ZeroDivisionError: division by zero"),
        (MeasuredMetric("m", lambda e: "good"), "returned 'good'"),
    ],
)
def test_a_metric_that_fails_is_undefined(metric: MeasuredMetric, reason: str) -> None:
    """What a plugin gets wrong is a reason in the table; the other metrics have their values."""
    found = values([small.make_test_set([0, 1])], [small.binary_row("r", [1, 0])], metric, *small.measured()[:1])

    failed = found[OVERALL, "m"].undefined[0]
    assert failed.kind == "failed"
    assert reason in failed.reason
    assert np.isfinite(found[OVERALL, "accuracy"].values).all()


def test_a_metric_that_fails_in_one_draw_only_has_failed() -> None:
    """An error on some rows is not taken for a draw without a value."""

    def picky(evaluation: Evaluation) -> float:
        if (evaluation.choices == 0).all():
            raise DataError("no right answer", fix="none")
        return 1.0

    drawn = values(
        [small.make_test_set(range(3))], [small.binary_row("r", [1, 0, 0])], MeasuredMetric("m", picky), draws=200
    )

    assert drawn[OVERALL, "m"].undefined[0] == Undefined("the metric failed: no right answer", kind="failed")


def test_means_that_give_another_quantity_are_a_failure() -> None:
    """Else the interval would be of something else than the value beside it; rounding is no difference."""

    class Other(small.OfColumns):
        def __call__(self, evaluation: Evaluation) -> Any:
            return 2 * float(super().__call__(evaluation)) + 1e-9  # type: ignore[arg-type]

    rows = [small.binary_row("a", [1, 0, 1, 1]), small.binary_row("b", [0, 0, 1, 1])]
    test = TestSet(np.arange(4), np.array(["d"] * 4), {}, small.BOUNDS)
    draws = Draws(np.array(["d"] * 4), 20, 0)
    other = MeasuredMetric("other", Other(small.ACCURACY.make, small.ACCURACY.function))
    same = MeasuredMetric("same", small.ACCURACY)
    found = {m.name: d for _, m, d in drawn_values([test], rows, [other, same], [np.arange(4)], draws)}

    assert {u.kind for u in found["other"].undefined.values()} == {"failed"}
    assert "of_means gives 0.75 on the samples, where the metric is 1.5" in found["other"].undefined[0].reason
    assert found["same"].undefined == {}


def test_matrices_that_are_made_anew_are_not_mixed_up() -> None:
    """What was taken of an array is remembered by its identity, which another array has once the first is gone."""
    seen = attrs.evolve(
        small.binary_row("r", [1, 0, 1]).evaluations[0][0],
        score=lambda: np.full((3, 2), 1.0),
        input_tokens=lambda: np.full((3, 2), 7),
        output_tokens=lambda: np.full((3, 2), 9),
    )
    taken = take_rows(seen, np.array([0, 0, 2]), {})

    for _ in range(3):
        assert [m.mean() for m in (taken.score, taken.input_tokens, taken.output_tokens)] == [1.0, 7.0, 9.0]


def test_a_full_disk_is_not_the_metrics_failure() -> None:
    """Errors of storage end the run, as everywhere."""

    def full(evaluation: Evaluation) -> float:
        raise StorageError("disk full", fix="free some space")

    with pytest.raises(StorageError):
        values([small.make_test_set([0, 1])], [small.binary_row("r", [1, 0])], MeasuredMetric("m", full))


def test_metrics_cannot_change_each_others_columns() -> None:
    """The means that a metric gets are read-only, as they are shared."""

    def spoil(means: Mapping[str, Array], bounds: CostBounds) -> Array:
        means["right"][:] = 7
        return means["right"]

    metric = MeasuredMetric("m", small.OfColumns(lambda e: {"right": small.right(e)}, spoil))
    found = values([small.make_test_set([0, 1])], [small.binary_row("r", [1, 0])], metric, *small.measured()[:1])

    assert found[OVERALL, "m"].undefined[0].kind == "failed"
    assert found[OVERALL, "accuracy"].values.max() <= 1
