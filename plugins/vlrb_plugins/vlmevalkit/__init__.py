"""Logs in VLMEvalKit's formats: the published VL-RouterBench archive, and flat trees laid out like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from vlrb import hookimpl
from vlrb.specs import LogSourceSpec, param

if TYPE_CHECKING:
    from vlrb_plugins.vlmevalkit.source import VlmevalkitSource


@attrs.frozen
class VlmevalkitParams:
    """Parameters of the log source ``vlmevalkit``."""

    path: Path = param(help="folder with VLMEvalKit_evaluation and VLMEvalKit_inference, or with a folder per model")
    data: Path | None = param(
        default=None, help="folder with the datasets' TSV files; default: TSV_images or LMUData below path"
    )
    images: Literal["required", "none"] = param(
        default="required", help="none: there are no TSV files; questions are read from the workbooks, without images"
    )


def _source(params: VlmevalkitParams) -> VlmevalkitSource:
    from vlrb_plugins.vlmevalkit.source import VlmevalkitSource

    return VlmevalkitSource(params)


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log source ``vlmevalkit``."""
    return [
        LogSourceSpec(
            name="vlmevalkit",
            summary="workbooks and TSV files as VLMEvalKit writes them",
            factory=_source,
            params=VlmevalkitParams,
        )
    ]
