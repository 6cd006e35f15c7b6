"""Texts from logs, plugins and files, and what exceptions say, on their way to a terminal or a file."""

from __future__ import annotations

import io
import logging
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlrb.executor import error_text
from vlrb.texts import (
    PrintableFormatter,
    accept_any_text,
    describe_error,
    is_text,
    printable,
    short_repr,
    shorten_text,
    traceback_of,
)

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@given(st.text(st.characters(codec=None), max_size=20))
@example("\x1b]0;title\x07\r\n\ud800")
def test_no_control_character_gets_through(text: str) -> None:
    """Escape sequences, bidirectional overrides and lone surrogates are shown as escapes; line breaks may stay."""
    shown, line = printable(text), printable(text, lines=False)

    assert not CONTROL.search(shown)
    assert not CONTROL.search(line)
    assert not set("\n\t") & set(line)
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20))
def test_ordinary_text_stays(text: str) -> None:
    """Letters of any script, signs and emoji are shown as they are."""
    assert printable(text) == text


def test_what_a_character_was_can_be_read() -> None:
    """The escapes are those of Python and JSON."""
    assert printable("a\x1b[31mb\udc80") == "a\\x1b[31mb\\udc80"


def test_log_records_are_printable() -> None:
    """A warning that quotes a file name cannot move the cursor."""
    record = logging.LogRecord("vlrb", logging.WARNING, "", 1, "file %s", ("a\x1b[2J",), None)

    assert PrintableFormatter("%(message)s").format(record) == "file a\\x1b[2J"


def test_any_encoding_takes_any_text() -> None:
    """A terminal in ASCII or Latin-1 gets escapes instead of ending the command."""
    for encoding in ("ascii", "latin-1", "cp1252", "utf-8"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        accept_any_text(stream)
        stream.write("┏ ± 漢 \ud800")
        stream.flush()
        assert raw.getvalue()


class Mute(Exception):
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __str__


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
    """For any value that a plugin returns: a short text that can be written."""
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


PASSWORD = "hunter2"


def test_what_a_plugin_raises_is_shown_without_credentials() -> None:
    """An HTTP client quotes the address that it was given; neither message nor traceback passes its password on."""
    try:
        raise OSError("cannot reach http://me:hunter2@host/")
    except OSError as error:
        said = describe_error(error), traceback_of(error)

    assert all("http://***@host/" in text for text in said)
    assert not any(PASSWORD in text for text in said)
