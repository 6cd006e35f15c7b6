"""`vlrb report`: which run, and in which form."""

from __future__ import annotations

from typing import Any

from vlrb.errors import ExitCode


def test_report_of_a_run_that_is_not_there_is_an_error(project: Any) -> None:
    """With the place where runs are looked for."""
    shown = project.vlrb("report", "nosuch")

    assert (shown.status, shown.out) == (ExitCode.USAGE, "")
    assert "nosuch" in shown.err
