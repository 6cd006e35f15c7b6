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
            summary="leaderboard.md to read, leaderboard.csv with every metric overall, per task group and per dataset, leaderboard.tex "
            "as a table for a paper",
            factory="vlrb_plugins.reports.board:LeaderboardReport",
        ),
        ReporterSpec(
            name="html",
            summary="report.html, a page with what follows from a run, its leaderboard, figures and telling samples; figures as files",
            factory="vlrb_plugins.reports.html.report:HtmlReport",
            params=HtmlParams,
        ),
    ]
