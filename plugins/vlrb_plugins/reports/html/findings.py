"""What a run shows, in three sentences made from its statistics."""

from __future__ import annotations

from vlrb import FEW_GROUPS, Difference, FinishedRun, Interval, Leaderboard, MetricValue, RunResult, Undefined
from vlrb_plugins.shared.pages.tables import shortened
from vlrb_plugins.shared.values import SHARES, fixed

LONG = 60
"""Characters of a name in a sentence."""


def findings_in_words(run: FinishedRun, board: Leaderboard) -> tuple[str, ...]:
    """Return who leads, from what that is separated, and what limits the conclusion."""
    result = run.result
    leader = result.statistics.leader
    if not leader:
        failed = sum(c.status == "failed" for c in result.cells)
        why = f": {failed:,} of {len(result.cells):,} cells failed" if failed else ""
        return (f"No router has a {_metric(result)} on test{why}.", _limits(result))
    return (_lead(result, leader), _separation(run, board, leader), _limits(result))


def compared_in_words(result: RunResult) -> str:
    """Return what was compared."""
    run = result.run
    routers, datasets = len(result.routers), len(run.benchmark.datasets)
    many = len(run.split.whole)
    tests = [one.samples["test"] for one in run.split.whole]
    on = f"{tests[0]:,} test samples" if many == 1 else f"the test samples of {many} splits"
    if run.split.pooled:
        on = f"{sum(tests):,} samples, each tested once in {many} folds"
    noun = "router chooses" if routers == 1 else "routers choose"
    return (
        f"{routers:,} {noun} among {_count(len(run.benchmark.models), 'model')} on {on} of {_count(datasets, 'dataset')}, "
        f"and {'is' if routers == 1 else 'are'} compared by {_metric(result)} under the protocol “{run.protocol}”."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _metric(result: RunResult) -> str:
    return result.run.selection_metric.replace("-", " ")


def _lead(result: RunResult, leader: str) -> str:
    metric = result.run.selection_metric
    router = next(r for r in result.routers if r.label == leader)
    scores = router.test.scores["overall"] if router.test is not None else {}
    name = shortened(leader, LONG)
    of = f"Of {len(result.routers):,} routers, {name} has the best" if len(result.routers) > 1 else f"{name} has a"
    text = f"{of} {_metric(result)}: {_number(scores.get(metric), metric)}"
    interval = result.statistics.rows[leader].intervals.get("overall", {}).get(metric)
    if isinstance(interval, Interval):
        text += f" ({_between(result, interval, metric)})"
    accuracy, cost = scores.get("accuracy"), scores.get("cost-per-10k")
    known = [
        *(
            [f"is right on {_number(accuracy, 'accuracy')} of the samples"]
            if _known(accuracy) and metric != "accuracy"
            else []
        ),
        *([f"costs {cost:.3g} USD per 10,000"] if _known(cost) else []),
    ]
    return text + (f"; it {' and '.join(known)}." if known else ".")


def _separation(run: FinishedRun, board: Leaderboard, leader: str) -> str:
    """Return how the leader differs from the best single model and from the runner-up."""
    result = run.result
    metric = result.run.selection_metric
    from_single = result.statistics.rows[leader].against.get("best-single", {}).get(metric)
    texts = []
    if from_single is None or isinstance(from_single.value, Undefined):
        texts.append("The difference from the best single model is undefined, since one of them has no value")
    elif from_single.value == 0:
        texts.append(f"It equals the best single model{_single_name(run)}")
    else:
        side = "above" if _better(result, from_single.value) else "behind"
        texts.append(f"It is {side} the best single model{_single_name(run)} by {_difference(result, from_single, 1)}")
    second = next((r.name for r in board.rows if r.kind == "router" and r.name != leader), "")
    behind = (
        result.statistics.rows[second].against.get(leader, {}).get(metric) if second in result.statistics.rows else None
    )
    if behind is not None and not isinstance(behind.value, Undefined):
        name = shortened(second, LONG)
        lead = f"leads the runner-up, {name}, by {_difference(result, behind, -1)}"
        texts.append(f"it {lead if behind.value else f'equals the runner-up, {name}'}")
    elif len(result.routers) > 1:
        texts.append("no other router can be compared with it")
    return "; ".join(texts) + "."


def _better(result: RunResult, value: float) -> bool:
    higher = {m.name: m.higher_is_better for m in result.run.metrics}[result.run.selection_metric]
    return (value > 0) == higher


def _single_name(run: FinishedRun) -> str:
    """Return which model the best single one is, in parentheses, where it is the same on every split."""
    try:
        found = {int(c) for made in run.chosen("best-single") for c in made.choices[:1]}
    except (LookupError, ValueError):
        return ""
    return f" ({shortened(run.result.run.benchmark.models[found.pop()], LONG)})" if len(found) == 1 else ""


def _difference(result: RunResult, found: Difference, sign: int) -> str:
    """Return the size of a difference, its interval and p-value, and whether chance could explain it."""
    metric = result.run.selection_metric
    value = found.value if not isinstance(found.value, Undefined) else 0.0
    texts = []
    if isinstance(found.interval, Interval):
        low, high = sorted((sign * found.interval.low, sign * found.interval.high))
        if value * sign < 0:  # the words say on which side, the numbers how far
            low, high = -high, -low
        texts.append(_between(result, Interval(low, high, found.interval.draws), metric))
    p, how = found.decisive_p, "Holm" if found.corrected else "uncorrected"
    if p is not None:
        texts.append(f"p < 0.001, {how}" if p < 0.001 else f"p = {p:.3f}, {how}")
    said = "which may be chance" if found.may_be_chance else "more than chance explains"
    how_sure = f" ({'; '.join(texts)})" if texts else ""
    return f"{_number(abs(value), metric, points=True)}{how_sure}, {said}"


def _between(result: RunResult, interval: Interval, metric: str) -> str:
    level = f"{100 * result.statistics.level:g} % interval"
    return f"{level} {_number(interval.low, metric, bare=True)} to {_number(interval.high, metric, bare=True)}"


def _number(value: MetricValue | None, metric: str, *, points: bool = False, bare: bool = False) -> str:
    if value is None or isinstance(value, Undefined):
        return "undefined"
    if metric in SHARES:
        return fixed(100 * value, 1) + ("" if bare else " points" if points else " %")
    return fixed(value, 3) if abs(value) < 100 else f"{value:,.4g}"


def _known(value: MetricValue | None) -> bool:
    return value is not None and not isinstance(value, Undefined)


def _limits(result: RunResult) -> str:
    """Return what limits the conclusion."""
    run, statistics = result.run, result.statistics
    limits = ["the data are synthetic"] if run.benchmark.synthetic else []
    if run.limited:
        limits.append(f"the run is {run.limited}")
    if 0 < statistics.groups < FEW_GROUPS:
        limits.append(f"the test samples are only {_count(statistics.groups, 'group')}")
    leaking = sum(one.group_also_in_train["test"] for one in run.split.whole)
    if leaking:
        limits.append(f"{_count(leaking, 'test sample')} share an image or a group with training")
    failed = sum(c.status == "failed" for c in result.cells)
    if failed:
        limits.append(f"{failed:,} of {_count(len(result.cells), 'cell')} failed")
    if statistics.cautions:
        limits.append(f"{_count(len(statistics.cautions), 'caution')} on the metrics, below")
    if len(run.split.whole) == 1 and len({c.cell.seed for c in result.cells}) <= 1:
        limits.append("one split and one seed say nothing of how training varies")
    elif run.split.pooled:
        limits.append("the intervals leave out how training varies")
    return (
        f"What limits the conclusion: {'; '.join(limits)}." if limits else "No check of the run limits this conclusion."
    )
