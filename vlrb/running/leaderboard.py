"""The leaderboard of a run: routers (mean over their seeds) and reference points, the best first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import attrs

from vlrb.api.results import CellResult, RunResult, Scores
from vlrb.api.routing import MetricValue, Undefined
from vlrb.running.results import cells_by_point

SWEPT = ("accuracy", "cost-per-10k", "rank-score", "oracle-gap-closed")
SHOWN = (*SWEPT, "requests-per-second")
NOT_SHOWN = ("mean-score", "average-cost", "tokens-per-second", "routing-ms", "encoding-ms")

Column = tuple[str, str, str]
"""A heading, and the scope and metric of its values."""


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
    selection = result.run.experiment["selection"]
    selected, on = str(selection["metric"]).rpartition("/")[2], str(selection["on"])
    signs = {m.name: 1.0 if m.higher_is_better else -1.0 for m in result.run.metrics}
    names = dict.fromkeys((selected, *SHOWN, *(n for n in signs if n not in NOT_SHOWN)))
    columns = [(n, "overall", n) for n in names if n in signs]
    overall = tuple(columns)
    if "accuracy" in signs:
        columns += [(f"accuracy {title}", f"group/{slug}", "accuracy") for slug, title in _groups(result).items()]
    rows, sweeps = [], []
    for label, points in cells_by_point(result.cells).items():
        winner, by = result.winners.get(label), result.decided_by.get(label)
        if len(points) == 1:
            winner, note = next(iter(points)), ""
        elif winner is None:
            note = f"all {len(points)} points have a failed cell"
        else:
            note = f"{winner}, best of {len(points)} on {on}" + (f" by {by}" if by else "")
        rows.append(_router_row(label, () if winner is None else points[winner], columns, note=note))
        if len(points) > 1:
            by = by or selected
            shown = sorted((c for c in overall if c[0] in (*SWEPT, selected, by)), key=lambda c: c[0] != by)
            of_points = [_router_row(p, cells, shown, on, "point") for p, cells in points.items()]
            marked = tuple(attrs.evolve(r, note="chosen") if r.name == winner else r for r in of_points)
            seeds = len(next(iter(points.values())))
            title = f"sweep of {label}: {on}, by {by}" + (f", mean of {seeds} seeds" if seeds > 1 else "")
            sweeps.append(SweepTable(title, tuple(c[0] for c in shown), marked))
    rows += [TableRow(r.name, "reference", _mean_cells([r.scores.get("test", {})], columns)) for r in result.references]
    order = [signs[metric] for _, _, metric in columns]
    rows.sort(key=lambda r: (*map(_position, r.cells, order), r.kind, r.name))
    return Leaderboard(f"{result.run.name}: test", tuple(c[0] for c in columns), tuple(rows), tuple(sweeps))


def _groups(result: RunResult) -> dict[str, str]:
    """Return slug -> title of the task groups with test samples; none where a single group holds all samples."""
    tested = {scope for r in result.references for scope in r.scores.get("test", {})}
    found = {slug: title for slug, title in result.run.benchmark.task_groups.items() if f"group/{slug}" in tested}
    return found if len(found) > 1 else {}


def _router_row(
    name: str,
    cells: Sequence[CellResult],
    columns: Sequence[Column],
    split: str = "test",
    kind: str = "router",
    note: str = "",
) -> TableRow:
    done = [c for c in cells if c.status == "done"]
    failed = len(cells) - len(done)
    notes = [note, _chosen_note(done), f"{failed} of {len(cells)} cells failed" if failed else ""]
    if done and not failed and all(c.reused for c in done):
        notes.append("reused")
    return TableRow(name, kind, _mean_cells([c.scores[split] for c in done], columns), "; ".join(filter(None, notes)))


def _chosen_note(cells: Sequence[CellResult]) -> str:
    """Return what the fits themselves chose, such as ``chose lambda=30``; one value per seed where they differ."""
    values: dict[str, list[str]] = {}
    for cell in cells:
        for name, value in cell.chosen.items():
            values.setdefault(name, []).append(f"{value:.4g}" if isinstance(value, float) else str(value))
    texts = [f"{name}={' / '.join(found if len(set(found)) > 1 else found[:1])}" for name, found in values.items()]
    return f"chose {', '.join(texts)}" if texts else ""


def _mean_cells(scores: Sequence[Scores], columns: Sequence[Column]) -> tuple[TableCell, ...]:
    """Return the means of some cells' values; undefined where one of them is."""
    missing = Undefined("there are no such samples on test")
    return tuple(_mean([s.get(scope, {}).get(metric, missing) for s in scores]) for _, scope, metric in columns)


def _mean(values: Sequence[MetricValue]) -> TableCell:
    numbers = [v for v in values if not isinstance(v, Undefined)]
    if not values or len(numbers) < len(values):
        return TableCell(next((v for v in values if isinstance(v, Undefined)), Undefined("no cell has finished")))
    return TableCell(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


def _position(cell: TableCell, sign: float) -> float:
    return math.inf if isinstance(cell.value, Undefined) else -sign * cell.value
