"""Errors that a user can act on: nothing unprintable or secret in them, the whole of them in every process, and hints."""

from __future__ import annotations

import errno
import pickle

import pytest

from vlrb.errors import (
    RIGHTS,
    STORAGE,
    ConfigError,
    DataError,
    ExitCode,
    PluginError,
    Problem,
    StorageError,
    TrackingError,
    VlrbError,
    did_you_mean,
    named_samples,
    shorten_list,
)

PASSWORD = "hunter2"


def test_problems_are_printable() -> None:
    """Messages, places and fixes of all errors, from any source."""
    problem = Problem("a\udcff", "b\x1b", "c\nd", ("e\x07",))

    assert (problem.message, problem.where, problem.fix) == ("a\\udcff", "b\\x1b", "c\nd")
    assert problem.samples == ("e\\x07",)


def test_no_problem_shows_credentials_or_control_characters() -> None:
    """Whatever a library or a plugin puts into its message: message, place and fix are made safe."""
    text = "http://me:hunter2@host/\x1b[2J"
    shown = str(DataError(Problem(text, text, text)))

    assert PASSWORD not in shown
    assert "\x1b" not in shown
    assert shown.count("http://***@host/\\x1b[2J") == 3


@pytest.mark.parametrize(
    ("where", "fix", "shown"),
    [("a.csv", "add it", "a.csv: lost\n    fix: add it"), ("", "add it", "lost\n    fix: add it"), ("", "", "lost")],
)
def test_a_problem_is_shown_with_its_place_and_fix(where: str, fix: str, shown: str) -> None:
    """What is not known leaves no empty line or colon."""
    assert str(Problem("lost", where, fix)) == shown


def test_the_samples_of_a_problem_may_stand_in_its_place() -> None:
    """A plugin that names one sample only writes it as the place; encoding goes on without these samples."""
    assert named_samples(Problem("m", "a/1", samples=("a/2", "a/3"))) == {"a/1", "a/2", "a/3"}


@pytest.mark.parametrize("kind", [VlrbError, ConfigError, DataError, StorageError, PluginError, TrackingError])
def test_an_error_keeps_all_of_its_problems_between_processes(kind: type[VlrbError]) -> None:
    """Work is done in other processes, whose errors come back as what they were: a class decides the exit status."""
    error = kind([Problem("one", "a", "b", ("s",)), Problem("two")])
    found = pickle.loads(pickle.dumps(error))

    assert type(found) is kind
    assert found.problems == error.problems
    assert str(found) == str(error) == "a: one\n    fix: b\ntwo"


def test_scripts_can_rely_on_the_exit_status() -> None:
    """The numbers are documented: a script decides by them whose fault a failure was."""
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "CELLS_FAILED": 1, "INTERRUPTED": 2, "INTERNAL": 3, "USAGE": 4, "PLUGIN": 5, "TRACKING": 6,
    }  # fmt: skip
    kinds = (VlrbError, ConfigError, DataError, StorageError, PluginError, TrackingError)
    assert [k.exit_code for k in kinds] == [3, 4, 4, 4, 5, 6]


@pytest.mark.parametrize("number", [*STORAGE, errno.EACCES])
def test_an_error_of_the_system_says_what_to_do(number: int) -> None:
    """The fix depends on what is wrong; the place is the file that the system names, else the one that was written."""
    (named,) = StorageError.of(OSError(number, "refused", "/a/b"), "/x").problems
    (unnamed,) = StorageError.of(OSError(number, "refused"), "/x").problems

    assert (named.message, named.where, unnamed.where) == ("refused", "/a/b", "/x")
    assert named.fix == STORAGE.get(number, RIGHTS)


def test_an_odd_error_of_the_system_has_a_message_all_the_same() -> None:
    """One without a number and a text, as plugins raise it."""
    (problem,) = StorageError.of(OSError("odd")).problems

    assert (problem.message, problem.where, problem.fix) == ("odd", "the file system", RIGHTS)


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("knm", ["knn", "mlp"], "did you mean 'knn'?"),
        ("K", ["mlp", "knn", "kmeans"], "did you mean 'kmeans' or 'knn'?"),
        ("tiny-", ["tiny-1", "tiny-2", "tiny-3", "tiny-4"], "did you mean 'tiny-1' or 'tiny-2' or 'tiny-3'?"),
        ("zzz", ["knn", "mlp", "knn"], "known: knn, mlp"),
        ("", ["knn"], "known: knn"),
        ("knn", [], "none available"),
    ],
)
def test_a_wrong_name_gets_a_hint(name: str, known: list[str], said: str) -> None:
    """The closest names, those that begin with it first; else what there is."""
    assert did_you_mean(name, known) == said


def test_long_lists_are_shortened() -> None:
    """Of a thousand names some are listed, and it is said how many more there are."""
    names = [f"model-{i:04}" for i in range(1234)]

    assert did_you_mean("zzz", names).endswith("and 1,204 more")
    assert shorten_list(names) == "model-0000, model-0001, model-0002, model-0003, model-0004 and 1,229 more"
    assert shorten_list(names[:5]) == "model-0000, model-0001, model-0002, model-0003, model-0004"
    assert shorten_list([]) == ""
