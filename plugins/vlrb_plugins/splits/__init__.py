"""Splitters: into train, dev and test by groups, sample by sample, as the logs say, or by dataset."""

from __future__ import annotations

from vlrb import SplitterSpec, hookimpl
from vlrb_plugins.splits.params import GivenParams, GroupedParams, HoldOutParams, LeaveOneOutParams, SamplesParams


@hookimpl
def vlrb_splitters() -> list[SplitterSpec]:
    """Return the splitters."""
    return [
        SplitterSpec(
            name="grouped",
            summary="questions that share an image or a group stay together; each dataset in the same shares",
            factory="vlrb_plugins.splits.splitters:Grouped",
            params=GroupedParams,
        ),
        SplitterSpec(
            name="samples",
            summary="VL-RouterBench's: a numpy-seeded shuffle of the samples, whatever they share",
            factory="vlrb_plugins.splits.splitters:Samples",
            params=SamplesParams,
        ),
        SplitterSpec(
            name="given",
            summary="the split that the logs prescribe, or further columns of the samples, or fold numbers",
            factory="vlrb_plugins.splits.given:Given",
            params=GivenParams,
        ),
        SplitterSpec(
            name="hold-out",
            summary="some datasets or task groups are test, and routers are fitted on the others",
            factory="vlrb_plugins.splits.held_out:HoldOut",
            params=HoldOutParams,
        ),
        SplitterSpec(
            name="leave-one-out",
            summary="each dataset, or each task group, is test once, and routers are fitted on the others",
            factory="vlrb_plugins.splits.held_out:LeaveOneOut",
            params=LeaveOneOutParams,
        ),
    ]
