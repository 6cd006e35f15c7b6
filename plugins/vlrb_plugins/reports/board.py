"""The report ``leaderboard``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrb import FinishedRun, NoParams
from vlrb_plugins.reports.latex import write_latex
from vlrb_plugins.reports.tables import write_leaderboard


class LeaderboardReport:
    """Writes the leaderboard of a run as files, and gives it as a text for the terminal."""

    def __init__(self, _: NoParams) -> None: ...

    def __call__(self, run: FinishedRun, directory: Path) -> Sequence[Path]:
        """Write ``leaderboard.md``, ``leaderboard.csv`` and ``leaderboard.tex``."""
        return [*write_leaderboard(run.result, directory), write_latex(run.result, directory)]

    def text(self, run: FinishedRun) -> str:
        """Return the leaderboard for the terminal."""
        from vlrb_plugins.reports.terminal import print_leaderboard
        from vlrb_plugins.shared.text_table import text_for_stdout

        return text_for_stdout(lambda out: print_leaderboard(run.result, out))
