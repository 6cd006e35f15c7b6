"""Rows of two runs on the same test samples: paired differences, and which choices changed."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
from evaluations import evaluation
from finished_runs import OTHER, make_run
from scipy.stats import binomtest
from split_runs import KEYED

from vlrb.api.comparison import ComparedRow, Comparison
from vlrb.api.routing import Estimate, Evaluation
from vlrb.api.statistics import Interval
from vlrb.running.comparison import compare_runs
from vlrb.running.finished import FinishedRun
from vlrb.running.paired import SameTests, _changed_choices, _evaluation, _evaluations
from vlrb.running.stored import StoredRun


def row(found: Comparison, name: str, pair: int = 0) -> ComparedRow:
    return next(r for r in found.pairs[pair].rows if r.name == name and r.kind != "leaders")


def test_differences_are_those_of_the_same_samples(found: Comparison, first: FinishedRun, other: FinishedRun) -> None:
    """The other's value less the first's, both as their leaderboards have them, with an interval around it."""
    keyed = row(found, "keyed")
    for metric in ("accuracy", "cost-per-10k", "rank-score"):
        a, b = (run.router("keyed").test.scores["overall"][metric] for run in (first, other))  # type: ignore[union-attr]
        assert keyed.values[metric] == pytest.approx((a, b), abs=1e-12)
        difference = keyed.differences[metric]
        assert difference.value == pytest.approx(b - a, abs=1e-12)
        assert isinstance(difference.interval, Interval)
        assert difference.interval.low <= difference.value <= difference.interval.high
    assert (found.pairs[0].paired, found.pairs[0].samples) == (True, 120)
    assert found.pairs[0].notes == ()


def test_choices_that_differ_are_counted(found: Comparison, first: FinishedRun, other: FinishedRun) -> None:
    """Counted by sample id and seed from the files; calls are means over the seeds and add up to the samples."""
    chosen = [
        {(i, c.seed): int(m) for c in run.chosen("keyed") for i, m in zip(c.rows.tolist(), c.choices, strict=True)}
        for run in (first, other)
    ]
    differ = sum(chosen[0][key] != chosen[1][key] for key in chosen[0])
    right = [np.array([first.samples.quality[i, of[i, s]] for i, s in chosen[0]]) for of in chosen]
    choices = row(found, "keyed").choices

    assert choices is not None
    assert (choices.compared, choices.differing) == (240, differ)
    assert choices.share == differ / 240 > 0
    assert (choices.gained, choices.lost) == (int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()))
    calls = [list(of.values()).count(0) / 2 for of in chosen]
    assert choices.calls[first.samples.models[0]] == tuple(calls)
    assert [sum(c[i] for c in choices.calls.values()) for i in (0, 1)] == [120, 120]


def test_reference_points_are_the_same(found: Comparison) -> None:
    """They choose by rules that the routers do not touch: no choice differs, and each difference is 0."""
    for name in ("oracle", "best-single"):
        same = row(found, name)
        assert same.choices is not None
        assert same.choices.differing == 0
        assert {d.value for m, d in same.differences.items() if m in ("accuracy", "rank-score")} == {0.0}


def test_what_time_measures_is_shown_without_a_difference(found: Comparison, first: FinishedRun) -> None:
    """Seconds do not depend on the drawn samples: the values are those that the runs stored."""
    keyed, test = row(found, "keyed"), first.router("keyed").test

    assert test is not None
    assert keyed.values["routing-ms"][0] == test.scores["overall"]["routing-ms"]
    assert "routing-ms" not in keyed.differences


def test_other_seeds_are_all_compared(first: FinishedRun, tmp_path: Path) -> None:
    """Without a seed that both have, every pair of seeds counts."""
    choices = row(compare_runs([first, make_run(tmp_path, top="seeds = [5, 6, 7]")]), "keyed").choices

    assert choices is not None
    assert choices.compared == 120 * 2 * 3


def test_accuracy_is_tested_by_mcnemar_where_samples_are_independent(tmp_path: Path) -> None:
    """Every sample a group of its own and one seed: the exact binomial test of the choices that became right or wrong."""
    alone = '[split]\nfolds = 3\n[benchmark]\ndatasets = ["TinyA"]\n'
    runs = [
        make_run(tmp_path / name, routers, alone, "seeds = [1]", "images = false")
        for name, routers in (("a", KEYED), ("b", OTHER))
    ]
    keyed = row(compare_runs(runs), "keyed")
    difference, choices = keyed.differences["accuracy"], keyed.choices

    assert choices is not None
    assert difference.test == "mcnemar"
    assert difference.p == binomtest(choices.gained, choices.gained + choices.lost).pvalue < 1
    assert keyed.differences["rank-score"].test == "bootstrap"


def choosing(*choices: int) -> Evaluation:
    """Return what metrics see of these choices on four samples: model 0 is right on the first and third, model 1 on the second."""
    return evaluation(choices=np.array(choices))


def test_choices_of_equal_seeds_are_compared() -> None:
    """By hand: seed 2 is in both; its second choice becomes right, its third wrong.  Calls are means over all own seeds."""
    first = [{1: choosing(0, 0, 0, 0), 2: choosing(0, 0, 0, 1)}]
    other = [{2: choosing(0, 1, 1, 0), 3: choosing(1, 1, 1, 1)}]
    found = _changed_choices(first, other)

    assert (found.compared, found.differing, found.gained, found.lost) == (4, 3, 1, 1)
    assert found.calls == {"model-0": (3.5, 1.0), "model-1": (0.5, 3.0)}


def test_choices_of_all_test_sets_are_added_up() -> None:
    """Without a common seed every pair of seeds counts; sets of test rows are added."""
    one, two = choosing(0, 0, 0, 0), choosing(0, 1, 0, 0)
    found = _changed_choices([{1: one, 2: one}, {1: one}], [{3: two}, {1: two}])

    assert (found.compared, found.differing, found.gained, found.lost) == (12, 3, 3, 0)
    assert found.calls == {"model-0": (8.0, 6.0), "model-1": (0.0, 2.0)}


def test_choices_are_put_into_the_order_of_the_test_rows(first: FinishedRun) -> None:
    """Files of a run hold a fold each, in an order of their own: each choice and estimate stays with its sample."""
    stored = StoredRun.of(first)
    on = stored.context.evaluated(stored.context.splitting.splits, "test")
    chosen = [c for c in first.chosen("keyed") if c.seed == 1]
    straight = _evaluation(stored, on, chosen)
    order = np.arange(chosen[0].rows.size)[::-1]
    turned = attrs.evolve(
        chosen[0],
        rows=chosen[0].rows[order],
        choices=chosen[0].choices[order],
        estimate=Estimate(*(m[order] for m in attrs.astuple(chosen[0].estimate, recurse=False))),  # type: ignore[arg-type]
    )
    found = _evaluation(stored, on, [*chosen[:0:-1], turned])
    of = {int(row): int(c) for one in chosen for row, c in zip(one.rows, one.choices, strict=True)}

    assert found.choices.tolist() == straight.choices.tolist() == [of[int(row)] for row in on.rows]
    assert found.estimate is not None
    assert straight.estimate is not None
    assert np.array_equal(found.estimate.p_correct, straight.estimate.p_correct)
    assert np.array_equal(found.estimate.cost, straight.estimate.cost)


def test_a_seed_whose_cells_are_not_all_there_is_left_out(first: FinishedRun) -> None:
    """Its choices cover a part of the test rows only; a row without any whole seed has nothing to compare."""
    stored = StoredRun.of(first)
    splits = frozenset(s.name for s in stored.context.splitting.splits)
    tests = [SameTests(stored.context.evaluated(stored.context.splitting.splits, "test"), (splits, splits))]

    def seeds(*lost: tuple[str, int]) -> list[int | None] | None:
        """Return the seeds that are compared if some cells have failed."""
        cells = tuple(
            attrs.evolve(c, status="failed") if (c.cell.split, c.cell.seed) in lost else c for c in first.result.cells
        )
        run = attrs.evolve(first, result=attrs.evolve(first.result, cells=cells))
        found = _evaluations(stored, run, "keyed", tests, 0)
        return None if found is None else list(found[0])

    assert seeds() == [1, 2]
    assert seeds(("fold-2", 1)) == [2]
    assert seeds(("fold-2", 1), ("fold-3", 2)) is None
