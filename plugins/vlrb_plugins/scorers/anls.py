"""Average normalised Levenshtein similarity: DocVQA and InfoVQA by VLMEvalKit's rule."""

from __future__ import annotations

from functools import lru_cache, partial

from rapidfuzz.distance import Levenshtein

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import CACHED, alternatives
from vlrb_plugins.scorers.verdicts import NO_GOLD, EachCase

THRESHOLD = 0.5
"""A similarity below this counts as 0."""


def anls(case: Case) -> Score:
    """Return the similarity to the nearest gold answer, in [0.5, 1], or 0 below the threshold.

    Similarity is 1 minus the edit distance (ignoring case and white space) divided by the length of the longer original text.
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
    """Return the normalised distance of two texts; above one half, where it does not matter, it is not exact."""
    longer = max(length, gold_length)
    return Levenshtein.distance(form, gold, score_cutoff=longer // 2) / longer if longer else 0.0


Anls = partial(EachCase, anls)
