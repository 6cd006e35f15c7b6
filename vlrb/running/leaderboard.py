"""The leaderboard of a run: routers (mean over their seeds) and reference points, the best first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import attrs

from vlrb.api.results import CellResult, MetricInfo, RunResult
from vlrb.api.routing import MetricValue, Undefined

SHOWN = ("accuracy", "cost-per-10k", "rank-score", "oracle-gap-closed", "requests-per-second")
SWEPT = ("accuracy", "cost-per-10k", "rank-score", "oracle-gap-closed")

Column = tuple[str, tuple[str, str]]
"""A heading, and where its values stand: scope and metric."""


@attrs.frozen
class TableCell:
    """A value of the table: mean over seeds, and the standard deviation where there are several."""

    value: MetricValue
    deviation: float | None = None


@attrs.frozen
class TableRow:
    """A line of the leaderboard."""

    name: str
    kind: str
    cells: tuple[TableCell, ...]
    note: str = ""


@attrs.frozen
class SweepTable:
    """The points of a router's sweep on the split on which the winner, marked by its note, was chosen."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]


@attrs.frozen
class Leaderboard:
    """Headings and rows on test, and the sweeps whose winners stand among the rows.

    The first column is that of the selection metric; rows are ordered by the columns, from the left.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]
    sweeps: tuple[SweepTable, ...] = ()


def leaderboard(result: RunResult) -> Leaderboard:
    """Return the leaderboard of a finished run."""
    run = result.run
    names = [m.name for m in run.metrics]
    selected = str(run.experiment["selection"]["metric"]).rpartition("/")[2]
    shown = [n for n in (selected, *SHOWN, *(n for n in names if n not in _KNOWN)) if n in names]
    columns = [(n, ("overall", n)) for n in dict.fromkeys(shown)]
    if "accuracy" in names:
        columns += [(f"accuracy {title}", (f"group/{slug}", "accuracy")) for slug, title in _groups(result).items()]
    by_label: dict[str, list[CellResult]] = {}
    for cell in result.cells:
        by_label.setdefault(cell.cell.label, []).append(cell)
    rows = [_winner_row(label, cells, columns, result) for label, cells in by_label.items()]
    rows += [
        TableRow(r.name, "reference", tuple(TableCell(_value(r.scores.get("test", {}), at)) for _, at in columns))
        for r in result.references
    ]
    signs = [_sign(run.metrics, name) for _, (_, name) in columns]
    rows.sort(key=lambda r: (*(_position(c, s) for c, s in zip(r.cells, signs, strict=True)), r.kind, r.name))
    headings = tuple(n for n, _ in columns)
    sweeps = tuple(s for label, cells in by_label.items() if (s := _sweep(label, cells, columns, result)) is not None)
    return Leaderboard(f"{run.name}: test", headings, tuple(rows), sweeps)


def _points(cells: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    points: dict[str, list[CellResult]] = {}
    for cell in cells:
        points.setdefault(cell.cell.point_name, []).append(cell)
    return points


def _winner_row(label: str, cells: Sequence[CellResult], columns: Sequence[Column], result: RunResult) -> TableRow:
    """Return the row of a router: that of its sweep's winner, which was chosen without a look at the columns."""
    points = _points(cells)
    if len(points) == 1:
        return _router_row(label, cells, columns)
    winner = result.winners.get(label)
    if winner is None:
        note = f"all {len(points)} points have a failed cell"
        return TableRow(label, "router", tuple(_mean([]) for _ in columns), note)
    row = _router_row(label, points[winner], columns)
    on = result.run.experiment["selection"]["on"]
    by = f" by {result.decided_by[label]}" if label in result.decided_by else ""
    note = f"{winner}, best of {len(points)} on {on}{by}"
    return attrs.evolve(row, note="; ".join(n for n in (note, row.note) if n))


def _sweep(label: str, cells: Sequence[CellResult], columns: Sequence[Column], result: RunResult) -> SweepTable | None:
    points = _points(cells)
    if len(points) == 1:
        return None
    on = str(result.run.experiment["selection"]["on"])
    selected = str(result.run.experiment["selection"]["metric"]).rpartition("/")[2]
    by = result.decided_by.get(label, selected)
    kept = [c for c in columns if c[1][0] == "overall" and c[0] in (*SWEPT, selected, by)]
    kept.sort(key=lambda c: c[0] != by)
    rows = []
    for point, those in points.items():
        row = _router_row(point, those, kept, on)
        mark = "chosen" if result.winners.get(label) == point else row.note
        rows.append(attrs.evolve(row, kind="point", note=mark))
    seeds = len(cells) // len(points)
    title = f"sweep of {label}: {on}, by {by}" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    return SweepTable(title, tuple(n for n, _ in kept), tuple(rows))


_KNOWN = frozenset({*SHOWN, "mean-score", "average-cost", "tokens-per-second", "routing-ms", "encoding-ms"})


def _groups(result: RunResult) -> dict[str, str]:
    """Return slug -> title of the task groups that have test samples; nothing where it is one, that of all samples."""
    tested = {scope for r in result.references for scope in r.scores.get("test", {})}
    found = {slug: title for slug, title in result.run.benchmark.task_groups.items() if f"group/{slug}" in tested}
    return found if len(found) > 1 else {}


def _router_row(label: str, cells: Sequence[CellResult], columns: Sequence[Column], split: str = "test") -> TableRow:
    failed = [c for c in cells if c.status == "failed"]
    done = [c for c in cells if c.status == "done"]
    notes = [_chosen_note(done), f"{len(failed)} of {len(cells)} cells failed" if failed else ""]
    if not failed and done and all(c.reused for c in done):
        notes.append("reused")
    note = "; ".join(n for n in notes if n)
    values = [[_value(c.scores[split], at) for c in done] for _, at in columns]
    return TableRow(label, "router", tuple(_mean(v) for v in values), note)


def _chosen_note(cells: Sequence[CellResult]) -> str:
    """Return what the fits themselves chose, such as ``chose lambda=30``; one value per seed where they differ."""
    values: dict[str, list[str]] = {}
    for cell in cells:
        for name, value in cell.chosen.items():
            values.setdefault(name, []).append(f"{value:.4g}" if isinstance(value, float) else str(value))
    texts = [f"{name}={' / '.join(found if len(set(found)) > 1 else found[:1])}" for name, found in values.items()]
    return f"chose {', '.join(texts)}" if texts else ""


def _mean(values: Sequence[MetricValue]) -> TableCell:
    numbers = [v for v in values if not isinstance(v, Undefined)]
    if not values or len(numbers) < len(values):
        undefined = next((v for v in values if isinstance(v, Undefined)), Undefined("no cell has finished"))
        return TableCell(undefined)
    return TableCell(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


def _value(scores: object, at: tuple[str, str]) -> MetricValue:
    scope, name = at
    values = scores.get(scope, {}) if isinstance(scores, dict) else {}
    found: MetricValue = values.get(name, Undefined("there are no such samples on test"))
    return found


def _position(cell: TableCell, sign: float) -> float:
    return math.inf if isinstance(cell.value, Undefined) else -sign * cell.value


def _sign(metrics: Sequence[MetricInfo], name: str) -> float:
    return next((1.0 if m.higher_is_better else -1.0 for m in metrics if m.name == name), 1.0)
