"""The curve of a fit: kept as it goes, whatever ends the fit, and read back as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import DataError, StorageError
from vlrb.running.cell_files import journaling_log, read_curve, write_curve


def ignored(_step: int, _values: Any) -> None:
    """Take what a journal passes on."""


def test_points_come_back_sorted_and_the_last_value_counts(tmp_path: Path) -> None:
    """Protects a curve whose fit was killed and done again in part: each step and name once, with the newest value."""
    journal = tmp_path / "curve.jsonl"
    passed: list[Any] = []
    log = journaling_log(journal, "cell", lambda step, values: passed.append((step, values)))
    log(2, {"loss": 0.1, "accuracy": 70})
    log(1, {"loss": 0.30000000000000004, "b\u2028\n": 1e-300})
    journaling_log(journal, "cell", ignored)(2, {"loss": 0.2})
    write_curve(journal, tmp_path)
    expected = ((1, "b\u2028\n", 1e-300), (1, "loss", 0.30000000000000004), (2, "accuracy", 70.0), (2, "loss", 0.2))
    assert read_curve(tmp_path) == expected
    assert passed == [(2, {"loss": 0.1, "accuracy": 70.0}), (1, {"loss": 0.30000000000000004, "b\u2028\n": 1e-300})]


@pytest.mark.parametrize("cut", range(1, 22))
def test_a_line_that_a_kill_cut_off_spoils_no_other(tmp_path: Path, cut: int) -> None:
    """Protects the values logged before and after a kill in the middle of writing one."""
    journal = tmp_path / "curve.jsonl"
    log = journaling_log(journal, "cell", ignored)
    log(1, {"loss": 0.5})
    log(2, {"lössig": 0.25})
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-cut])
    log(3, {"loss": 0.125})
    write_curve(journal, tmp_path)
    assert read_curve(tmp_path) == ((1, "loss", 0.5), (3, "loss", 0.125))


def test_nothing_logged_is_no_file(tmp_path: Path) -> None:
    """Protects cells of routers that log nothing: no empty file, an empty curve."""
    write_curve(tmp_path / "curve.jsonl", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_curve(tmp_path) == ()


def test_what_is_not_finite_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Protects the rule that a failure is never a number, and the other values of the step."""
    journal = tmp_path / "curve.jsonl"
    journaling_log(journal, "the cell", ignored)(7, {"loss": math.nan, "gap": math.inf, "rate": 0.5})
    write_curve(journal, tmp_path)
    assert read_curve(tmp_path) == ((7, "rate", 0.5),)
    (record,) = caplog.records
    assert "the cell" in record.getMessage()
    assert "step 7" in record.getMessage()


@pytest.mark.parametrize(("step", "name"), [(2**63, "loss"), (0, "\ud800")], ids=["step", "name"])
def test_what_no_file_can_hold_is_refused_when_it_is_logged(tmp_path: Path, step: int, name: str) -> None:
    """Protects a long fit against a value that would make writing its curve fail in the end."""
    with pytest.raises(ValueError, match="curve|encode"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(step, {name: 1.0})
    assert not (tmp_path / "curve.jsonl").exists()


def test_a_broken_curve_is_named(tmp_path: Path) -> None:
    """Protects a reader of a damaged run: the error names the file."""
    (tmp_path / "curve.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"curve\.parquet"):
        read_curve(tmp_path)


def test_a_journal_that_cannot_be_written_is_no_fault_of_the_router(tmp_path: Path) -> None:
    """Protects a router from the blame for what the system refuses."""
    (tmp_path / "curve.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"curve\.jsonl"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(1, {"loss": 1.0})


def test_what_is_logged_after_the_end_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Protects a run from a thread that a router has left behind."""
    journaling_log(tmp_path / "gone" / "curve.jsonl", "cell", ignored)(1, {"loss": 1.0})

    assert "after the fit had ended" in caplog.text


@pytest.mark.parametrize(("step", "value"), [(1.5, 1.0), (1, "3"), (float("nan"), 1.0)])
def test_no_step_or_value_is_changed_silently(tmp_path: Path, step: Any, value: Any) -> None:
    """Protects a curve against steps that are cut off and texts that look like numbers."""
    with pytest.raises(ValueError, match="curve|NaN"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(step, {"loss": value})
