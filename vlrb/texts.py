"""Texts from logs, plugins and files, made safe to print, and what plugins raise and return, as short printable text."""

from __future__ import annotations

import contextlib
import logging
import re
import reprlib
import sys
import traceback
from collections.abc import Callable
from typing import TextIO

from vlrb.redact import without_credentials

_UNSAFE = (  # a text, compiled at the first use: every command imports this module
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029"
    "\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: object, *, lines: bool = True) -> str:
    """Return a text with control characters, bidirectional overrides and lone surrogates written as escapes.

    :param lines: keep line breaks and tabs, instead of turning them into spaces
    """
    shown = re.sub(_UNSAFE, _escape, str(text).replace("\r\n", "\n"))
    return shown if lines else " ".join(shown.split("\n")).replace("\t", " ")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class PrintableFormatter(logging.Formatter):
    """A log formatter whose records are printable."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return printable(super().format(record))


def print_records(level: int) -> None:
    """Print the log records of this process on stderr, from a level up, unless a handler is set already."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level)


def accept_any_text(*streams: TextIO) -> None:
    """Make streams write characters that their encoding lacks as escapes."""
    for stream in streams or (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


MOST = 2_000
"""Characters of a message that are shown."""
MOST_OF_TRACEBACK = 40_000
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 200


def describe_error(error: BaseException) -> str:
    """Return class and message of an exception."""
    return f"{printable(type(error).__name__)}: {shorten_text(_text(str, error))}"


def short_repr(value: object) -> str:
    """Return the ``repr`` of a value, shortened; its class where that fails."""
    return shorten_text(_text(_short.repr, value), 400)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception and its causes; of a very long one beginning and end."""
    text = _text(lambda e: "".join(traceback.format_exception(e)), error)
    if len(text) > MOST_OF_TRACEBACK:
        half = MOST_OF_TRACEBACK // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"
    return printable(text)


def shorten_text(text: str, most: int = MOST) -> str:
    """Return the beginning of a text, printable, and its length if it is cut."""
    return printable(text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)")


def is_text(value: object) -> bool:
    """Tell whether a value is a text without lone surrogates, which can be written."""
    if isinstance(value, str):
        with contextlib.suppress(UnicodeEncodeError):
            str.encode(value, "utf-8")
            return True
    return False


def _text(make: Callable[..., str], value: object) -> str:
    try:
        return without_credentials(str.__str__(make(value)))  # a plain text, even where a subclass of str came
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"
