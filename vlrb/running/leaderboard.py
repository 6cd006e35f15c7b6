"""The leaderboard of a run: routers (over their seeds and splits) and reference points, the best first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import attrs

from vlrb.api.results import AggregatedScores, CellResult, RouterResult, RunResult
from vlrb.api.routing import MetricValue, Undefined
from vlrb.api.statistics import Interval, RowStatistics

SWEPT = ("accuracy", "cost-per-10k", "rank-score", "oracle-gap-closed")
SHOWN = (*SWEPT, "requests-per-second")
NOT_SHOWN = ("mean-score", "average-cost", "tokens-per-second", "routing-ms", "encoding-ms")

Column = tuple[str, str, str]
"""A heading, and the scope and metric of its values."""
AGAINST = "against the baseline"
"""In place of a scope: the column holds differences from the baseline, overall."""


@attrs.frozen
class TableCell:
    """A value of the table, its interval over the test samples, and the standard deviations over seeds and over splits."""

    value: MetricValue
    interval: Interval | None = None
    over_seeds: float | None = None
    over_splits: float | None = None


ITSELF = TableCell(Undefined("this is the baseline"))
NO_BASELINE = TableCell(Undefined("the baseline has no result"))


@attrs.frozen
class TableRow:
    """A line of the leaderboard; ``tied`` names what it does not differ from significantly in the selection metric."""

    name: str
    kind: str
    cells: tuple[TableCell, ...]
    note: str = ""
    tied: tuple[str, ...] = ()


@attrs.frozen
class PointTable:
    """Points of a sweep where they were compared, the chosen one marked by its note, or of a learning curve."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]


@attrs.frozen
class Leaderboard:
    """Headings and rows on test, the sweeps whose chosen points stand among the rows, and learning curves.

    The first column is that of the selection metric; rows are ordered by the columns, from the left.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]
    sweeps: tuple[PointTable, ...] = ()
    curves: tuple[PointTable, ...] = ()


def leaderboard(result: RunResult) -> Leaderboard:
    """Return the leaderboard of a finished run."""
    columns, signs = _columns(result)
    rows = [_router_row(result, router, columns) for router in result.routers]
    rows += [_reference_row(result, r.name, r.test, columns) for r in result.references]
    order = [signs[metric] for _, _, metric in columns]
    rows.sort(key=lambda r: (*map(_position, r.cells, order), r.kind, r.name))
    overall = [c for c in columns if c[1] == "overall"]
    sweeps = [_sweep_table(r, overall, columns[0][2], _compared_on(result)) for r in result.routers if r.sweep]
    curves = [_curve_table(result, r, overall) for r in result.routers if r.curve]
    splits = len(result.run.split.whole)
    over = (
        "" if splits == 1 else f", {splits} folds pooled" if result.run.split.pooled else f", mean of {splits} splits"
    )
    headings = tuple(c[0] for c in columns)
    limited = f" ({result.run.limited})" if result.run.limited else ""
    return Leaderboard(f"{result.run.name}: test{over}{limited}", headings, tuple(rows), tuple(sweeps), tuple(curves))


def _columns(result: RunResult) -> tuple[list[Column], dict[str, float]]:
    """Return the columns, that of the selection metric first, and metric -> 1 where larger is better, else -1."""
    selected = result.run.selection_metric
    signs = {m.name: 1.0 if m.higher_is_better else -1.0 for m in result.run.metrics}
    named = (n for n in signs if n not in (*SHOWN, *NOT_SHOWN))  # of the experiment: before what is always there
    names = dict.fromkeys((selected, "accuracy", "cost-per-10k", *named, *SHOWN))
    columns = [(n, "overall", n) for n in names if n in signs]
    first = sum(name in (selected, "accuracy", "cost-per-10k") for name, _, _ in columns)
    columns.insert(first, (f"vs {result.statistics.baseline}", AGAINST, selected))
    if "accuracy" in signs:
        tested = {scope for r in result.references for scope in r.test.scores}
        titles = {s: t for s, t in result.run.benchmark.task_groups.items() if f"group/{s}" in tested}
        columns += [(f"accuracy {t}", f"group/{s}", "accuracy") for s, t in titles.items() if len(titles) > 1]
        by = [scope for r in result.references[:1] for scope in r.test.scores if scope.startswith("by/")]
        columns += [(f"accuracy {scope.removeprefix('by/').replace('/', '=', 1)}", scope, "accuracy") for scope in by]
    return columns, signs


def _compared_on(result: RunResult) -> str:
    """Return in words on which rows the points of a sweep were compared."""
    selection = result.run.experiment["selection"]
    return f"{selection['folds']} folds of train and dev" if selection["on"] == "folds" else str(selection["on"])


def _router_row(result: RunResult, router: RouterResult, columns: Sequence[Column]) -> TableRow:
    cells = [c for c in result.cells if c.cell.name in router.cells]
    done = [c for c in cells if c.status == "done"]
    failed = len(cells) - len(done)
    notes = [
        _rank_note(result, router),
        _point_note(result, router),
        _chosen_note(done),
        f"{failed} of {len(cells)} cells failed" if failed else "",
    ]
    if done and not failed and all(c.reused for c in done):
        notes.append("reused")
    statistics = result.statistics.rows.get(router.label)
    of_row = _table_cells(result, router.test, statistics, columns)
    note = "; ".join(filter(None, notes))
    return TableRow(router.label, "router", of_row, note, _tied(result, router.label, statistics, columns[0][2]))


def _reference_row(result: RunResult, name: str, test: AggregatedScores, columns: Sequence[Column]) -> TableRow:
    statistics = result.statistics.rows.get(name)
    of_row = _table_cells(result, test, statistics, columns)
    return TableRow(name, "reference", of_row, tied=_tied(result, name, statistics, columns[0][2]))


def _tied(result: RunResult, name: str, statistics: RowStatistics | None, metric: str) -> tuple[str, ...]:
    """Return which of the baseline, the best single model and the leader a row's difference from may be chance.

    The p-value of a router is corrected, that of a reference point is not; where draws give none, nothing tells the rows apart.
    """
    found: dict[str, None] = {}
    leader = result.statistics.leader
    for other in dict.fromkeys((result.statistics.baseline, "best-single", leader)):
        difference = statistics.against.get(other, {}).get(metric) if statistics is not None and other != name else None
        if difference is not None and difference.may_be_chance:
            found["best router" if other == leader else other] = None
    return tuple(found)


def _rank_note(result: RunResult, router: RouterResult) -> str:
    """Return the places among the routers that a router takes by the selection metric in most draws, if they are several."""
    statistics = result.statistics.rows.get(router.label)
    first, last = statistics.ranks.get(result.run.selection_metric, (0, 0)) if statistics is not None else (0, 0)
    return f"rank {first} to {last} of the routers" if last > first else ""


def _point_note(result: RunResult, router: RouterResult) -> str:
    """Return which point of a sweep was chosen, on which of several splits, and by what."""
    if not any(c.cell.point for c in result.cells if c.cell.label == router.label):
        return ""
    names = {s.name for s in result.run.split.whole}
    times = Counter(point for split, point in router.points.items() if split in names)
    if not times:
        return "every point has a failed cell"
    texts = [f"{p} ({n} of {len(names)})" if len(names) > 1 else p for p, n in times.most_common()]
    if not router.sweep:
        return ", ".join(texts)
    asked = str(result.run.experiment["selection"]["rule"])
    by = f" by {', '.join(sorted(set(router.decided_by.values())))}" if router.decided_by else ""
    by += " by observed results: the router gives no estimates" if router.rule != asked else ""
    by += " as predicted" if router.rule == "predicted" else ""
    which = "cheapest within a standard error of the best" if router.rule == "one-standard-error" else "best"
    return f"{', '.join(texts)}, {which} of {len(router.sweep)} on {_compared_on(result)}{by}"


def _sweep_table(router: RouterResult, overall: Sequence[Column], selected: str, where: str) -> PointTable:
    by = next(iter(router.decided_by.values()), selected)
    shown = sorted((c for c in overall if c[0] in (*SWEPT, selected, by)), key=lambda c: c[0] != by)
    splits = sum(p.times_chosen for p in router.sweep)
    rows = []
    for point in router.sweep:
        cells = tuple(TableCell(point.values[metric]) for _, _, metric in shown)
        times = f"chosen in {point.times_chosen} of {splits}" if splits > 1 else "chosen"
        rows.append(TableRow(point.name, "point", cells, times if point.times_chosen else ""))
    how = {"predicted": " as predicted", "one-standard-error": ", one standard error"}.get(router.rule, "")
    return PointTable(f"sweep of {router.label}: {where}, by {by}{how}", tuple(c[0] for c in shown), tuple(rows))


def _curve_table(result: RunResult, router: RouterResult, overall: Sequence[Column]) -> PointTable:
    shown = [c for c in overall if c[0] in SWEPT]
    rows = tuple(
        TableRow(
            f"train = {p.train_fraction:g}",
            "point",
            _table_cells(result, p.test, RowStatistics({"overall": p.intervals}), shown),
        )
        for p in router.curve
    )
    return PointTable(f"learning curve of {router.label}: test", tuple(c[0] for c in shown), rows)


def _chosen_note(cells: Sequence[CellResult]) -> str:
    """Return what the fits themselves chose, such as ``chose lambda=30``; one value per cell where they differ."""
    values: dict[str, list[str]] = {}
    for cell in cells:
        for name, value in cell.chosen.items():
            values.setdefault(name, []).append(f"{value:.4g}" if isinstance(value, float) else str(value))
    texts = [f"{name}={' / '.join(found if len(set(found)) > 1 else found[:1])}" for name, found in values.items()]
    return f"chose {', '.join(texts)}" if texts else ""


def _table_cells(
    result: RunResult, test: AggregatedScores | None, statistics: RowStatistics | None, columns: Sequence[Column]
) -> tuple[TableCell, ...]:
    """Return the values of a row; undefined where a cell of every seed has failed, or a scope has no samples."""
    if test is None:
        return tuple(TableCell(Undefined("a cell failed for every seed")) for _ in columns)
    intervals = statistics.intervals if statistics is not None else {}
    against = statistics.against.get(result.statistics.baseline, {}) if statistics is not None else {}
    cells = []
    for _, scope, metric in columns:
        if scope == AGAINST:
            found = against.get(metric)
            missing = ITSELF if result.statistics.baseline in result.statistics.rows else NO_BASELINE
            cells.append(TableCell(found.value, _defined(found.interval)) if found is not None else missing)
            continue
        cells.append(
            TableCell(
                test.scores.get(scope, {}).get(metric, Undefined("test has no such samples")),
                _defined(intervals.get(scope, {}).get(metric)),
                test.over_seeds.get(scope, {}).get(metric),
                test.over_splits.get(scope, {}).get(metric),
            )
        )
    return tuple(cells)


def _defined(interval: Interval | Undefined | None) -> Interval | None:
    return None if isinstance(interval, Undefined) else interval


def _position(cell: TableCell, sign: float) -> float:
    return math.inf if isinstance(cell.value, Undefined) else -sign * cell.value
