"""vlrb: a plugin-based benchmark harness for routing between vision-language models.

What a plugin needs is here: ``from vlrb import RouterSpec, hookimpl, param``.  ``__init__.pyi`` lists all names; each is
imported from its module when it is first asked for, so that a plugin pays for what it uses only.  For notebooks:
``vlrb.run``, ``vlrb.load_run``, ``vlrb.load_benchmark`` and ``vlrb.evaluate``.
"""

from __future__ import annotations

import importlib as _importlib
import re as _re
from functools import cache as _cache
from pathlib import Path as _Path

__version__ = "0.1.0"


@_cache
def homes() -> dict[str, str]:
    """Return name -> module of everything that plugins may import from ``vlrb``."""
    stub = _Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {name: module for module, name in _re.findall(r"^from (\S+) import (\w+) as", stub, _re.MULTILINE)}


def __getattr__(name: str) -> object:
    if name.startswith("_") or name not in homes():
        raise AttributeError(f"module 'vlrb' has no attribute {name!r}")
    value = globals()[name] = getattr(_importlib.import_module(homes()[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({"__version__", *homes()})
