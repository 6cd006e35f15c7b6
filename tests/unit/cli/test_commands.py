"""The commands, in this process: what they print, for people and for programs."""

from __future__ import annotations

from typing import Any

import pytest

from vlrb.errors import ExitCode

CHEAPEST = '[[router]]\nuse = "cheapest"\n'


def test_check_prints_what_would_be_run(project: Any) -> None:
    """One of a thing in the singular; that there is no router; that the data are made up."""
    shown = project.vlrb("check", project.experiment('[[router]]\nuse = "cheapest"\n', "seeds = [1, 2]"))
    assert "2 datasets, 3 models, 2 cells on each split, 1 router\n" in shown.out
    assert "made up for the tests" in shown.out
    assert "enough for `vlrb build`" not in shown.out

    assert "enough for `vlrb build`" in project.vlrb("check", project.experiment("")).out


def test_run_reports_failed_cells_and_where_to_read_on(project: Any) -> None:
    """Status 1, the reason and the file with all of it; the other cells have their results."""
    shown = project.vlrb("run", project.experiment(CHEAPEST + '[[router]]\nuse = "faulty"\nfault = "raise"\n'))

    assert shown.status == ExitCode.CELLS_FAILED
    assert "error: faulty-seed42 failed: " in shown.err
    assert "see runs/t/" in shown.err
    assert "error.txt" in shown.err
    assert "results: runs/t/" in shown.out


@pytest.mark.parametrize(("fresh", "again"), [([], True), (["--fresh"], False), (["--fresh", "cheapest"], False)])
def test_fresh_takes_no_file_for_a_label(project: Any, fresh: list[str], again: bool) -> None:
    """`--fresh experiment.toml` is all routers of that file."""
    file = project.experiment(CHEAPEST)
    project.vlrb("run", file)
    shown = project.vlrb("run", *fresh, file)

    assert shown.status == 0, shown.err
    assert ("finished before" in shown.out) == again
    assert "Missing argument 'FILE'" in project.vlrb("run", *fresh[:1]).err


def test_build_exports_and_lists_what_it_wrote(project: Any) -> None:
    """A benchmark in another form, in a new folder; a folder that holds something is refused before any work."""
    file = project.experiment(CHEAPEST)
    report = project.vlrb("build", file, "--no-review", "--export", "records", "out", "--json").json
    assert [f for f in report["exported"] if "out" in f]
    assert report["page"].endswith(".html")

    again = project.vlrb("build", file, "--export", "records", "out")
    assert (again.status, "--export" in again.err) == (ExitCode.USAGE, True)
    assert "did you mean 'records'" in project.vlrb("build", file, "--export", "record", "new").err
