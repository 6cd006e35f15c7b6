"""Removal of punctuation, as VLMEvalKit's scorers of short answers and of yes/no answers do it."""

from __future__ import annotations

import re

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_GROUPED = re.compile(r"\d,\d")
_PERIOD = re.compile(r"(?<!\d)\.(?!\d)")
_PERIODS = 32


def without_punctuation(text: str) -> str:
    """Return a text without punctuation: a mark that is next to a space anywhere is deleted, others become spaces.

    VLMEvalKit's rule.  With a comma between digits anywhere, every mark is deleted; of periods, only the first 32 without an
    adjacent digit are; colons, asterisks, apostrophes and all non-ASCII characters remain.
    """
    grouped = _GROUPED.search(text) is not None
    table = {
        ord(mark): "" if grouped or f"{mark} " in text or f" {mark}" in text else " " for mark in _MARKS if mark in text
    }
    return _PERIOD.sub("", text.translate(table), count=_PERIODS)
