"""Relaxed accuracy: ChartQA by VLMEvalKit's rule."""

from __future__ import annotations

from functools import lru_cache, partial

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import CACHED, alternatives
from vlrb_plugins.scorers.verdicts import NO_GOLD, EachCase, binary

TOLERANCE = 0.05
"""A number may differ by this share of the gold one."""


def relaxed_accuracy(case: Case) -> Score:
    """Return 1 if the answer matches any gold answer: a number within five percent, any other text ignoring case.

    Numbers are what Python's ``float`` reads, also with a percent sign, which divides by 100; ``1,234`` and ``$14`` are not.
    A gold answer of zero must match as a text.
    """
    golds = _golds(case.answer)
    if not golds:
        return NO_GOLD
    prediction = case.prediction.strip()
    number = _number(prediction)
    return binary(any(_meets(prediction, number, text, gold) for text, gold in golds))


@lru_cache(maxsize=CACHED)
def _golds(answer: str) -> tuple[tuple[str, float | None], ...]:
    return tuple((text.lower(), _number(text)) for text in alternatives(answer))


def _meets(prediction: str, number: float | None, text: str, gold: float | None) -> bool:
    if number is None or not gold:
        return prediction.lower() == text
    return abs(number - gold) / abs(gold) <= TOLERANCE


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        return None


RelaxedAccuracy = partial(EachCase, relaxed_accuracy)
