"""What a run shows, in words."""

from __future__ import annotations

from pathlib import Path

import attrs
from made_run import Made, made_run

from vlrb import Difference, FinishedRun, Interval, RowStatistics, Undefined, leaderboard
from vlrb_plugins.reports.html.findings import compared_in_words, findings_in_words

INTERVAL = Interval(0.01, 0.2, 100)


def found(run: FinishedRun) -> tuple[str, ...]:
    return findings_in_words(run, leaderboard(run.result))


def with_differences(run: FinishedRun, single: Difference, second: Difference) -> FinishedRun:
    """Return a run whose leader differs from the best single model, and the runner-up from the leader, by these."""
    rows = dict(run.result.statistics.rows)
    rows["good"] = attrs.evolve(rows["good"], against={"best-single": {"rank-score": single}})
    rows["bad"] = RowStatistics({}, {"good": {"rank-score": second}})
    return FinishedRun(attrs.evolve(run.result, statistics=attrs.evolve(run.result.statistics, rows=rows)))


def test_leader_separation_and_limits(tmp_path: Path) -> None:
    """The sign of a difference is in the words; p-values say whether chance could explain it."""
    above = Difference(0.1, INTERVAL, 0.0001, 0.0004)
    behind = Difference(-0.05, Interval(-0.2, 0.1, 100), 0.2, 0.4)
    lead, separation, limits = found(with_differences(made_run(tmp_path, Made()), above, behind))

    assert lead.startswith("Of 2 routers, good has the best rank score: ")
    assert "(95 % interval 0.200 to 0.800)" in lead
    assert (
        "above the best single model (dear) by 0.100 (95 % interval 0.010 to 0.200; p < 0.001, Holm), more than chance"
        in separation
    )
    assert (
        "leads the runner-up, bad, by 0.050 (95 % interval -0.100 to 0.200; p = 0.400, Holm), which may be chance."
        in separation
    )
    assert "synthetic" in limits
    assert "only 40 groups" in limits


def test_behind_equal_and_undefined(tmp_path: Path) -> None:
    """A leader that loses to the best single model, or is it; without a p-value nothing is more than chance."""
    run = made_run(tmp_path, Made(synthetic=""))
    nothing = Undefined("no draws")
    behind = Difference(-0.1, Interval(-0.2, -0.01, 100), nothing, nothing)
    equal = Difference(0.0, Interval(0, 0, 100), 1.0, 1.0)
    lost = Difference(nothing, nothing, nothing, nothing)

    assert (
        "It is behind the best single model (dear) by 0.100 (95 % interval 0.010 to 0.200), which may be chance"
        in found(with_differences(run, behind, lost))[1]
    )
    assert found(with_differences(run, equal, lost))[1].startswith("It equals the best single model (dear)")
    assert found(with_differences(run, equal, equal))[1].endswith("; it equals the runner-up, bad.")
    assert "one of them has no value" in found(with_differences(run, lost, lost))[1]
    assert "synthetic" not in found(run)[2]


def test_without_a_leader_failures_are_said(tmp_path: Path) -> None:
    """Two sentences, and no difference from anything."""
    lead, limits = found(made_run(tmp_path, Made(failed=True, cautions=("mind the gap",))))

    assert lead == "No router has a rank score on test: 4 of 4 cells failed."
    assert "1 caution on the metrics" in limits


def test_a_first_try_is_a_limit(tmp_path: Path) -> None:
    """A run on part of the samples or routers says so."""
    run = made_run(tmp_path, Made(synthetic=""))
    info = attrs.evolve(run.result.run, experiment={**run.result.run.experiment, "limited": {"samples": 40}})

    assert "the run is limited to 40 samples" in found(FinishedRun(attrs.evolve(run.result, run=info)))[2]


def test_what_was_compared(tmp_path: Path) -> None:
    """Numbers of routers, models, samples and datasets, in the singular too."""
    several = made_run(tmp_path, Made())
    single = attrs.evolve(several.result, routers=several.result.routers[:1])

    assert compared_in_words(several.result) == (
        "2 routers choose among 3 models on 2 test samples of 2 datasets, "
        "and are compared by rank score under the protocol “strict”."
    )
    assert compared_in_words(single).startswith("1 router chooses among 3 models")
