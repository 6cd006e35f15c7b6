"""What plugins register is checked, field by field."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from vlrb import Dataset, Model, RouterSpec, hookimpl
from vlrb.errors import PluginError
from vlrb.plugins.checks import records_of
from vlrb.plugins.plugin import Plugin


@pytest.mark.parametrize(
    ("kind", "record", "said"),
    [
        ("dataset", lambda: Dataset(name="d", samples=-4), "samples must be a positive integer, or None, not -4"),
        ("dataset", lambda: Dataset(name="d", circular="yes"), "circular must be True or False, not 'yes'"),  # type: ignore[arg-type]
        ("model", lambda: Model(name="m", open="maybe"), "open must be True, False or None, not 'maybe'"),  # type: ignore[arg-type]
        ("router", lambda: RouterSpec(name="r", summary=5, factory=print), "summary must be a text, not 5"),  # type: ignore[arg-type]
        ("router", lambda: RouterSpec(name="r", summary="", factory=print, load=5), "load must be callable, not 5"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("resolved", [False, True])
def test_every_field_of_a_record_is_checked(kind: str, record: Any, said: str, resolved: bool) -> None:
    """Also once an experiment file has declared such a record, or a plugin has resolved the types of its class."""
    if resolved and kind != "router":
        attrs.resolve_types(Dataset)
        attrs.resolve_types(Model)
    hook = f"vlrb_{kind}s"
    plugin = Plugin("p", "d", "1", "o", object=SimpleNamespace(**{hook: hookimpl(lambda: [record()])}))

    with pytest.raises(PluginError, match=said):
        records_of(plugin, kind)
