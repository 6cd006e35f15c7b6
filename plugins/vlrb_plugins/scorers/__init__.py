"""Scorers: verdicts on raw answers by the rules of VLMEvalKit, as far as these decide without a judge model.

A rule that cannot decide gives None and a reason, never 0.  A cell that holds nothing is an empty text here, while VLMEvalKit
sees the text "nan" in it; and an option whose text is "None" or "NA" stays an option, while VLMEvalKit loses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from vlrb import NoParams, ScorerSpec, hookimpl, param

if TYPE_CHECKING:
    from vlrb import Scorer
    from vlrb_plugins.scorers.exact import ExactMatch


@attrs.frozen
class ExactMatchParams:
    """Parameters of the scorer ``exact-match``."""

    ignore_case: bool = param(default=True, help="whether 'yes' equals 'Yes'")


def _exact_match(params: ExactMatchParams) -> ExactMatch:
    from vlrb_plugins.scorers.exact import ExactMatch

    return ExactMatch(params)


def _mcq(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import choice, verdicts

    return verdicts.EachCase(choice.mcq)


def _mmbench(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import choice, verdicts

    return verdicts.EachCase(choice.mmbench)


def _mmmu(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import choice, verdicts

    return verdicts.EachCase(choice.mmmu)


def _yes_no(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import verdicts, yes_no

    return verdicts.EachCase(yes_no.yes_no)


def _vqa(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import verdicts, vqa

    return verdicts.EachCase(vqa.vqa)


def _relaxed_accuracy(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import charts, verdicts

    return verdicts.EachCase(charts.relaxed_accuracy)


def _anls(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import anls, verdicts

    return verdicts.EachCase(anls.anls)


def _ocrbench(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import ocr, verdicts

    return verdicts.EachCase(ocr.ocrbench)


def _mathvista(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import maths, verdicts

    return verdicts.EachCase(maths.mathvista)


def _mathvision(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import maths, verdicts

    return verdicts.EachCase(maths.mathvision)


def _mathverse(_: NoParams) -> Scorer:
    from vlrb_plugins.scorers import maths, verdicts

    return verdicts.EachCase(maths.mathverse)


@hookimpl
def vlrb_scorers() -> list[ScorerSpec]:
    """Return all scorers: ``exact-match``, and one per way in which VLMEvalKit judges the 14 datasets."""
    return [
        ScorerSpec(
            name="exact-match",
            summary="1 where the answer equals the gold answer, blanks around it aside",
            factory=_exact_match,
            params=ExactMatchParams,
        ),
        ScorerSpec(name="mcq", summary="1 where the option that the answer names is the gold one", factory=_mcq),
        ScorerSpec(name="mmbench", summary="mcq over all rotations of a question: all must be right", factory=_mmbench),
        ScorerSpec(name="mmmu", summary="mcq, where open questions choose the gold answer or another", factory=_mmmu),
        ScorerSpec(
            name="yes-no", summary="1 where the answer says yes or no, as the gold answer does", factory=_yes_no
        ),
        ScorerSpec(
            name="vqa", summary="the VQA score: how many people gave the answer, three being enough", factory=_vqa
        ),
        ScorerSpec(
            name="relaxed-accuracy",
            summary="1 for a number within 5 % of the gold one, or the gold text but for its case",
            factory=_relaxed_accuracy,
        ),
        ScorerSpec(
            name="anls",
            summary="normalised Levenshtein similarity to the nearest gold answer; below 0.5 it is 0",
            factory=_anls,
            requires=("rapidfuzz",),
        ),
        ScorerSpec(name="ocrbench", summary="1 where a gold answer stands in the answer", factory=_ocrbench),
        ScorerSpec(
            name="mathvista",
            summary="the option named, or the exact number; res where a judge gave it",
            factory=_mathvista,
        ),
        ScorerSpec(
            name="mathvision",
            summary="the option named, or the gold text or number; res where a judge gave it",
            factory=_mathvision,
        ),
        ScorerSpec(name="mathverse", summary="1 where the extract of a judge is the gold answer", factory=_mathverse),
    ]
