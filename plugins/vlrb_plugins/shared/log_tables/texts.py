"""Texts in tables: Python literals, and whether a text can be written as UTF-8."""

from __future__ import annotations

import ast
import warnings
from typing import Any


def python_literal(source: str) -> Any:
    """Return the value of a Python literal; nothing is ever evaluated.

    :raises ValueError: when the text is not one
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape, as LaTeX has many, is harmless here
        try:
            return ast.literal_eval(source)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from None


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8; JSON can hold lone surrogates, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
