"""The 14 datasets of VL-RouterBench, as records."""

from __future__ import annotations

from vlrb import Dataset, hookimpl
from vlrb_plugins.shared.paper_datasets import DATASETS


@hookimpl
def vlrb_datasets() -> tuple[Dataset, ...]:
    """Return the 14 datasets."""
    return DATASETS
