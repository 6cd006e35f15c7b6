"""The public face: each name of the stub, where it says."""

from __future__ import annotations

import importlib.util

import vlrb


def test_every_public_name_is_there() -> None:
    """Each name of the stub can be imported from its module; none is that of a module of the core."""
    for name, module in vlrb.homes().items():
        assert getattr(vlrb, name) is getattr(importlib.import_module(module), name)
        assert importlib.util.find_spec(f"vlrb.{name}") is None
    assert {"hookimpl", "RouterSpec", "param", "Queries", "Labelled", "Estimate"} <= set(dir(vlrb))
