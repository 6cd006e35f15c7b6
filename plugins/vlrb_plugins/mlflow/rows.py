"""The rows of the leaderboard: which MLflow run stands for each, and its values under short names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from vlrb import AggregatedScores, CellInfo, Interval, MetricValue, RouterResult, RunInfo, RunResult
from vlrb_plugins.mlflow.naming import flat, metrics_of, split_finite

PART_OF_A_ROW = {"role": "cell", "selected": "false"}
"""Tags of what stands for no row; ``tags.selected = 'true'`` finds exactly the rows."""


@attrs.frozen
class Row:
    """A row of the leaderboard, as it is logged to the MLflow run of ``node``; ``own`` tells whether that is made for the row."""

    node: str
    name: str
    own: bool
    failed: bool
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]

    @property
    def digest(self) -> str:
        """Return what identifies the contents of the row."""
        contents = (self.failed, *(sorted(x.items()) for x in (self.tags, self.metrics)))
        return hashlib.sha256(repr(contents).encode()).hexdigest()[:16]


def has_one_cell(run: RunInfo) -> bool:
    """Tell whether a router's result is made of one cell: there is one split, and one seed."""
    return len({(c.split, c.seed) for c in run.cells if c.train_fraction == 1}) == 1


def role_tags(run: RunInfo, cell: CellInfo) -> dict[str, str]:
    """Return tags that say whether a cell stands for its router, as far as that is known before the end of the run."""
    refit = bool(run.experiment["selection"]["refit"])
    alone = has_one_cell(run) and cell.train_fraction == 1 and cell.refit == refit and (refit or not cell.point)
    return {"role": "router", "selected": "true"} if alone else dict(PART_OF_A_ROW)


def leaderboard_rows(result: RunResult) -> list[Row]:
    """Return all rows: a router is logged to its cell where that is all of it, else to a run of its own."""
    rows = [_router_row(result, router) for router in result.routers]
    for reference in result.references:
        tags = {"role": "reference", "selected": "true", "mlflow.note.content": reference.summary}
        row = Row(f"reference/{reference.name}", reference.name, True, False, tags, {"label": reference.name}, {})
        rows.append(_with_values(row, result, reference.test))
    return rows


def _router_row(result: RunResult, router: RouterResult) -> Row:
    tags = {"role": "router", "selected": "true"}
    if has_one_cell(result.run) and router.cells:
        row = Row(f"cell/{router.cells[0]}", router.label, False, router.test is None, tags, {}, {})
    else:
        tags |= {"status": "done" if router.test is not None else "failed"} | _points(result.run, router)
        params = _shared_params([c.cell for c in result.cells if c.cell.label == router.label])
        row = Row(f"router/{router.label}", router.label, True, router.test is None, tags, params, {})
    return _with_values(row, result, router.test) if router.test is not None else row


def _points(run: RunInfo, router: RouterResult) -> dict[str, str]:
    """Return a tag with the chosen points of the sweep; no parameter, since a failed cell that is run again may change them."""
    splits = [s.name for s in run.split.whole]
    times = Counter(router.points[s] for s in splits if router.points.get(s))
    text = ", ".join(f"{point} ({n} of {len(splits)})" for point, n in times.most_common())
    return {"vlrb.points": text} if text else {}


def _shared_params(cells: list[CellInfo]) -> dict[str, Any]:
    """Return the parameters that all cells of a router have in common."""
    first = cells[0]
    swept = {name for c in cells for name in c.point}
    own = {f"router.{k}": v for k, v in flat({k: v for k, v in first.parameters.items() if k not in swept})}
    return {"router": first.router, "label": first.label, "features": first.features, **own}


def _with_values(row: Row, result: RunResult, test: AggregatedScores) -> Row:
    metrics, undefined = _short_values(result, row.name, test)
    if row.own:
        more, also = metrics_of({"test": test.scores})
        metrics, undefined = metrics | more, undefined | also
    return attrs.evolve(row, metrics=metrics, tags={**row.tags, **undefined})


def _short_values(result: RunResult, name: str, test: AggregatedScores) -> tuple[dict[str, float], dict[str, str]]:
    """Return values overall with intervals, differences from the baseline and deviations, and tags for undefined values."""
    statistics, overall = result.statistics, test.scores["overall"]
    if name not in statistics.rows:
        return {}, {}
    row = statistics.rows[name]
    intervals = row.intervals.get("overall", {})
    metrics, undefined = split_finite({metric: overall[metric] for metric in intervals if metric in overall})
    more: dict[str, MetricValue] = {}
    for metric, interval in intervals.items():
        more |= _ends(metric, interval)
    for metric, difference in row.against.get(statistics.baseline, {}).items():
        key = f"{metric}.vs-{statistics.baseline}"
        more |= {key: difference.value, f"{key}.p": difference.p, f"{key}.p-holm": difference.p_holm}
        more |= _ends(key, difference.interval)
    more |= {f"{metric}.over-seeds": v for metric, v in test.over_seeds.get("overall", {}).items()}
    more |= {f"{metric}.over-splits": v for metric, v in test.over_splits.get("overall", {}).items()}
    return metrics | split_finite(more)[0], undefined


def _ends(name: str, interval: object) -> dict[str, MetricValue]:
    return {f"{name}.ci_low": interval.low, f"{name}.ci_high": interval.high} if isinstance(interval, Interval) else {}
