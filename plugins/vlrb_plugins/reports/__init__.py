"""Reports on runs: the leaderboard (terminal, Markdown, CSV, LaTeX), and a page of HTML with figures."""

from __future__ import annotations

from vlrb import ReporterSpec, hookimpl
from vlrb_plugins.reports.html.params import HtmlParams


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the reports ``leaderboard`` and ``html``."""
    return [
        ReporterSpec(
            name="leaderboard",
            summary="leaderboard.md to read, leaderboard.csv with every metric in every scope, leaderboard.tex for papers",
            factory="vlrb_plugins.reports.board:LeaderboardReport",
        ),
        ReporterSpec(
            name="html",
            summary="a page: what follows from the run, leaderboard, figures, telling samples; figures as SVG and PNG",
            factory="vlrb_plugins.reports.html.report:HtmlReport",
            params=HtmlParams,
        ),
    ]
