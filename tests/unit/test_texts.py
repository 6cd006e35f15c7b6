"""Texts from logs, plugins and files on their way to a terminal."""

from __future__ import annotations

import io
import logging
import re

from hypothesis import example, given
from hypothesis import strategies as st

from vlrb.texts import PrintableFormatter, accept_any_text, printable

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
