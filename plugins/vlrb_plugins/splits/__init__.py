"""Splitters: into train, dev and test by groups, sample by sample, or as the logs say."""

from __future__ import annotations

from vlrb import SplitterSpec, hookimpl
from vlrb_plugins.splits.params import GroupedParams, SamplesParams


@hookimpl
def vlrb_splitters() -> list[SplitterSpec]:
    """Return the splitters ``grouped``, ``samples`` and ``given``."""
    place = "vlrb_plugins.splits.splitters"
    return [
        SplitterSpec(
            name="grouped",
            summary="questions that share an image or a group stay together; each dataset in the same shares",
            factory=f"{place}:Grouped",
            params=GroupedParams,
        ),
        SplitterSpec(
            name="samples",
            summary="VL-RouterBench's: a numpy-seeded shuffle of the samples, whatever they share",
            factory=f"{place}:Samples",
            params=SamplesParams,
        ),
        SplitterSpec(name="given", summary="the split that the logs prescribe", factory=f"{place}:Given"),
    ]
