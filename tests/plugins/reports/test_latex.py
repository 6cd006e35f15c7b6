"""The leaderboard as a LaTeX table."""

from __future__ import annotations

from pathlib import Path

import attrs
from finished import finished_run
from made_run import Made, made_run

from vlrb import leaderboard
from vlrb_plugins.reports.latex import latex_table


def lines(result: object) -> list[str]:
    return latex_table(result, leaderboard(result)).splitlines()  # type: ignore[arg-type]


def test_rows_are_routers_and_columns_as_in_the_paper() -> None:
    """Reference points above, routers below, the best first; ± over seeds; failed routers have dashes."""
    table = lines(finished_run())

    assert table[1:] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Router & Accuracy \% & Rank score \\",
        r"\midrule",
        r"oracle & 100.00 & 90.00 \\",
        r"\midrule",
        r"good & 80.00 & 70.00 \\",
        r"middling & 60.00 $\pm$ 14.14 & 55.00 $\pm$ 7.07 \\",
        r"costless & 90.00 & -- \\",
        r"broken & -- & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_costs_and_synthetic_data_stand_in_the_table(tmp_path: Path) -> None:
    """Small costs have more digits, and what synthetic data are is a comment of one line."""
    table = lines(made_run(tmp_path, Made(synthetic="made\nup")).result)

    assert table[1] == r"% SYNTHETIC DATA: made up"
    assert r"Router & Accuracy \% & USD / 10k & Rank score \\" in table


def test_names_are_escaped(tmp_path: Path) -> None:
    """Whatever LaTeX would take for a command, a comment or a column."""
    result = made_run(tmp_path, Made(routers=('a_b&c%d#e{f}$g~h^i\\j<k>|"`', "x"))).result
    line = next(row for row in lines(result) if row.startswith("a"))

    assert line.startswith(
        r"a\_b\&c\%d\#e\{f\}\$g\textasciitilde{}h\textasciicircum{}i\textbackslash{}j\textless{}k\textgreater{}\textbar{}"
        r"{\char34}\textasciigrave{} & "
    )
    evolved = attrs.evolve(result, run=attrs.evolve(result.run, name="50 %\nx"))
    assert lines(evolved)[0].startswith("% 50 % x: test;")


def test_a_name_does_not_become_an_argument_of_the_line_before(tmp_path: Path) -> None:
    """After the end of a row, LaTeX reads a bracket or an asterisk as an argument."""
    rows = lines(made_run(tmp_path, Made(routers=("[1]", "*x"))).result)

    assert {row.partition(" & ")[0] for row in rows} >= {"{[1]}", "{*x}"}
