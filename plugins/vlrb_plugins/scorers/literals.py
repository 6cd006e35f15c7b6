"""Python list literals in cells: ``['a', 'b']``."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

LONGEST = 100_000
"""Characters of the longest text that is parsed as a literal."""

CACHED = 16_384
"""Cells whose parsed form is cached, since every model meets the same ones: more than any of the datasets has."""

_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


@lru_cache(maxsize=CACHED)
def list_literal(text: str) -> tuple[str, ...] | None:
    """Return the items of a Python list literal as texts, or None for any other text.

    Nothing is evaluated: names, calls and texts of more than ``LONGEST`` characters are not literals.
    """
    if len(text) > LONGEST or not text.lstrip(" \t").startswith("["):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of LaTeX such as '\sqrt' as an invalid escape
            value = ast.literal_eval(text)
        return tuple(str(item) for item in value) if isinstance(value, list) else None
    except _NO_LITERAL:
        return None


def alternatives(answer: str) -> tuple[str, ...]:
    """Return the gold answers of a cell: the items of a list literal, or the text itself; none for a blank cell or empty list."""
    items = list_literal(answer)
    if items is not None:
        return items
    return (answer,) if answer.strip() else ()
