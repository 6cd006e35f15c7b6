"""What error messages are made of."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the error's class if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
