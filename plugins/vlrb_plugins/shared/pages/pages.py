"""Rendering a plugin's template into a page of HTML that stands on its own.

A template extends ``page.html.j2`` and fills its blocks; ``parts.html.j2`` has macros for the records of :mod:`.tables`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from vlrb import printable

if TYPE_CHECKING:
    from jinja2 import Environment

OWN = __package__

_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(f"{chr(p * 0x10000 + n)}" for p in range(17) for n in (0xFFFE, 0xFFFF)) + "]"
)
"""Code points that Unicode keeps free, which HTML refuses."""


def render_page(package: str, template: str, context: Mapping[str, Any], scripts: Sequence[str] = ()) -> str:
    """Return a page of HTML as one file, which requests nothing from elsewhere.

    Every value is escaped; what cannot be printed is shown as an escape.

    :param package: the plugin's package, whose folder has the template; ``__package__`` of a module in it
    :param template: the name of the template's file
    :param context: the values that the template may name
    :param scripts: further scripts in that folder; no other script runs, nor do handlers in attributes
    """
    from markupsafe import Markup

    code = [_text_of(OWN, "page.js"), *(_text_of(package, name) for name in scripts)]
    shared = {
        "policy": _policy(code),
        "page_style": Markup(_text_of(OWN, "page.css")),
        "page_scripts": [Markup(text) for text in code],
    }
    return _environment(package).get_template(template).render({**context, **shared})


def visible_text(value: object) -> str:
    """Return a value as one line of text; what cannot be printed, or stands for nothing in HTML, is an escape."""
    return _NO_CHARACTERS.sub(lambda m: f"\\u{ord(m[0]):04x}", printable(value, lines=False))


def _policy(scripts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _text_of(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader(OWN, "")]),
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else visible_text(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
