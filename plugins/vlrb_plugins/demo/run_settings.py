"""How VLMEvalKit was run for each simulated model: versions, formats and judges of several years."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

RUN = "T20260901-120000"
SUPERSEDED_RUN = "T20260802-090000"
UNFINISHED_RUN = "T20260915-180000"

SUPERSEDED = "GPT4o"
"""The model that has results of an earlier run too, in which it answered otherwise."""

UNFINISHED = "GeminiFlash2-5"
"""The model that has predictions of a later run too, which was never evaluated: no links name it."""

IN_SUPERSEDED = frozenset({"MMStar", "DocVQA_VAL", "MathVista_MINI", "OCRBench"})
IN_UNFINISHED = frozenset({"RealWorldQA", "TextVQA_VAL"})


@attrs.frozen
class RunSettings:
    """A version of VLMEvalKit and its settings, as far as they show in its output.

    ``run`` is the run directory, empty where files stand in the model's folder; ``judge`` and ``mathematician`` are the judges of
    multiple choice and of mathematics, as file names have them; ``extension`` is PRED_FORMAT.  ``links`` says whether links in the
    model's folder name the files; ``scored``, whether the evaluation went through; ``thinking``, where thoughts are kept: before
    the answer, or split off it by SPLIT_THINK.  ``remote`` models are reached by an API, which fails at times.
    """

    run: str = RUN
    judge: str = "gpt-4o-mini"
    mathematician: str = "gpt-4o-mini"
    extension: str = ".xlsx"
    links: bool = True
    scored: bool = True
    thinking: Literal["none", "before", "split"] = "none"
    remote: bool = False


CURRENT = RunSettings()
FLAT = RunSettings(run="", judge="openai", mathematician="gpt-4-turbo", links=False)
TSV = RunSettings(run="T20260903-074500", extension=".tsv")
JSON = RunSettings(run="T20260905-213000", extension=".json", links=False, scored=False)
"""No evaluation reads predictions in JSON: each one ends with an error, so nothing is scored and no link is made."""

SETTINGS: Mapping[str, RunSettings] = {
    "GPT4o": RunSettings(remote=True),
    "GeminiFlash2-5": RunSettings(remote=True),
    "InternVL2_5-78B": RunSettings(run="T20251025_G1a2b3c4d"),
    "Janus-Pro-1B": FLAT,
    "Janus-Pro-7B": FLAT,
    "Kimi-VL-A3B-Thinking-2506": RunSettings(thinking="before"),
    "MiMo-VL-7B-RL": RunSettings(thinking="split"),
    "Phi-3.5-Vision": JSON,
    "Pixtral-12B": RunSettings(run="T20251025_G", judge="openai", mathematician="gpt-4-turbo"),
    "Qwen2.5-VL-32B-Instruct": TSV,
    "SmolVLM2": RunSettings(judge="exact_matching"),
    "deepseek_vl2": TSV,
    "deepseek_vl2_tiny": RunSettings(run="T20251102_G9f8e7d6c", links=False),
}
"""Model -> how it was run, where that is not the current way."""

ONLY_JUDGES = frozenset({"mathvista", "mathvision", "mathverse"})
"""Scorers whose rules decide no wrong answer unless a judge extracted it."""

_SCORED: Mapping[str, str] = {
    "mcq": "_{judge}_result",
    "mmbench": "_{judge}_result",
    "mmmu": "_{judge}_result",
    "yes-no": "_auxmatch",
    "anls": "_results",
    "vqa": "_results",
    "relaxed-accuracy": "_results",
    "mathvista": "_{mathematician}",
    "mathvision": "_{mathematician}",
    "mathverse": "_{mathematician}_score",
}
_SUMMARIES: Mapping[str, str] = {
    "yes-no": "_score.csv",
    "mathvista": "_{mathematician}_score.csv",
    "mathvision": "_{mathematician}_score.csv",
    "mathverse": "_{mathematician}_score.csv",
    "ocrbench": "_score.json",
}


def settings_of(model: str, scorer: str) -> RunSettings:
    """Return how a model was run on datasets of a scorer.

    The model whose predictions are in JSON was run once more, the usual way, where nothing but a judge decides.
    """
    settings = SETTINGS.get(model, CURRENT)
    return settings if settings.scored or scorer not in ONLY_JUDGES else CURRENT


def scored_suffix(scorer: str, settings: RunSettings) -> str:
    """Return how the names of per-sample scored files end; empty where there are none."""
    if not settings.scored:
        return ""
    suffix = _SCORED.get(scorer, "").format(judge=settings.judge, mathematician=settings.mathematician)
    return suffix and suffix + settings.extension


def summary_suffix(scorer: str, settings: RunSettings) -> str:
    """Return how the names of summaries of scores end; empty where there are none."""
    suffix = _SUMMARIES.get(scorer, "_acc.csv").format(mathematician=settings.mathematician)
    return suffix if settings.scored else ""
