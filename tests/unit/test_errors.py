"""Errors that a user can act on: nothing unprintable or secret in them, the whole of them in every process, and hints."""

from __future__ import annotations

from vlrb.errors import DataError, Problem


def test_problems_are_printable() -> None:
    """Messages, places and fixes of all errors, whoever makes them."""
    problem = Problem("a\udcff", "b\x1b", "c\nd")

    assert (problem.message, problem.where, problem.fix) == ("a\\udcff", "b\\x1b", "c\nd")


PASSWORD = "hunter2"


def test_no_problem_shows_credentials_or_control_characters() -> None:
    """Whatever a library or a plugin puts into its message: message, place and fix are made safe."""
    text = "http://me:hunter2@host/\x1b[2J"
    shown = str(DataError(Problem(text, text, text)))

    assert PASSWORD not in shown
    assert "\x1b" not in shown
    assert shown.count("http://***@host/\\x1b[2J") == 3
