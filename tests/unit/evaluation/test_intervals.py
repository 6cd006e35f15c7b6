"""Intervals, paired differences and ranks: against plain loops and hand-computed numbers, and where they are undefined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
import small_metrics as small
from scipy.stats import binomtest

from vlrb.api.frozen import Array
from vlrb.api.routing import Undefined
from vlrb.api.statistics import Difference, Interval, Statistics
from vlrb.evaluation import bootstrap
from vlrb.evaluation.bootstrap import Draws, strata_of
from vlrb.evaluation.drawn_values import MeasuredMetric, Row, TestSet
from vlrb.evaluation.intervals import (
    CONSTANT,
    EQUAL,
    NO_DRAW,
    NOT_ROUTER,
    ONE_GROUP,
    SAME_RIGHT,
    SINGLE_GROUPS,
    Settings,
    bootstrap_p,
    holm,
    percentile_bounds,
    rank_ranges,
    table_statistics,
)

ACCURACY = MeasuredMetric("accuracy", small.ACCURACY)
PAIRED = MeasuredMetric("accuracy", small.ACCURACY, paired_binary=True)
SETTINGS = Settings(("base",), "accuracy", draws=100, seed=4)


def compare(rows: Sequence[Row], groups: Any = None, metric: MeasuredMetric = ACCURACY, **changes: Any) -> Statistics:
    """Return the statistics of rows on one test set; every sample is a group of its own unless said otherwise."""
    samples = rows[0].evaluations[0][0].choices.size
    test = small.make_test_set(np.arange(samples) if groups is None else groups)
    return table_statistics([test], rows, [metric], attrs.evolve(SETTINGS, **changes))


def random_table(rng: np.random.Generator, sets: int, seeds: int) -> tuple[list[TestSet], list[Row]]:
    """Return test sets that share groups, some across datasets, and a baseline and two routers of several seeds."""
    tests, evaluations = [], {name: [] for name in ("base", "b", "c")}  # type: ignore[var-annotated]
    for _ in range(sets):
        outcomes, groups = small.Outcomes.random(rng, 50, 5), rng.integers(20, size=50)
        datasets = np.where(rng.random(50) < 0.1, "y", np.where(groups < 12, "x", "y"))
        tests.append(small.make_test_set(groups, datasets, **{"dataset/x": datasets == "x"}))
        for name, found in evaluations.items():
            several = 1 if name == "base" else seeds
            found.append([outcomes.evaluation(rng.integers(5, size=50)) for _ in range(several)])
    return tests, [Row(name, True, e) for name, e in evaluations.items()]


def looped_values(tests: list[TestSet], row: Row, metric: MeasuredMetric, draws: int, seed: int) -> list[float]:
    """Return the value of a row in every draw, from rows that a loop repeats."""
    numbers, strata = strata_of([t.groups for t in tests], [t.datasets for t in tests])
    counts = Draws(strata, draws, seed).counts()
    values = []
    for draw in range(1, draws + 1):
        count = dict(zip(numbers.tolist(), counts[:, draw].tolist(), strict=True))
        of_tests = []
        for test, seeds in zip(tests, row.evaluations, strict=True):
            index = [i for i, group in enumerate(test.groups.tolist()) for _ in range(count[group])]
            of_seeds = []
            for e in seeds:
                parts = {
                    n: getattr(e, n)[index]
                    for n in ("quality", "score", "cost", "best_single_choices", "oracle_choices")
                }
                of_seeds.append(metric.metric(attrs.evolve(e, choices=e.choices[index], **parts)))
            of_tests.append(sum(of_seeds) / len(of_seeds))
        values.append(sum(of_tests) / len(of_tests))
    return values


@pytest.mark.parametrize(("sets", "seeds"), [(1, 1), (1, 3), (3, 2)])
def test_intervals_and_differences_equal_a_plain_loop(sets: int, seeds: int) -> None:
    """Every interval, paired difference and p-value, to 1e-12, from rows repeated one by one in Python."""
    tests, rows = random_table(np.random.default_rng(0), sets, seeds)
    found = table_statistics(tests, rows, small.measured(), attrs.evolve(SETTINGS, pairs=(("b", "c"),)))
    for metric in small.measured():
        loop = {r.name: np.array(looped_values(tests, r, metric, 100, 4)) for r in rows}
        for row in rows:
            low, high = np.quantile(loop[row.name], [0.025, 0.975])
            interval = found.rows[row.name].intervals["overall"][metric.name]
            assert isinstance(interval, Interval)
            assert (interval.low, interval.high, interval.draws) == pytest.approx(
                (low, high, 100), rel=1e-12, abs=1e-12
            )
        for a, b in (("b", "base"), ("c", "base"), ("b", "c")):
            difference = found.rows[a].against[b][metric.name]
            by_draw = loop[a] - loop[b]
            low, high = np.quantile(by_draw, [0.025, 0.975])
            assert isinstance(difference.interval, Interval)
            assert (difference.interval.low, difference.interval.high) == pytest.approx(
                (low, high), rel=1e-12, abs=1e-12
            )
            fewer = min(sum(x <= 1e-14 for x in by_draw), sum(x >= -1e-14 for x in by_draw))
            assert difference.p == min(1, 2 * (fewer + 1) / 101)


def test_difference_of_values_is_that_of_the_samples() -> None:
    """The difference itself comes from the samples as they are, not from the mean of draws."""
    rows = [small.binary_row("base", [1, 0, 0, 0]), small.binary_row("b", [0, 1, 1, 1], [1, 1, 1, 1])]

    assert compare(rows).rows["b"].against["base"]["accuracy"].value == pytest.approx(7 / 8 - 1 / 4)


def test_another_row_changes_no_number() -> None:
    """A router that is added to an experiment changes neither the intervals of the others nor their p-values before correction."""
    tests, rows = random_table(np.random.default_rng(1), 1, 2)
    few = table_statistics(tests, rows[:2], small.measured(), SETTINGS)
    all_three = table_statistics(tests, rows, small.measured(), SETTINGS)

    for name in ("base", "b"):
        assert few.rows[name].intervals == all_three.rows[name].intervals
    for metric, difference in few.rows["b"].against["base"].items():
        more = all_three.rows["b"].against["base"][metric]
        assert (more.value, more.interval, more.p) == (difference.value, difference.interval, difference.p)


def test_how_much_is_computed_at_once_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws in chunks of any size give the same statistics."""
    tests, rows = random_table(np.random.default_rng(2), 2, 2)
    found = table_statistics(tests, rows, [ACCURACY], SETTINGS)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 7)
    monkeypatch.setattr(bootstrap, "NUMBERS_AT_ONCE", 11)

    assert table_statistics(tests, rows, [ACCURACY], SETTINGS) == found
    assert found != table_statistics(tests, rows, [ACCURACY], attrs.evolve(SETTINGS, seed=5))


def test_the_record_says_what_was_drawn() -> None:
    """Draws, level, seed and the number of groups make the numbers recomputable."""
    found = compare([small.binary_row("base", [1, 0, 1, 1])], [4, 4, 9, 7], draws=50, level=0.9)

    assert (found.draws, found.level, found.seed, found.groups, found.baseline) == (50, 0.9, 4, 3, "base")
    assert found.leader == "base"
    assert found.cautions == ()


def test_samples_of_one_group_widen_the_interval() -> None:
    """100 samples in 20 groups that are right together say as much as 20 samples."""
    right = np.tile([1, 0], 10).repeat(5)
    alone = compare([small.binary_row("base", right)]).rows["base"].intervals["overall"]["accuracy"]
    grouped = compare([small.binary_row("base", right)], np.arange(20).repeat(5)).rows["base"].intervals["overall"]
    few = compare([small.binary_row("base", right[::5])]).rows["base"].intervals["overall"]["accuracy"]

    assert isinstance(alone, Interval)
    assert isinstance(few, Interval)
    assert grouped["accuracy"] == few
    assert few.high - few.low > 1.8 * (alone.high - alone.low)


def test_datasets_are_not_mixed() -> None:
    """The share of a dataset among the samples is fixed, so a row that is right in one dataset only does not vary."""
    row = small.binary_row("base", [1] * 10 + [0] * 10)
    test = small.make_test_set(range(20), ["a"] * 10 + ["b"] * 10)

    assert (
        table_statistics([test], [row], [ACCURACY], SETTINGS).rows["base"].intervals["overall"]["accuracy"] == CONSTANT
    )
    assert isinstance(compare([row]).rows["base"].intervals["overall"]["accuracy"], Interval)


def test_holm_by_hand() -> None:
    """.01, .04, .03, .005 of four: 4 x .005, 3 x .01, 2 x .03, then no smaller than the one before; at most 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_corrects_over_the_routers_against_the_same_row() -> None:
    """Reference points are not corrected and do not count; what has no p-value does not count either."""
    rng = np.random.default_rng(0)
    base = rng.integers(2, size=60)
    rows = [small.binary_row("base", base, is_router=False)]
    rows += [small.binary_row(f"r{i}", np.where(rng.random(60) < 0.3, 1, base)) for i in range(3)]
    rows += [small.binary_row("same-right", base), small.binary_row("ref", np.ones(60), is_router=False)]
    choose_other = attrs.evolve(rows[4].evaluations[0][0], choices=1 - rows[4].evaluations[0][0].choices)
    swapped = attrs.evolve(choose_other, quality=choose_other.quality[:, ::-1])
    rows[4] = Row("same-right", True, [[swapped]])
    against = {r.name: compare(rows).rows[r.name].against["base"]["accuracy"] for r in rows[1:]}

    assert against["same-right"].p == against["same-right"].p_holm == EQUAL
    assert isinstance(against["ref"].p, float)
    assert against["ref"].p_holm == NOT_ROUTER
    p: list[Any] = [against[f"r{i}"].p for i in range(3)]
    assert [against[f"r{i}"].p_holm for i in range(3)] == pytest.approx(holm(p))


def test_rows_are_compared_with_baseline_leader_and_as_asked() -> None:
    """Each router against the baseline and the leader, itself excepted, and the pairs asked for."""
    rights = {"base": 3, "low": 2, "best": 7, "equal": 7}
    rows = [small.binary_row(n, [1] * k + [0] * (9 - k), is_router=n != "base") for n, k in rights.items()]
    found = compare(rows, pairs=(("best", "low"), ("low", "base")))

    assert found.leader == "best"
    assert {n: set(r.against) for n, r in found.rows.items()} == {
        "base": {"best"},
        "low": {"base", "best"},
        "best": {"base", "low"},
        "equal": {"base", "best"},
    }


def test_the_leader_is_the_cheapest_where_less_is_better() -> None:
    """The direction of the selection metric counts; a router without a value does not lead, nor does a reference point."""
    outcomes = small.Outcomes(np.ones((4, 3), dtype=bool), np.ones((4, 3)), np.tile([3.0, 1.0, 2.0], (4, 1)))
    rows = [Row(f"r{i}", i != 1, [[outcomes.evaluation(np.full(4, i))]]) for i in range(3)]
    cost = MeasuredMetric("accuracy", small.COST, higher_is_better=False)

    assert compare(rows, metric=cost, others=("r1",)).leader == "r2"
    assert compare(rows, metric=MeasuredMetric("accuracy", lambda e: Undefined("no")), others=("r1",)).leader == ""


def mcnemar(first: Sequence[int], second: Sequence[int], **more: Any) -> Difference:
    rows = [small.binary_row("base", second), small.binary_row("b", first)]
    return compare(rows, metric=PAIRED, **more).rows["b"].against["base"]["accuracy"]


def test_accuracy_on_independent_samples_is_tested_exactly() -> None:
    """6 of 7 discordant samples for one router: p = 2 (1 + 7) / 2^7, the exact two-sided binomial test."""
    found = mcnemar([1] * 6 + [0] + [1] * 5, [0] * 6 + [1] + [1] * 5)

    assert found.test == "mcnemar"
    assert found.p == pytest.approx(16 / 128)
    assert found.p == pytest.approx(binomtest(6, 7).pvalue)
    assert isinstance(found.interval, Interval)
    assert mcnemar([1, 0, 1], [0, 1, 1]).p == 1


def test_without_a_discordant_sample_no_p_value() -> None:
    """Two routers that choose different models and are right on the same samples: undefined, not 0 and not 1."""
    rows = [small.binary_row("base", [1, 0, 1]), small.binary_row("b", [0, 1, 0])]
    swapped = attrs.evolve(rows[1].evaluations[0][0], quality=np.tile([True, False], (3, 1)))
    rows[1] = Row("b", True, [[swapped]])

    paired = compare(rows, metric=PAIRED).rows["b"].against["base"]["accuracy"]
    assert (paired.value, paired.p, paired.p_holm, paired.test) == (0, SAME_RIGHT, SAME_RIGHT, "mcnemar")
    drawn = compare(rows).rows["b"].against["base"]["accuracy"]
    assert (drawn.value, drawn.p, drawn.p_holm, drawn.test) == (0, EQUAL, EQUAL, "bootstrap")


def test_several_samples_in_a_group_or_several_seeds_are_tested_by_draws() -> None:
    """McNemar's test asks for independent samples and one answer each."""
    first, second = [1] * 6 + [0] * 3, [0] * 6 + [1] * 3
    assert mcnemar(first, second, groups=[0, 0, *range(1, 8)]).test == "bootstrap"
    rows = [small.binary_row("base", second), small.binary_row("b", first, first)]
    assert compare(rows, metric=PAIRED).rows["b"].against["base"]["accuracy"].test == "bootstrap"
    assert compare([rows[0], small.binary_row("b", first)]).rows["b"].against["base"]["accuracy"].test == "bootstrap"


def test_the_same_choices_differ_by_nothing() -> None:
    """A router that chooses as the baseline does, in every seed: 0 in every draw, p = 1."""
    rows = [small.binary_row("base", [1, 0, 1]), small.binary_row("b", [1, 0, 1], [1, 0, 1])]
    for metric in (ACCURACY, PAIRED):
        found = compare(rows, metric=metric).rows["b"].against["base"]["accuracy"]
        assert found == Difference(0.0, Interval(0.0, 0.0, 100), 1.0, 1.0)


def test_p_values_by_hand() -> None:
    """2 (s + 1) / (draws + 1): s the smaller count at or beyond 0; draws without a value do not count."""
    assert bootstrap_p(np.array([1.0] * 96 + [0.0] + [-1.0] * 2)) == 2 * 4 / 100
    assert bootstrap_p(np.array([1.0] * 99)) == 2 / 100
    assert bootstrap_p(np.array([-1.0] * 9 + [np.nan] * 90)) == 2 / 10
    assert bootstrap_p(np.zeros(9)) == 1
    assert isinstance(bootstrap_p(np.full(9, np.nan)), Undefined)


def test_one_group_gives_no_interval() -> None:
    """Overall or in a part, one group cannot be drawn differently: a reason, not an interval without width."""
    rows = [small.binary_row("base", [1, 0, 1]), small.binary_row("b", [1, 1, 1])]
    found = compare(rows, [5, 5, 5])
    assert found.rows["b"].intervals["overall"]["accuracy"] == ONE_GROUP
    difference = found.rows["b"].against["base"]["accuracy"]
    assert difference == Difference(pytest.approx(1 / 3), ONE_GROUP, ONE_GROUP, ONE_GROUP)
    assert found.rows["b"].ranks == {}

    test = small.make_test_set([5, 5, 6], part=np.array([True, True, False]))
    parts = table_statistics([test], rows, [ACCURACY], SETTINGS).rows["base"].intervals
    assert parts["part"]["accuracy"] == ONE_GROUP
    assert isinstance(parts["overall"]["accuracy"], Interval)


def test_datasets_of_one_group_each_give_no_interval() -> None:
    """Groups are drawn within datasets, so two datasets of one group each are the same in every draw."""
    test = small.make_test_set([0, 0, 1], ["a", "a", "b"])
    row = table_statistics([test], [small.binary_row("base", [1, 0, 1])], [ACCURACY], SETTINGS).rows["base"]

    assert row.intervals["overall"]["accuracy"] == SINGLE_GROUPS
    test = small.make_test_set([0, 1, 2], ["a", "a", "b"])
    row = table_statistics([test], [small.binary_row("base", [1, 0, 1])], [ACCURACY], SETTINGS).rows["base"]
    assert isinstance(row.intervals["overall"]["accuracy"], Interval)


def test_all_wrong_gives_no_interval() -> None:
    """No right answer among few samples does not say that the accuracy is exactly 0."""
    found = compare([small.binary_row("base", [0, 0, 0])]).rows["base"].intervals["overall"]["accuracy"]

    assert found == CONSTANT


def test_an_undefined_value_has_no_interval_and_no_difference() -> None:
    """The metric's own reason stands for the interval, the difference and its p-values; other routers keep their ranks."""
    outcomes = small.Outcomes(np.tile([False, True], (4, 1)), np.ones((4, 2)), np.ones((4, 2)))
    rows = [Row("base", True, [[outcomes.evaluation(np.array([0, 1, 1, 0]))]])]
    gap = MeasuredMetric("accuracy", small.GAP)
    interval = compare(rows, metric=gap).rows["base"].intervals["overall"]["accuracy"]
    assert interval == Undefined("no gap to the Oracle")

    fails = MeasuredMetric(
        "accuracy", lambda e: Undefined("two") if e.choices.sum() == 0 else float(small.right(e).mean())
    )
    three = [small.binary_row(n, c) for n, c in (("base", [1, 0]), ("b", [0, 0]), ("c", [1, 1]))]
    found = compare(three, metric=fails)
    assert found.rows["b"].against["base"]["accuracy"] == Difference(*[Undefined("two")] * 4)
    assert found.rows["b"].ranks == {}
    assert found.rows["c"].ranks["accuracy"][0] == 1
    against_undefined = compare(three, metric=fails, others=("b",)).rows["c"].against["b"]["accuracy"]
    assert against_undefined.value == against_undefined.p == Undefined("two")


def test_without_a_draw_with_a_value_nothing_is_known() -> None:
    """A metric with a value on the samples only has neither interval nor p-value, for equal routers too."""
    samples = np.arange(30)
    only_all = MeasuredMetric("accuracy", lambda e: 1.0 if np.array_equal(e.choices, samples) else Undefined("draw"))
    outcomes = small.Outcomes(np.ones((30, 30), dtype=bool), np.ones((30, 30)), np.ones((30, 30)))
    rows = [Row(n, True, [[outcomes.evaluation(samples)]]) for n in ("base", "b")]
    found = compare(rows, metric=only_all, draws=3).rows["b"]

    assert found.intervals["overall"]["accuracy"] == NO_DRAW
    assert found.against["base"]["accuracy"] == Difference(0.0, NO_DRAW, NO_DRAW, NO_DRAW)
    assert found.ranks == {}


def test_equal_percentiles_of_varying_draws_are_an_interval() -> None:
    """A narrow interval is one: only a value that is the same in all draws is left without."""
    row = small.binary_row("base", [1, 0, 1])
    found = compare([row], level=0.01).rows["base"].intervals["overall"]["accuracy"]

    assert isinstance(found, Interval)
    assert found.low == found.high


def test_an_interval_says_how_many_draws_have_a_value() -> None:
    """Draws in which a metric is undefined are left out and counted."""
    quality = np.array([[True, False], [False, True], [False, True]])
    outcomes = small.Outcomes(quality, quality * 1.0, np.ones((3, 2)))
    row = Row("base", True, [[outcomes.evaluation(np.array([0, 1, 0]))]])
    found = compare([row], metric=MeasuredMetric("accuracy", small.GAP)).rows["base"].intervals["overall"]["accuracy"]
    with_gap = (Draws(np.full(3, "d"), 100, 4).counts()[0, 1:] > 0).sum()

    assert isinstance(found, Interval)
    assert found.draws == with_gap < 100


def test_percentiles_are_numpys() -> None:
    """Linear between order statistics; values that are not finite are left out, and a row without any has no bounds."""
    values = np.random.default_rng(0).normal(size=(3, 200))
    values[1, ::3], values[2] = np.nan, np.inf
    low, high, draws = percentile_bounds(values, 0.9)

    for row in (0, 1):
        expected = np.nanquantile(values[row], [0.05, 0.95])
        assert (low[row], high[row]) == pytest.approx(tuple(expected), rel=1e-12)
    assert draws.tolist() == [200, 133, 0]
    assert np.isnan([low[2], high[2]]).all()


def test_ranks_by_hand() -> None:
    """Equal rows share the better place, differences by rounding are none, and draws without a value of all do not count."""
    values = np.array([[3.0, 3, 1, 2, np.nan], [2, 3 + 1e-15, 2, 2, 1], [1, 1, 3, 2, 1]])

    assert rank_ranges(values, 1.0) == [(1, 3), (1, 2), (1, 3)]
    assert rank_ranges(values[:, :2], 1.0) == [(1, 1), (1, 2), (3, 3)]
    assert rank_ranges(np.full((2, 3), np.nan), 0.95) == []


def test_ranks_cover_the_level_of_the_draws() -> None:
    """A place that is taken in fewer than half of the remaining draws is outside."""
    ahead: Array = np.array([[1.0] * 98 + [0.0] * 2, [0.5] * 100])

    assert rank_ranges(ahead, 0.95) == [(1, 1), (2, 2)]
    assert rank_ranges(ahead, 0.97) == [(1, 2), (1, 2)]


def test_ranks_are_those_of_the_draws() -> None:
    """The samples themselves are no draw: in the only draw here the order is the other way round."""
    count = Draws(np.full(3, "d"), 1, 4).counts()[:, 1]
    assert count.max() == 2
    rows = [small.binary_row("base", count == 2), small.binary_row("b", count != 2)]
    found = compare(rows, draws=1)

    assert found.leader == "b"
    assert [found.rows[n].ranks["accuracy"] for n in ("base", "b")] == [(1, 1), (2, 2)]


def test_only_routers_are_ranked() -> None:
    """The places are those among the routers; where less is better, the smallest value is first."""
    outcomes = small.Outcomes(np.ones((4, 3), dtype=bool), np.ones((4, 3)), np.tile([3.0, 1.0, 2.0], (4, 1)))
    rows = [Row(f"r{i}", i != 1, [[outcomes.evaluation(np.full(4, i))]]) for i in range(3)]
    cost = MeasuredMetric("accuracy", small.COST, higher_is_better=False)
    ranks = {n: r.ranks for n, r in compare(rows, metric=cost, others=("r1",)).rows.items()}

    assert ranks == {"r0": {"accuracy": (2, 2)}, "r1": {}, "r2": {"accuracy": (1, 1)}}


def test_a_baseline_without_a_result_leaves_the_other_differences() -> None:
    """Where its cell has failed: the leader is compared with all the same."""
    rows = [small.binary_row("a", [1, 1, 0, 0]), small.binary_row("b", [1, 0, 0, 0])]
    found = compare(rows, others=("failed", "a"))

    assert found.baseline == "failed"
    assert {n: set(r.against) for n, r in found.rows.items()} == {"a": set(), "b": {"a"}}


def test_pairs_that_were_asked_for_are_corrected_together() -> None:
    """Over all pairs that no other comparison holds: three of them with one p-value each are one family."""
    rng = np.random.default_rng(1)
    base = rng.integers(2, size=60)
    rows = [small.binary_row("base", base)]
    rows += [small.binary_row(f"r{i}", np.where(rng.random(60) < 0.2, 1, base)) for i in range(4)]
    pairs = (("r0", "r1"), ("r0", "r2"), ("r1", "r3"), ("r0", "base"))
    found = compare(rows, pairs=pairs).rows
    leader = compare(rows).leader
    left = [(a, b) for a, b in pairs if b not in ("base", leader)]
    p: list[Any] = [found[a].against[b]["accuracy"].p for a, b in left]

    assert len(left) > 1
    assert [found[a].against[b]["accuracy"].p_holm for a, b in left] == pytest.approx(holm(p))
