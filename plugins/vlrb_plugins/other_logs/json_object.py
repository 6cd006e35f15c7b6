"""A file with one large JSON object, streamed: its members, and those of its lists one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import attrs

from vlrb import DataError
from vlrb_plugins.shared.log_tables.json_lines import DECODER, LONGEST_LINE
from vlrb_plugins.shared.log_tables.limits import refuse_special

_PIECE = 256 * 1024
_TAIL = 16
"""An error this near the end of what was read may be an incomplete value: an escape, a number, a word."""

_SPACE = " \t\n\r"


def json_members(path: Path, streamed: str) -> Iterator[tuple[str, int, Any]]:
    """Yield name, size in characters and value of the members of the object in a file, in their order.

    The list of the name ``streamed`` is yielded element by element.  A file that does not begin with an object has no members.

    :raises DataError: when the file cannot be read, is broken, or has an element that is too large
    """
    refuse_special(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = _Text(path, file)
            if text.peek() != "{":
                return
            for name in text.items("{", "}"):
                text.expect(":")
                if name == streamed and text.peek() == "[":
                    for size, value in text.elements():
                        yield name, size, value
                    continue
                size, value = text.value()
                yield name, size, value
            if text.peek():
                raise text.error("something follows the end of the object")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise DataError(what, where=str(path), fix="check the file's permissions") from None
    except UnicodeDecodeError as error:
        raise DataError(f"is not encoded as UTF-8: {error}", where=str(path), fix="save the file as UTF-8") from None


@attrs.define(eq=False)
class _Text:
    """The text of a file as far as it is needed."""

    path: Path
    file: TextIO
    text: str = ""
    at: int = 0
    before: int = 0
    ended: bool = False

    def items(self, opening: str, closing: str) -> Iterator[str]:
        """Yield the names of an object's members; their values are to be read in between."""
        self.expect(opening)
        if self.peek() == closing:
            self.expect(closing)
            return
        while True:
            if self.peek() != '"':
                raise self.error('a name in "..." is missing')
            yield self.value()[1]
            if self.peek() == closing:
                break
            self.expect(",")
        self.expect(closing)

    def elements(self) -> Iterator[tuple[int, Any]]:
        """Yield size and value of a list's elements."""
        self.expect("[")
        if self.peek() != "]":
            yield self.value()
            while self.peek() == ",":
                self.expect(",")
                yield self.value()
        self.expect("]")

    def peek(self) -> str:
        """Return the next character that is not space; an empty text at the end of the file."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self._more()

    def expect(self, character: str) -> None:
        """Pass over a character.

        :raises DataError: when it is not there
        """
        if self.peek() != character:
            raise self.error(f"{character!r} is missing")
        self.at += 1

    def value(self) -> tuple[int, Any]:
        """Return size and value of what comes next.

        :raises DataError: when it is broken or too large
        """
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as error:
                if self.ended or not self._may_go_on(error):
                    raise self.error(str(error)) from None
            else:
                cut = isinstance(value, int | float) and end > len(self.text) - _TAIL  # 1.5 may be a part of 1.5e-7
                if self.ended or not cut:
                    size, self.at = end - self.at, end
                    return size, value
            if len(self.text) - self.at > LONGEST_LINE:
                raise self.error(f"a value is longer than {LONGEST_LINE:,} characters")
            self._more()

    def _may_go_on(self, error: Exception) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos > len(self.text) - _TAIL

    def _more(self) -> None:
        """Read about as much as waits already, so that no text is decoded more than a few times."""
        waiting = self.text[self.at :]
        piece = self.file.read(max(_PIECE, len(waiting)))
        self.before += self.at
        self.text, self.at, self.ended = waiting + piece, 0, not piece

    def error(self, what: str) -> DataError:
        """Return the error for what comes next."""
        where = f"{self.path}, character {self.before + self.at + 1}"
        return DataError(f"is not JSON: {what}", where=where, fix="write the file again; it may be cut off")
