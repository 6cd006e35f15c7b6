"""Yes or no: HallusionBench by VLMEvalKit's rule."""

from __future__ import annotations

from functools import partial

from vlrb import Case, Score
from vlrb_plugins.scorers.punctuation import without_punctuation
from vlrb_plugins.scorers.verdicts import NO_GOLD, EachCase, binary

UNKNOWN = Score(None, "the answer says neither yes nor no, or both, and a judge would have to read it")
NO_YES_NO = Score(None, "the gold answer is neither Yes nor No", unscorable=True)


def yes_no(case: Case) -> Score:
    """Return 1 if the answer contains the gold word of yes and no only, 0 for the other one only, None for both or neither."""
    if case.answer not in ("Yes", "No"):
        return NO_YES_NO if case.answer.strip() else NO_GOLD
    words = set(without_punctuation(case.prediction.lower()).split())
    if ("yes" in words) == ("no" in words):
        return UNKNOWN
    return binary((case.answer == "Yes") == ("yes" in words))


YesNo = partial(EachCase, yes_no)
