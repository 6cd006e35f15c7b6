"""What is printed, where, and in which form."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys

import pytest

from vlrb import interrupts
from vlrb.cli import output
from vlrb.cli.output import echo_json, echo_styled, passed_over, print_problems, prints_to_stderr, progress_bars
from vlrb.errors import DataError, Problem
from vlrb.executor import stage


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "é"), ("latin-1", "\\u00e9")])
def test_json_is_written_in_what_stdout_can_hold(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str) -> None:
    """It is JSON in any encoding, and strict."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    echo_json({"a": "é"})
    sys.stdout.flush()

    assert json.loads(raw.getvalue()) == {"a": "é"}
    assert shown.encode() in raw.getvalue()
    with pytest.raises(ValueError):
        echo_json(float("nan"))


def test_colours_stay_and_other_control_characters_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A report may colour its table; a title sequence from a log may not reach the terminal."""
    echo_styled("\x1b[1mbold\x1b[0m\x1b]0;title\x07\n")

    assert capsys.readouterr().out == "\x1b[1mbold\x1b[0m\\x1b]0;title\\x07\n"


def test_of_very_many_problems_the_first_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """With the number of the others."""
    print_problems(DataError([Problem(f"p{i}", "", "fix it") for i in range(1022)]))
    lines = capsys.readouterr().err.splitlines()

    assert lines[-1] == "... and 1,002 more problems like these"
    assert sum(line.startswith("error: ") for line in lines) == output.MOST_PROBLEMS


def test_files_are_passed_over_by_reason() -> None:
    """A line for each reason, not for each of thousands of files."""
    ignored = {"a": "no log", "b": "too old", "c": "no log", "d": "no log"}

    assert passed_over(ignored) == ["passed over: a and 2 more (no log)", "passed over: b (too old)"]


@pytest.mark.parametrize("terminal", ["stdout", "stderr"])
def test_meanwhile_stdout_tells_what_it_is(terminal: str) -> None:
    """A report makes its table for stdout: without colours for a file, although stderr is a terminal."""
    code = (
        "import sys\nfrom vlrb.cli.output import prints_to_stderr\n"
        "with prints_to_stderr(): found = sys.stdout.isatty()\nprint(found)"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], **{"stdout": -1, "stderr": -1, terminal: theirs})
    out = process.communicate()[0]
    os.close(theirs)

    assert (os.read(ours, 100) if terminal == "stdout" else out).split() == [str(terminal == "stdout").encode()]
    os.close(ours)


def test_what_is_printed_meanwhile_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """From Python and from below it; stdout works again afterwards, also after an error."""
    with pytest.raises(RuntimeError), prints_to_stderr():
        sys.stdout.write("from Python")
        os.write(1, b"from below\n")
        raise RuntimeError
    sys.stdout.write("result\n")
    sys.stdout.flush()
    out, err = capfd.readouterr()

    assert out == "result\n"
    assert "from Python" in err
    assert "from below" in err


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of each task, then one per interval, and always the last: a log of thousands of lines helps nobody."""
    now = 0.0
    monkeypatch.setattr(output.time, "monotonic", lambda: now)
    with progress_bars() as progress:
        for done in (1, 2, 3):
            progress("a\x07", done, 5)
        now += output.PLAIN_INTERVAL + 1
        for done in (4, 5):
            progress("a\x07", done, 5)

    assert capsys.readouterr().err == "a\\x07: 1/5\na\\x07: 4/5\na\\x07: 5/5\n"


def test_work_of_unknown_length_is_shown_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands there from the beginning to the end, without a count; a log gets no line."""
    with progress_bars() as progress, stage(progress, "listing"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bars() as progress:
        with stage(progress, "listing"):
            assert "listing" in capsys.readouterr().err
        progress("next", 1, 2)
        last = capsys.readouterr().err.rpartition("next")[0].rpartition("\n")[2]
    assert "listing" not in last
    assert "/?" not in last


@pytest.mark.parametrize("terminal", [True, False])
def test_a_quiet_command_shows_no_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """With -q, whose log level is ERROR, nothing is written; interrupts are looked for all the same."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(logging.getLogger(), "level", logging.ERROR)
    checked: list[int] = []
    monkeypatch.setattr(interrupts, "check", lambda: checked.append(1))
    with progress_bars() as progress:
        progress("a", 2, 2)

    assert (capsys.readouterr().err, checked) == ("", [1])


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_looks_for_interrupts(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """One that a plugin swallowed ends the work at the next step."""

    def swallowed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupts, "check", swallowed)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with pytest.raises(KeyboardInterrupt), progress_bars() as progress:
        progress("a", 1, 2)


def test_bars_show_the_task_as_it_is_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets in a label are no markup."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bars() as progress:
        progress("fitting [red]", 1, 2)

    assert "fitting [red]" in capsys.readouterr().err
