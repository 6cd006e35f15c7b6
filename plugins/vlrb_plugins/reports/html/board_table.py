"""The leaderboard as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from vlrb import Leaderboard, MetricInfo, PointTable, RunResult, TableCell, TableRow, Undefined
from vlrb_plugins.reports.notes import note_text
from vlrb_plugins.shared.pages.tables import UNKNOWN, Cell, Column, Table, name_cell, shortened
from vlrb_plugins.shared.values import heading_of, interval_text, spread_text, value_text

LONG = 60


def board_table(result: RunResult, board: Leaderboard) -> Table:
    """Return the leaderboard: a row's intervals stand under its values, the best of the routers in each column is marked."""
    best = _best_places(result, board)
    rows = [
        (
            _row_cell(row),
            *(
                _value_cell(c, h, marked=(i, j) in best)
                for j, (c, h) in enumerate(zip(row.cells, board.headings, strict=True))
            ),
        )
        for i, row in enumerate(board.rows)
    ]
    columns = (
        Column(
            "name", "a router; or a reference point, which looks at labels or chooses one model for all samples", "name"
        ),
        *(_column(h, result) for h in board.headings),
    )
    level = f"{100 * result.statistics.level:g} %"
    caption = (
        f"{board.title}. Under a value: its {level} interval; ± is a standard deviation over seeds / splits. The best router of "
        "a column is bold and underlined."
    )
    return Table(id="leaderboard-table", caption=caption, columns=columns, rows=tuple(rows))


def points_table(number: int, points: PointTable, metrics: Sequence[MetricInfo]) -> Table:
    """Return the points of a sweep or of a learning curve."""
    rows = [
        (Cell(r.name), *(_value_cell(c, h) for c, h in zip(r.cells, points.headings, strict=True)), Cell(r.note))
        for r in points.rows
    ]
    columns = (
        Column("point", holds="name"),
        *(Column(heading_of(h, metrics)) for h in points.headings),
        Column("note", holds="name"),
    )
    return Table(id=f"points-{number}", caption=points.title, columns=columns, rows=tuple(rows))


def _row_cell(row: TableRow) -> Cell:
    kind = "" if row.kind == "router" else f"{row.kind} point"
    return attrs.evolve(name_cell(row.name, LONG), detail=tuple(filter(None, (kind, note_text(row)))))


def _column(heading: str, result: RunResult) -> Column:
    meaning = next((m.summary for m in result.run.metrics if m.name == heading), "")
    if heading.startswith("vs "):
        meaning = f"difference from {result.statistics.baseline} in the first column, on the same samples"
    if heading.startswith("accuracy "):
        meaning = "accuracy on these samples"
    return Column(heading_of(heading, result.run.metrics), meaning)


def _value_cell(cell: TableCell, heading: str, *, marked: bool = False) -> Cell:
    if isinstance(cell.value, Undefined):
        return Cell(UNKNOWN, whole=cell.value.reason, detail=(shortened(cell.value.reason),))
    varies = cell.over_seeds or cell.over_splits
    lines = (spread_text(cell, heading) if varies else "", interval_text(cell, heading))
    return Cell(value_text(cell, heading), mark="best" if marked else "", detail=tuple(filter(None, lines)))


def _best_places(result: RunResult, board: Leaderboard) -> set[tuple[int, int]]:
    """Return row and column of the routers' best values, where there are several routers."""
    higher = {m.name: m.higher_is_better for m in result.run.metrics}
    routers = [(i, row) for i, row in enumerate(board.rows) if row.kind == "router"]
    found: set[tuple[int, int]] = set()
    for j, heading in enumerate(board.headings):
        if heading == "requests-per-second":  # the routers that do nothing win
            continue
        metric = result.run.selection_metric if heading.startswith("vs ") else heading.partition(" ")[0]
        sign = 1 if higher.get(metric, True) else -1
        known = [(sign * v, i) for i, row in routers if not isinstance(v := _value(row, j), Undefined)]
        if len(known) > 1:
            found |= {(i, j) for v, i in known if v == max(known)[0]}
    return found


def _value(row: TableRow, column: int) -> float | Undefined:
    return row.cells[column].value
