"""What plugins raise and return, in words: no object of a plugin is trusted to have a text, nor a text to be short or printable."""

from __future__ import annotations

import reprlib
import traceback
from collections.abc import Callable

from vlrb.redact import without_credentials
from vlrb.texts import printable

MOST = 2_000
"""Characters of a message or a value that are shown."""

MOST_OF_TRACEBACK = 40_000

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 200


def describe_error(error: BaseException) -> str:
    """Return class and message of an exception on whatever terms it gives them."""
    return f"{printable(type(error).__name__)}: {shorten_text(_text(str, error))}"


def short_repr(value: object) -> str:
    """Return a value as its ``repr`` would show it, shortened; its class where that fails."""
    return shorten_text(_text(_short.repr, value), 400)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception and of what led to it; of a very long one beginning and end."""
    text = _text(lambda e: "".join(traceback.format_exception(e)), error)
    if len(text) > MOST_OF_TRACEBACK:
        half = MOST_OF_TRACEBACK // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"
    return printable(text)


def shorten_text(text: str, most: int = MOST) -> str:
    """Return the beginning of a text, printable, and how much was left out."""
    return printable(text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)")


def is_text(value: object) -> bool:
    """Tell whether a value is a text that can be written: no lone surrogates."""
    if not isinstance(value, str):
        return False
    try:
        str.encode(value, "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _text(make: Callable[..., str], value: object) -> str:
    try:
        return without_credentials(str.__str__(make(value)))  # a plain text, even where a subclass of str came
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"
