"""The VQA score of short answers with several gold answers each: TextVQA by VLMEvalKit's rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache, partial

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import CACHED, alternatives
from vlrb_plugins.scorers.punctuation import without_punctuation
from vlrb_plugins.scorers.verdicts import NO_GOLD, EachCase

ENOUGH = 3
"""Number of other people who must have given an answer for it to count in full."""

FEWEST = ENOUGH + 1
"""Fewest gold answers with which an answer can count in full."""

TOO_FEW = Score(None, f"the VQA score needs {FEWEST} gold answers or more", unscorable=True)

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}
_ARTICLES = frozenset({"a", "an", "the"})
_ENDINGS = {
    "n't": "ai are ca could are did does do had has have is might must need ought sha should was were wo would",
    "'ve": "could might must should would not where they we what who you",
    "'d": "he how it there they where who you someone something",
    "'ll": "how it somebody someone something they what who why you",
    "'re": "there they what why you",
    "'s": "he how somebody someone that there what when where who why",
}
_NOT_HAVE = "could had might should would"
_WOULD_HAVE = "he it she someone something there they we who you"
_ODD = {
    "maam": "ma'am",
    "oclock": "o'clock",
    "twas": "'twas",
    "yall": "y'all",
    "yall'll": "y'all'll",
    "y'allll": "y'all'll",
    "yall'd've": "y'all'd've",
    "y'alld've": "y'all'd've",
    "y'all'dve": "y'all'd've",
    "ow's'at": "'ow's'at",
    "'ows'at": "'ow's'at",
    "'ow'sat": "'ow's'at",
    "somebody'd": "somebodyd",
    "somebodyd've": "somebody'd've",
    "somebody'dve": "somebody'd've",
}


def _contractions() -> dict[str, str]:
    """Return contractions that lack an apostrophe -> their correct spelling."""
    table = dict(_ODD)
    for ending, stems in _ENDINGS.items():
        table |= {stem + ending.replace("'", ""): stem + ending for stem in stems.split()}
    for stem in _NOT_HAVE.split():
        table |= dict.fromkeys((f"{stem}nt've", f"{stem}n'tve"), f"{stem}n't've")
    for stem in _WOULD_HAVE.split():
        table |= dict.fromkeys((f"{stem}d've", f"{stem}'dve"), f"{stem}'d've")
    return table


CONTRACTIONS: Mapping[str, str] = _contractions()


def normalised(text: str) -> str:
    """Return the form in which answers are compared: lower case, no punctuation or articles, numbers up to ten as digits."""
    bare = without_punctuation(text.replace("\n", " ").replace("\t", " ").strip())
    words = (_DIGITS.get(word, word) for word in bare.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


@lru_cache(maxsize=CACHED)
def _golds(answer: str) -> Counter[str]:
    return Counter(normalised(text) for text in alternatives(answer))


def vqa(case: Case) -> Score:
    """Return the mean, over the gold answers, of min(1, matches among the *other* gold answers / 3).

    With ten gold answers of which k match: 0.3, 0.6, 0.9, 1 for k = 1, 2, 3, 4 or more.  VQA, VizWiz and TextVQA have ten for each
    question, and TextVQA's evaluators (M4C, MMF) refuse another number.  With fewer than four, even a unanimous answer would not
    count in full, so there is no score, while VLMEvalKit gives at most 0, 1/3 and 2/3 for one, two and three.
    """
    golds = _golds(case.answer)
    if not golds:
        return NO_GOLD
    total = golds.total()
    if total < FEWEST:
        return TOO_FEW
    matching = golds[normalised(case.prediction)]
    points = matching * min(ENOUGH, matching - 1) + (total - matching) * min(ENOUGH, matching)
    return Score(points / (ENOUGH * total))


Vqa = partial(EachCase, vqa)
