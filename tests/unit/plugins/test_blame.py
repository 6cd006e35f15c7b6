"""Whose fault it is: what plugin code raises is the plugin's, unless it is the user's, the system's or vlrb's to say."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from vlrb.errors import STORAGE, DataError, ExitCode, PluginError, StorageError, VlrbError
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.plugin import Plugin

PLUGIN = Plugin("p", "d", "1", "o", object=object())


class OwnError(DataError):
    """An error of a plugin's own class."""


def emptied() -> VlrbError:
    error = DataError("x", fix="y")
    error.problems = ()
    return error


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ZeroDivisionError("x"), PluginError),
        (SystemExit(3), PluginError),
        (GeneratorExit(), PluginError),
        (DataError("x", fix="y"), DataError),
        (OwnError("x", fix="y"), DataError),
        (emptied(), PluginError),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError),
        (FileNotFoundError(errno.ENOENT, "x"), PluginError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_a_plugin_raises_becomes_an_error_that_every_process_knows(raised: BaseException, kind: type) -> None:
    """Errors about data pass, a full disk is the system's, an interrupt the user's; all else is the plugin's."""
    with pytest.raises(BaseException) as caught, blame(PLUGIN, "working"):
        raise raised

    assert type(caught.value) is kind
    if kind is PluginError:
        assert "plugin 'p' (d 1) failed while working" in str(caught.value)
        assert "-p no:d/p" in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (DataError("no"), "plugin 'p' (d 1), reading: no"),
        (OwnError("no"), "plugin 'p' (d 1), reading: no"),
        (DataError("no", where="a.tsv"), "a.tsv: no"),
        (DataError("no", fix="yes"), "no\n    fix: yes"),
        (PluginError("no", fix="yes"), "plugin 'p' (d 1), reading: no\n    fix: yes"),
        (PluginError(f"{PLUGIN.label} says no", fix="yes"), "plugin 'p' (d 1) says no\n    fix: yes"),
    ],
)
def test_an_error_that_says_no_more_names_the_plugin(raised: VlrbError, said: str) -> None:
    """`error: no` would tell a user nothing; a plugin that says where, or what to do, is shown as it is."""
    with pytest.raises(VlrbError) as caught, blame(PLUGIN, "reading"):
        raise raised

    assert str(caught.value) == said


def test_only_the_plugins_steps_are_blamed_on_it() -> None:
    """What vlrb does with a value that a plugin yielded is vlrb's own, and the plugin's generator is closed."""
    ended: list[Any] = []

    def values() -> Iterator[int]:
        try:
            yield 1
            raise ZeroDivisionError
        finally:
            ended.append(1)

    with pytest.raises(RuntimeError, match="own"):
        for _ in blamed(values(), PLUGIN, "reading"):
            raise RuntimeError("own")
    with pytest.raises(PluginError, match="reading"):
        list(blamed(values(), PLUGIN, "reading"))
    with pytest.raises(PluginError, match="not iterable"):
        list(blamed(3, PLUGIN, "reading"))  # type: ignore[arg-type]
    assert len(ended) == 2


ODD: Any = [1, 2]


class Down(BaseException):
    pass


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

    assert "plugin 'p'" in str(caught.value)
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
