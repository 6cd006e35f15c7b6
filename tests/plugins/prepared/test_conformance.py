"""The log source ``prepared`` keeps the promises of log sources."""

from __future__ import annotations

from typing import Any

import attrs

from vlrb import Model
from vlrb.testing import check_log_source
from vlrb_plugins.prepared import vlrb_log_sources


def test_prepared(prepared: Any) -> None:
    """A whole folder, of two datasets and two models."""
    prepared.write()
    catalog = attrs.evolve(prepared.catalog, models=(*prepared.catalog.models, Model(name="small")))

    check_log_source(vlrb_log_sources()[0], catalog=catalog, path=prepared.root)
