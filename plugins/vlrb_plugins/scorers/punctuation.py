"""The treatment of punctuation that VLMEvalKit's scorers of short answers and of yes/no answers share."""

from __future__ import annotations

import re

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_GROUPED = re.compile(r"\d,\d")
_PERIOD = re.compile(r"(?<!\d)\.(?!\d)")
_PERIODS = 32


def without_punctuation(text: str) -> str:
    """Return a text without its marks: each is deleted where it stands beside a space anywhere, else becomes a space.

    VLMEvalKit's rule.  A comma between digits anywhere deletes every mark; of periods, only the first 32 go, and only those
    without a digit at their side; colons, asterisks, apostrophes and all that is not ASCII stay.
    """
    grouped = _GROUPED.search(text) is not None
    table = {
        ord(mark): "" if grouped or f"{mark} " in text or f" {mark}" in text else " " for mark in _MARKS if mark in text
    }
    return _PERIOD.sub("", text.translate(table), count=_PERIODS)
