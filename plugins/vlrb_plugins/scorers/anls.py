"""Average normalised Levenshtein similarity: DocVQA and InfoVQA by VLMEvalKit's rule."""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import CACHED, alternatives
from vlrb_plugins.scorers.verdicts import NO_GOLD

THRESHOLD = 0.5
"""A similarity below this counts as none."""


def anls(case: Case) -> Score:
    """Return the similarity to the nearest gold answer, in [0.5, 1], or 0 below the threshold.

    Similarity: 1 less the edit distance (case and white space aside) as a share of the length of the longer text as it stands.
    """
    golds = _golds(case.answer)
    if not golds:
        return NO_GOLD
    form, length = _form(case.prediction), len(case.prediction.upper())
    similarity = 1 - min(_distance(form, length, *gold) for gold in golds)
    return Score(similarity if similarity >= THRESHOLD else 0.0)


@lru_cache(maxsize=CACHED)
def _golds(answer: str) -> tuple[tuple[str, int], ...]:
    return tuple((_form(text), len(text.upper())) for text in alternatives(answer))


def _form(text: str) -> str:
    return " ".join(text.lower().split())


def _distance(form: str, length: int, gold: str, gold_length: int) -> float:
    """Return the normalised distance of two texts; exact up to one half, which is all that counts, and above it beyond."""
    longer = max(length, gold_length)
    return Levenshtein.distance(form, gold, score_cutoff=longer // 2) / longer if longer else 0.0
