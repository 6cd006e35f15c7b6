"""Neural routers keep the promises of routers, with tiny bodies of random weights."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from vlrb.testing import check_router
from vlrb_plugins.neural_routers import vlrb_routers

SPECS = {spec.name: spec for spec in vlrb_routers()}
EXPECTED: dict[str, dict[str, str]] = {}
"""Router -> promise that it breaks -> reason."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cosinecls", "routerdc", "vlc", "zooter"])
def test_neural_routers(bodies: Any, name: str) -> None:
    """One epoch over few samples."""
    fields = {field.name for field in attrs.fields(SPECS[name].params)}
    given = {k: v for k, v in bodies.parameters().items() if k in fields}
    check_router(SPECS[name], expected_failures=EXPECTED.get(name), **given, epochs=1, batch_size=32)
