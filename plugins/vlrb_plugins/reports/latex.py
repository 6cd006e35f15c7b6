"""The leaderboard as a LaTeX table, in the layout of the paper's main table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrb import Leaderboard, RunResult, TableRow, Undefined, leaderboard, printable, write_text
from vlrb_plugins.shared.values import fixed, heading_of

_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip
_HEADINGS = {
    "accuracy": (100.0, 2, r"Accuracy \%"),
    "cost-per-10k": (1.0, 2, r"USD / 10k"),
    "rank-score": (100.0, 2, "Rank score"),
}
"""Heading of the leaderboard -> factor, digits, and heading of the table: the rank score is in percent, as the paper prints it."""


def write_latex(result: RunResult, directory: Path) -> Path:
    """Write ``leaderboard.tex``, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "leaderboard.tex"
    write_text(file, latex_table(result, leaderboard(result)))
    return file


def latex_table(result: RunResult, board: Leaderboard) -> str:
    """Return the table: reference points above, routers below, the best first; it needs the package booktabs."""
    shown = [h for h in _HEADINGS if h in board.headings]
    groups = [h for h in board.headings if h.startswith("accuracy ")]
    heads = [_HEADINGS[h][2] for h in shown] + [_escaped(heading_of(h, ())) for h in groups]
    blocks = [
        [_line(board, row, [*shown, *groups]) for row in board.rows if row.kind == kind]
        for kind in ("reference", "router")
    ]
    benchmark = result.run.benchmark
    about = benchmark.synthetic
    return "\n".join([
        f"% {printable(board.title, lines=False)}; benchmark {benchmark.fingerprint[:12]}; needs \\usepackage{{booktabs}}",
        *([f"% SYNTHETIC DATA: {printable(about, lines=False)}"] if about else []),
        rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
        r"\toprule",
        " & ".join(["Router", *heads]) + r" \\",
        *(line for block in blocks if block for line in (r"\midrule", *block)),
        r"\bottomrule",
        r"\end{tabular}",
        "",
    ])  # fmt: skip


def _line(board: Leaderboard, row: TableRow, headings: Sequence[str]) -> str:
    cells = [_value(row, board.headings.index(heading), heading) for heading in headings]
    name = _escaped(row.name)
    first = (
        f"{{{name}}}" if name.startswith(("[", "*")) else name
    )  # LaTeX would take it for an argument of the line before
    return " & ".join([first, *cells]) + r" \\"


def _value(row: TableRow, column: int, heading: str) -> str:
    """Return a value with its standard deviation over the seeds, or over the splits."""
    cell = row.cells[column]
    if isinstance(cell.value, Undefined):
        return "--"
    scale, digits, _ = _HEADINGS.get(heading, (100.0, 2, ""))
    if heading == "cost-per-10k" and 0 < cell.value < 0.1:
        digits = 4
    spread = cell.over_seeds if cell.over_seeds is not None else cell.over_splits
    text = fixed(scale * cell.value, digits)
    return text if not spread else rf"{text} $\pm$ {fixed(scale * spread, digits)}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in printable(text, lines=False))
