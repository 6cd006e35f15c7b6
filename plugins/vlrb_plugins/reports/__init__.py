"""Reports: the leaderboard as Markdown and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vlrb import NoParams, ReporterSpec, hookimpl

if TYPE_CHECKING:
    from vlrb import RunResult


def _leaderboard(_: NoParams) -> Callable[[RunResult, Path], Sequence[Path]]:
    from vlrb_plugins.reports.tables import write_leaderboard

    return write_leaderboard


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the report ``leaderboard``."""
    return [
        ReporterSpec(
            name="leaderboard",
            summary="leaderboard.md to read, leaderboard.csv with every metric overall, per task group and per dataset",
            factory=_leaderboard,
        )
    ]
