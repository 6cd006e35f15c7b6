"""Reading text in pictures: OCRBench by VLMEvalKit's rule."""

from __future__ import annotations

from functools import lru_cache, partial

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import CACHED, list_literal
from vlrb_plugins.scorers.verdicts import NO_GOLD, EachCase, binary

FORMULAS = "Handwritten Mathematical Expression Recognition"
"""The category whose answers are compared without spaces and with case."""

CATEGORIES = frozenset(
    {
        "Regular Text Recognition",
        "Irregular Text Recognition",
        "Artistic Text Recognition",
        "Handwriting Recognition",
        "Digit String Recognition",
        "Non-Semantic Text Recognition",
        "Scene Text-centric VQA",
        "Doc-oriented VQA",
        "Key Information Extraction",
        FORMULAS,
    }
)

NO_CATEGORY = Score(None, "the sample has no category, or one that OCRBench does not know", unscorable=True)
NO_LIST = Score(None, "the gold answer is not a list", unscorable=True)


def ocrbench(case: Case) -> Score:
    """Return 1 if the answer contains any gold answer, also within a word: ``Cartoon`` contains ``art``."""
    category = case.fields.get("category", "")
    if category not in CATEGORIES:
        return NO_CATEGORY
    golds = _golds(case.answer, category == FORMULAS)
    if golds is None:
        return NO_LIST if case.answer.strip() else NO_GOLD
    if not golds:
        return NO_GOLD
    prediction = _form(case.prediction, category == FORMULAS)
    return binary(any(gold in prediction for gold in golds))


@lru_cache(maxsize=CACHED)
def _golds(answer: str, formulas: bool) -> tuple[str, ...] | None:
    items = list_literal(answer)
    return None if items is None else tuple(_form(item, formulas) for item in items)


def _form(text: str, formulas: bool) -> str:
    if formulas:
        return text.strip().replace("\n", " ").replace(" ", "")
    return text.lower().strip().replace("\n", " ")


Ocrbench = partial(EachCase, ocrbench)
