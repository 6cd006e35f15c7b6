"""Reports: the leaderboard on the terminal, as Markdown and as CSV."""

from __future__ import annotations

from vlrb import ReporterSpec, hookimpl


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the report ``leaderboard``."""
    return [
        ReporterSpec(
            name="leaderboard",
            summary="leaderboard.md to read, leaderboard.csv with every metric overall, per task group and per dataset",
            factory="vlrb_plugins.reports.board:LeaderboardReport",
        )
    ]
