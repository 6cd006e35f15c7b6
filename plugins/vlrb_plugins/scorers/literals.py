"""List literals as they stand in cells: ``['a', 'b']``."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

LONGEST = 100_000
"""Characters of the longest text that is read as a literal."""

CACHED = 16_384
"""Cells whose parsed form is kept: more than any of the datasets has, since every model's answers meet the same cells."""

_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


@lru_cache(maxsize=CACHED)
def list_literal(text: str) -> tuple[str, ...] | None:
    """Return the items of a Python list literal as texts, or None for any other text.

    Only literals are read, nothing is evaluated: a name, a call or a text above ``LONGEST`` characters is no literal.
    """
    if len(text) > LONGEST or not text.lstrip(" \t").startswith("["):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LaTeX in a gold answer: '\sqrt' is an escape that Python warns of
            value = ast.literal_eval(text)
        return tuple(str(item) for item in value) if isinstance(value, list) else None
    except _NO_LITERAL:
        return None


def alternatives(answer: str) -> tuple[str, ...]:
    """Return the gold answers of a cell: the items of a list literal, or else the text itself.

    Empty for a blank cell and for an empty list: then there is no gold answer.
    """
    items = list_literal(answer)
    if items is not None:
        return items
    return (answer,) if answer.strip() else ()
