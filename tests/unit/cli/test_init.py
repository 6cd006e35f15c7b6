"""How the command line ends: which status, and what is said."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from vlrb.cli import _flushed, run
from vlrb.cli.root import vlrb
from vlrb.errors import DataError, ExitCode, PluginError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Return a function that runs a command that raises."""

    def run_it(error: BaseException) -> int:
        @click.command()
        def fail() -> None:
            raise error

        monkeypatch.setitem(vlrb.commands, "fail", fail)
        return int(run(["fail"]))

    return run_it


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("no such column", where="a.csv", fix="add it"), ExitCode.USAGE, "error: a.csv: no such column"),
        (PluginError("it broke", fix="skip it"), ExitCode.PLUGIN, "error: it broke"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), ExitCode.USAGE, "No space left on device"),
        (ZeroDivisionError("surprise"), ExitCode.INTERNAL, ""),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "run the same command again to resume"),
        (click.UsageError("wrong option"), ExitCode.USAGE, "wrong option"),
    ],
)
def test_each_kind_of_failure_has_a_status(
    failing: Any, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    """Scripts decide by it whose fault it was; nothing of it goes to stdout."""
    assert failing(error) == status
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True)
    assert "Traceback" not in err or status == ExitCode.INTERNAL


def test_a_reader_that_has_enough_is_no_error(failing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vlrb list | head` ends well."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # the command line closes it
    assert failing(BrokenPipeError(errno.EPIPE, "Broken pipe")) == ExitCode.OK


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ExitCode.OK, ExitCode.USAGE),
        (OSError(errno.ENOSPC, "No space left on device"), ExitCode.PLUGIN, ExitCode.PLUGIN),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), ExitCode.OK, ExitCode.OK),
        (ValueError("I/O operation on closed file"), ExitCode.OK, ExitCode.OK),
    ],
)
def test_results_that_could_not_be_written_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, error: Exception, before: int, after: int
) -> None:
    """Output that waits is written before the status is known: `vlrb run --json > /full/disk` must not end with 0."""

    class Stream:
        def flush(self) -> None:
            raise error

    monkeypatch.setattr(sys, "stdout", Stream())
    assert _flushed(before) == after
    assert sys.stdout is None
