"""Texts in Markdown that show as they are."""

from __future__ import annotations

import re

from vlrb import printable

_MARKUP = re.compile(r"^(\d+(?=[.)](?: |$))|(?=[-+] |---))|(?=[\\`*_|\[\]~#])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def in_markdown(text: str) -> str:
    """Return a text as Markdown that shows it as it is: one line, no markup, no cell borders, no HTML."""
    return _MARKUP.sub(r"\1\\", printable(text, lines=False).strip()).translate(_ENTITIES)
