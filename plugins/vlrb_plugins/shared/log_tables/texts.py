"""Texts in tables: Python literals, and whether a text can be written as UTF-8."""

from __future__ import annotations

import ast
import warnings
from typing import Any


def python_literal(source: str) -> Any:
    """Return the value of a Python literal; nothing is ever evaluated.

    :raises ValueError: when the text is none
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a backslash before an unusual letter, as LaTeX has it, is no matter here
        try:
            return ast.literal_eval(source)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8; JSON can hold half of a surrogate pair, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
