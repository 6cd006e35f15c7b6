"""Parameters of the log source ``vlmevalkit``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from vlrb import param


@attrs.frozen
class VlmevalkitParams:
    """Parameters of the log source ``vlmevalkit``."""

    path: Path = param(help="folder with VLMEvalKit_evaluation and VLMEvalKit_inference, or with a folder per model")
    data: Path | None = param(
        default=None, help="folder with the datasets' TSV files; default: TSV_images or LMUData below path"
    )
    images: Literal["required", "none"] = param(
        default="required", help="none: there are no TSV files; questions are read from the results, without images"
    )
    without_image: Literal["drop", "drop-answers", "keep"] = param(
        default="drop",
        help="rows without an image, where others have one: left out as VLMEvalKit leaves them out, answers to them are an error; "
        "drop-answers: these are left out too, and counted; keep: samples without an image",
    )
    run: str | tuple[str, ...] | None = param(
        default=None,
        help="run directory to read, such as T20260901-120000, or several in order of preference; default: the one that "
        "VLMEvalKit's links name, else the newest with verdicts",
    )
    judge: str | tuple[str, ...] | None = param(
        default=None,
        help="judge whose verdicts to read, such as gpt-4o-mini, or several in order of preference; default: VLMEvalKit's own",
    )
    thinking: Literal["split", "keep"] = param(
        default="split", help="split: what stands before the last </think> costs tokens and is not scored"
    )
    duplicates: Literal["error", "first"] = param(
        default="error", help="first: of rows with one index keep the first, and count the others"
    )
    stale: Literal["error", "drop-verdict", "keep"] = param(
        default="error", help="what becomes of verdicts on answers that have changed since they were judged"
    )
