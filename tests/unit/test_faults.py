"""What plugins raise and return, in words that can always be printed and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import STORAGE, DataError, ExitCode, PluginError, Problem, StorageError, VlrbError
from vlrb.executor import error_text
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.plugin import Plugin
from vlrb.storage import read_json, write_json, write_text
from vlrb.texts import describe_error, is_text, short_repr, shorten_text, traceback_of

PLUGIN = Plugin("mine", "mine.py", "", "mine.py")


ODD: Any = [1, 2]


class Mute(Exception):
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__


class Down(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("\udcff bad"), "ValueError: \\udcff bad"),
        (ValueError("\x1b[31m"), "ValueError: \\x1b[31m"),
        (Mute(), "Mute: <Mute, which cannot be shown: LookupError>"),
        (ValueError("x" * 10**6), "(1,000,000 characters)"),
    ],
    ids=["surrogate", "escape", "mute", "long"],
)
def test_any_exception_can_be_told(error: BaseException, said: str) -> None:
    """A message that cannot be printed, made or held: short printable text that UTF-8 can write."""
    text = describe_error(error)

    assert said in text
    assert len(text) < 3000
    assert len(traceback_of(error)) < 50_000
    text.encode()
    error_text(error).encode()


@pytest.mark.parametrize("value", [Mute(), "x" * 10**6, list(range(10**5)), 10**5000, {"a": "\udcff"}], ids=type)
def test_any_value_can_be_shown(value: Any) -> None:
    """Whatever a plugin returned: a short text that can be written."""
    assert len(short_repr(value).encode()) < 500


def test_cut_says_how_much_there_was() -> None:
    """A shortened message shows that it is one."""
    assert shorten_text("abc", 3) == "abc"
    assert shorten_text("abcd", 3) == "abc... (4 characters)"


@pytest.mark.parametrize(
    ("value", "is_one"), [("a", True), ("\udcff", False), (5, False), (None, False), (b"a", False)]
)
def test_a_text_can_be_written(value: object, is_one: bool) -> None:
    """A lone surrogate is no text: neither Arrow nor UTF-8 can hold it."""
    assert is_text(value) is is_one


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"), Down("bad"), GeneratorExit("bad"), SystemExit("bad"), VlrbError("bad"), DataError([]),
        DataError(ODD), OSError([], "bad"), BaseExceptionGroup("bad", [Down()]),
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_a_plugin_raises_is_its_fault(error: BaseException) -> None:
    """Exit status 5 and the plugin's name, also for exceptions that no `except Exception` catches."""
    with pytest.raises(PluginError) as caught, blame(PLUGIN, "working"):
        raise error

    assert "plugin 'mine'" in str(caught.value)
    assert caught.value.exit_code == ExitCode.PLUGIN


def test_interrupts_and_errors_of_vlrb_are_nobodys_fault() -> None:
    """An interrupt, an error about data and a full disk stay what they are; a plugin's own class becomes vlrb's."""

    class Own(DataError):
        pass

    with pytest.raises(KeyboardInterrupt), blame(PLUGIN, "working"):
        raise KeyboardInterrupt
    with pytest.raises(DataError) as caught, blame(PLUGIN, "working"):
        raise Own("the file is \udcff")
    assert type(caught.value) is DataError
    assert "\\udcff" in str(caught.value)
    with pytest.raises(StorageError), blame(PLUGIN, "working"):
        raise OSError(next(iter(STORAGE)), "full")


def test_only_steps_of_a_plugins_iterator_are_blamed() -> None:
    """What the core does with a value between two steps is not the plugin's; a hostile iterator is."""

    def values() -> Any:
        yield 1
        raise Down("in the middle")

    with pytest.raises(PluginError):
        list(blamed(values(), PLUGIN, "yielding"))
    with pytest.raises(PluginError):
        list(blamed(None, PLUGIN, "yielding"))  # type: ignore[arg-type]
    steps = blamed(iter([1, 2]), PLUGIN, "yielding")
    assert next(steps) == 1
    steps.close()
    with pytest.raises(ZeroDivisionError):
        for _ in blamed([1], PLUGIN, "yielding"):
            raise ZeroDivisionError


def test_files_can_hold_any_text(tmp_path: Path) -> None:
    """A lone surrogate is an escape in a text file, and in JSON one that reads back."""
    write_text(tmp_path / "a.txt", "\udcff\n")
    write_json(tmp_path / "a.json", {"é\udcff": "\udcff"})

    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "\\udcff\n"
    assert read_json(tmp_path / "a.json") == {"é\udcff": "\udcff"}
    assert json.loads((tmp_path / "a.json").read_bytes())


def test_problems_are_printable() -> None:
    """Messages, places and fixes of all errors, whoever makes them."""
    problem = Problem("a\udcff", "b\x1b", "c\nd")

    assert (problem.message, problem.where, problem.fix) == ("a\\udcff", "b\\x1b", "c\nd")
