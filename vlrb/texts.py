"""Texts from logs, plugins and files, made safe to print: control characters never reach a terminal raw."""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

_UNSAFE = (  # a text, compiled at the first use: every command imports this module
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029"
    "\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: object, *, lines: bool = True) -> str:
    """Return a text whose control characters, bidirectional overrides and lone surrogates are written as escapes.

    :param lines: keep line breaks and tabs; without, they become spaces
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
    """Print the log records of this process on stderr, from a level up; without effect where a handler is set already."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level)


def accept_any_text(*streams: TextIO) -> None:
    """Make streams write what their encoding lacks as escapes, so that no output ends in an error."""
    for stream in streams or (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
