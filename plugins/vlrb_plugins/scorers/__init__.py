"""Scorers: verdicts on raw answers by VLMEvalKit's rules, as far as these decide without a judge model.

A rule that cannot decide gives None and a reason, never 0.  An empty cell is an empty text here, where VLMEvalKit sees the
text "nan"; and an option with the text "None" or "NA" stays an option, where VLMEvalKit loses it.
"""

from __future__ import annotations

from vlrb import ScorerSpec, hookimpl
from vlrb_plugins.scorers.params import ExactMatchParams

_RULES = (
    ("mcq", "vlrb_plugins.scorers.choice:Mcq", "1 if the option that the answer names is the gold one"),
    ("mmbench", "vlrb_plugins.scorers.choice:Mmbench", "mcq over all rotations of a question: all must be right"),
    ("mmmu", "vlrb_plugins.scorers.choice:Mmmu", "mcq, where open questions choose the gold answer or another"),
    ("yes-no", "vlrb_plugins.scorers.yes_no:YesNo", "1 if the answer says yes or no, as the gold answer does"),
    ("vqa", "vlrb_plugins.scorers.vqa:Vqa", "the VQA score: how many people gave the answer; three suffice"),
    (
        "relaxed-accuracy",
        "vlrb_plugins.scorers.charts:RelaxedAccuracy",
        "1 for a number within 5 % of the gold one, or the gold text in any case",
    ),
    ("ocrbench", "vlrb_plugins.scorers.ocr:Ocrbench", "1 if the answer contains a gold answer"),
    (
        "mathvista",
        "vlrb_plugins.scorers.maths:Mathvista",
        "the named option, or the exact number; a judge's extract (res) comes first",
    ),
    (
        "mathvision",
        "vlrb_plugins.scorers.maths:Mathvision",
        "the named option, or the gold text or number; a judge's extract (res) comes first",
    ),
    ("mathverse", "vlrb_plugins.scorers.maths:Mathverse", "1 if a judge's extract is the gold answer"),
)
"""Name, factory and summary of scorers without parameters."""


@hookimpl
def vlrb_scorers() -> list[ScorerSpec]:
    """Return all scorers: ``exact-match``, and one per way in which VLMEvalKit judges the 14 datasets."""
    return [
        ScorerSpec(
            name="exact-match",
            summary="1 if the answer equals the gold answer, apart from surrounding white space",
            factory="vlrb_plugins.scorers.exact:ExactMatch",
            params=ExactMatchParams,
        ),
        ScorerSpec(
            name="anls",
            summary="normalised Levenshtein similarity to the nearest gold answer; 0 below 0.5",
            factory="vlrb_plugins.scorers.anls:Anls",
            requires=("rapidfuzz",),
        ),
        *(ScorerSpec(name=name, summary=summary, factory=factory) for name, factory, summary in _RULES),
    ]
