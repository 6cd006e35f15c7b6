"""The leaderboard as files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vlrb import MetricValue, RunResult, Scores, Undefined, leaderboard, new_file, printable, write_text
from vlrb_plugins.reports.notes import leaderboard_notes
from vlrb_plugins.reports.values import cell_text

_MARKUP = re.compile(r"[\\`*_|<>\[\]~&]")

COLUMNS = (
    "kind",
    "name",
    "router",
    "seed",
    "point",
    "selected",
    "chosen",
    "split",
    "scope",
    "metric",
    "value",
    "undefined",
    "status",
    "reused",
    "synthetic",
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
    lines = [f"# {_plain(board.title)}", "", *(f"- {_plain(note)}" for note in leaderboard_notes(result, board)), ""]
    lines += ["| | " + " | ".join(("name", "kind", *board.headings, "note")) + " |"]
    lines += ["|---" * 3 + "|---:" * len(board.headings) + "|---|"]
    for number, row in enumerate(board.rows, 1):
        cells = map(cell_text, row.cells, board.headings)
        lines.append("| " + " | ".join((str(number), _plain(row.name), row.kind, *cells, _plain(row.note))) + " |")
    for sweep in board.sweeps:
        lines += ["", f"## {_plain(sweep.title)}", "", "| " + " | ".join(("point", *sweep.headings, "")) + " |"]
        lines += ["|---" + "|---:" * len(sweep.headings) + "|---|"]
        for row in sweep.rows:
            cells = map(cell_text, row.cells, sweep.headings)
            lines.append("| " + " | ".join((_plain(row.name), *cells, _plain(row.note))) + " |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return a text as Markdown that shows it as it is: one line, no markup, no cell borders, no HTML."""
    return _MARKUP.sub(r"\\\g<0>", printable(text, lines=False))


def _cell(value: object) -> object:
    """Return a value for CSV; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = printable(value, lines=False)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _csv_rows(result: RunResult) -> Iterator[dict[str, object]]:
    synthetic = {"synthetic": result.run.benchmark.synthetic}
    for reference in result.references:
        yield from _scores({"kind": "reference", "name": reference.name, **synthetic}, reference.scores)
    for cell in result.cells:
        about = {
            "kind": "router",
            "name": cell.cell.label,
            "router": cell.cell.router,
            "seed": cell.cell.seed,
            "point": cell.cell.point_name,
            "selected": result.selected(cell.cell),
            "chosen": ", ".join(f"{k}={v}" for k, v in cell.chosen.items()),
            "status": cell.status,
            "reused": cell.reused,
            **synthetic,
        }
        if cell.status == "failed":
            yield {**about, "undefined": cell.error}
        yield from _scores(about, cell.scores)


def _scores(about: Mapping[str, object], splits: Mapping[str, Scores]) -> Iterator[dict[str, object]]:
    for split, scopes in splits.items():
        for scope, values in scopes.items():
            for metric, value in values.items():
                yield {**about, "split": split, "scope": scope, "metric": metric, **_value(value)}


def _value(value: MetricValue) -> dict[str, object]:
    return {"undefined": value.reason} if isinstance(value, Undefined) else {"value": value}
