"""Tests of plugins: what each kind of component promises, small data, and fixtures for pytest.

``check_router(SPEC)`` tries all promises of a router and raises :class:`BrokenPromise`; ``test_promises = router_checks(SPEC)``
makes a test of each.  ``__init__.pyi`` lists all names; each is imported when it is first asked for, since pytest loads the
fixtures in every session of an environment where vlrb is installed.
"""

from __future__ import annotations

import importlib as _importlib
import re as _re
from functools import cache as _cache
from pathlib import Path as _Path


@_cache
def _homes() -> dict[str, str]:
    """Return name -> module of everything that tests may import from here; checks of kinds are made in ``kinds``."""
    stub = _Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    named = {name: module for module, name in _re.findall(r"^from (\S+) import (\w+) as", stub, _re.MULTILINE)}
    return named | dict.fromkeys(_re.findall(r"^def (\w+)\(", stub, _re.MULTILINE), "vlrb.testing.kinds")


def __getattr__(name: str) -> object:
    if name.startswith("_") or name not in _homes():
        raise AttributeError(f"module 'vlrb.testing' has no attribute {name!r}")
    module = _importlib.import_module(_homes()[name])
    value = globals()[name] = module.CHECKS[name] if name in getattr(module, "CHECKS", ()) else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(_homes())
