"""The hooks: all known to the loader, each used, each documented."""

from __future__ import annotations

import inspect

from vlrb.api import hookspecs
from vlrb.api.hookspecs import LIFECYCLE, REGISTRATION
from vlrb.cli.catalog import hook_list
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection


def test_the_loader_knows_every_hook_of_the_specs() -> None:
    """A hook that is specified and not known to the loader would never be called."""
    specified = {n for n in vars(hookspecs) if n.startswith("vlrb_")}

    assert specified == REGISTRATION | LIFECYCLE
    assert {name for name, _, _ in hook_list()} == specified


def test_every_hook_has_a_bundled_plugin_that_uses_it() -> None:
    """No hook is there on speculation."""
    registry = load(Selection())
    used = {h for p in registry.plugins for h in dir(p.object) if h.startswith("vlrb_")}

    assert REGISTRATION | LIFECYCLE <= used


def test_every_hook_says_when_it_is_called_and_how_it_is_used() -> None:
    """A plugin's author reads the hook and copies three lines."""
    for name in REGISTRATION | LIFECYCLE:
        doc = inspect.getdoc(getattr(hookspecs, name)) or ""
        assert f"@hookimpl\n    def {name}(" in doc, name
        assert ":return:" in doc or ":param" in doc, name
