"""The leaderboard as files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from vlrb import (
    AggregatedScores,
    Interval,
    Leaderboard,
    MetricValue,
    PointTable,
    RunResult,
    Undefined,
    leaderboard,
    new_file,
    printable,
    write_text,
)
from vlrb_plugins.reports.notes import leaderboard_notes, note_text
from vlrb_plugins.shared.markdown import in_markdown
from vlrb_plugins.shared.values import cell_text, heading_of

COLUMNS = (
    "kind",
    "name",
    "router",
    "seed",
    "point",
    "split_name",
    "selected",
    "chosen",
    "split",
    "scope",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "over_seeds",
    "over_splits",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "undefined",
    "status",
    "reused",
    "synthetic",
    "limited",
)


def write_leaderboard(result: RunResult, directory: Path) -> list[Path]:
    """Write ``leaderboard.md`` and ``leaderboard.csv``, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    markdown, table = directory / "leaderboard.md", directory / "leaderboard.csv"
    write_text(markdown, _markdown(result))
    with new_file(table) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in _csv_rows(result))
    return [markdown, table]


def _markdown(result: RunResult) -> str:
    board = leaderboard(result)
    lines = [
        f"# {in_markdown(board.title)}",
        "",
        *(f"- {in_markdown(note)}" for note in leaderboard_notes(result, board)),
        "",
    ]
    lines += ["| | " + " | ".join(("name", "kind", *_headings(result, board), "note")) + " |"]
    lines += ["|---" * 3 + "|---:" * len(board.headings) + "|---|"]
    for number, row in enumerate(board.rows, 1):
        cells = map(cell_text, row.cells, board.headings)
        lines.append(
            "| "
            + " | ".join((str(number), in_markdown(row.name), row.kind, *cells, in_markdown(note_text(row))))
            + " |"
        )
    for sweep in (*board.sweeps, *board.curves):
        lines += [
            "",
            f"## {in_markdown(sweep.title)}",
            "",
            "| " + " | ".join(("point", *_headings(result, sweep), "")) + " |",
        ]
        lines += ["|---" + "|---:" * len(sweep.headings) + "|---|"]
        for row in sweep.rows:
            cells = map(cell_text, row.cells, sweep.headings)
            lines.append("| " + " | ".join((in_markdown(row.name), *cells, in_markdown(row.note))) + " |")
    return "\n".join(lines) + "\n"


def _headings(result: RunResult, table: Leaderboard | PointTable) -> list[str]:
    return [in_markdown(heading_of(h, result.run.metrics)) for h in table.headings]


def _cell(value: object) -> object:
    """Return a value for CSV; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = printable(value, lines=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _csv_rows(result: RunResult) -> Iterator[dict[str, object]]:
    data = {"synthetic": result.run.benchmark.synthetic, "limited": result.run.limited}
    for reference in result.references:
        yield from _overall(result, {"kind": "reference", "name": reference.name, **data}, reference.test)
    for router in result.routers:
        if router.test is not None:
            yield from _overall(result, {"kind": "router", "name": router.label, **data}, router.test)
    for cell in result.cells:
        about = {
            "kind": "cell",
            "name": cell.cell.label,
            "router": cell.cell.router,
            "seed": cell.cell.seed,
            "point": cell.cell.point_name,
            "split_name": cell.cell.split_name,
            "selected": result.selected(cell.cell),
            "chosen": ", ".join(f"{k}={v}" for k, v in cell.chosen.items()),
            "status": cell.status,
            "reused": cell.reused,
            **data,
        }
        if cell.status == "failed":
            yield {**about, "undefined": cell.error}
        for part, scopes in cell.scores.items():
            for scope, values in scopes.items():
                for metric, value in values.items():
                    yield {**about, "split": part, "scope": scope, "metric": metric, **_value(value)}


def _overall(result: RunResult, about: Mapping[str, object], test: AggregatedScores) -> Iterator[dict[str, object]]:
    """Yield the rows of a line of the leaderboard: values with intervals, deviations, and differences from the baseline."""
    statistics = result.statistics.rows.get(str(about["name"]))
    against = statistics.against.get(result.statistics.baseline, {}) if statistics is not None else {}
    for scope, values in test.scores.items():
        for metric, value in values.items():
            row = {**about, "split": "test", "scope": scope, "metric": metric, **_value(value)}
            interval = statistics.intervals.get(scope, {}).get(metric) if statistics is not None else None
            if isinstance(interval, Interval):
                row |= {"ci_low": interval.low, "ci_high": interval.high}
            row |= {"over_seeds": test.over_seeds.get(scope, {}).get(metric, "")}
            row |= {"over_splits": test.over_splits.get(scope, {}).get(metric, "")}
            if scope == "overall" and metric in against:
                difference = against[metric]
                row |= {"difference": _value(difference.value).get("value", "")}
                row |= {n: v for n in ("p", "p_holm") if not isinstance(v := getattr(difference, n), Undefined)}
                if isinstance(difference.interval, Interval):
                    row |= {"difference_low": difference.interval.low, "difference_high": difference.interval.high}
            yield row


def _value(value: MetricValue) -> dict[str, object]:
    return {"undefined": value.reason} if isinstance(value, Undefined) else {"value": value}
