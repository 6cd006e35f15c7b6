"""The rows of the leaderboard: which MLflow run stands for each, and its values under short names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from vlrb import NOT_SHOWN, AggregatedScores, CellInfo, Interval, MetricValue, RouterResult, RunInfo, RunResult
from vlrb_plugins.mlflow.describing import cell_name, describe_result, describe_row, parent_name, row_name
from vlrb_plugins.mlflow.naming import flat, metrics_of, split_finite
from vlrb_plugins.mlflow.record import END

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
    undefined: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def digest(self) -> str:
        """Return what identifies the contents of the row."""
        contents = (self.name, self.failed, *(sorted(x.items()) for x in (self.tags, self.metrics)))
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
        tags = {
            "role": "reference",
            "selected": "true",
            "mlflow.note.content": describe_row(result, reference.name, reference.summary),
        }
        name = row_name(result.run, reference.name)
        row = Row(f"reference/{reference.name}", name, True, False, tags, {"label": reference.name}, {})
        rows.append(_with_values(row, result, reference.name, reference.test))
    return rows


def headline(result: RunResult, failed: Sequence[str]) -> Row:
    """Return what the parent run shows: the leading router and its values, what follows from the run, and failed cells."""
    found = result.statistics
    tags = {
        "leader": found.leader,
        "mlflow.note.content": describe_result(result),
        "status": "failed" if failed else "done",
        "vlrb.cautions": "\n".join(found.cautions),
        "vlrb.failed": ", ".join(failed),
    }
    params = {f"statistics.{name}": getattr(found, name) for name in ("draws", "level", "seed", "groups", "baseline")}
    test = next((r.test for r in result.routers if r.label == found.leader), None)
    metrics = _short_values(result, found.leader, test) if test is not None else {}
    return Row(END, parent_name(result.run, found.leader), False, False, tags, params, metrics)


def _router_row(result: RunResult, router: RouterResult) -> Row:
    cells = [c.cell for c in result.cells if c.cell.label == router.label]
    name = row_name(result.run, router.label)
    tags = {
        "role": "router",
        "selected": "true",
        "mlflow.note.content": describe_row(result, router.label, "", cells[0]),
    }
    if has_one_cell(result.run) and router.cells:
        row = Row(f"cell/{router.cells[0]}", name, False, router.test is None, tags, {}, {})
    else:
        tags |= {"status": "done" if router.test is not None else "failed"} | _points(result.run, router)
        row = Row(f"router/{router.label}", name, True, router.test is None, tags, _shared_params(cells), {})
    return _with_values(row, result, router.label, router.test) if router.test is not None else row


def part_names(result: RunResult) -> dict[str, str]:
    """Return the names of cells that stand for no row."""
    return {f"cell/{c.cell.name}": cell_name(result.run, c.cell) for c in result.cells if not c.cell.inner}


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
    features = {"features": first.features} if first.features else {}
    return {"router": first.router, "label": first.label, **features, **own}


def _with_values(row: Row, result: RunResult, name: str, test: AggregatedScores) -> Row:
    metrics, undefined = metrics_of({"test": test.scores}) if row.own else ({}, {})
    return attrs.evolve(row, metrics=_short_values(result, name, test) | metrics, undefined=undefined)


def _short_values(result: RunResult, name: str, test: AggregatedScores) -> dict[str, float]:
    """Return values overall under short names, and intervals, differences from the baseline and deviations behind them."""
    statistics, overall = result.statistics, test.scores["overall"]
    if name not in statistics.rows:
        return {}
    row = statistics.rows[name]
    intervals = {m: i for m, i in row.intervals.get("overall", {}).items() if m not in NOT_SHOWN}
    more: dict[str, MetricValue] = {m: overall[m] for m in intervals if m in overall}
    for metric, interval in intervals.items():
        more |= _ends(interval, f"test-low/{metric}", f"test-high/{metric}")
    differences = row.against.get(statistics.baseline, {})
    for metric, difference in ((m, d) for m, d in differences.items() if m in intervals):
        key = f"test-vs-{statistics.baseline}/{metric}"
        more |= {key: difference.value, f"{key}.p": difference.p, f"{key}.p-holm": difference.p_holm}
        more |= _ends(difference.interval, f"{key}.low", f"{key}.high")
    more |= {f"test-over-seeds/{metric}": v for metric, v in test.over_seeds.get("overall", {}).items()}
    more |= {f"test-over-splits/{metric}": v for metric, v in test.over_splits.get("overall", {}).items()}
    return split_finite(more)[0]


def _ends(interval: object, low: str, high: str) -> dict[str, MetricValue]:
    return {low: interval.low, high: interval.high} if isinstance(interval, Interval) else {}
