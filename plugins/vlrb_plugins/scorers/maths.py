"""Mathematics: MathVista, MathVision and MathVerse by VLMEvalKit's rules, as far as these go without a judge.

An answer that a judge extracted (``res``, ``extract``) is checked first; if the judge found nothing to extract,
the answer is wrong, as in VLMEvalKit.  If the judge failed or was not asked, the rules look at the model's own answer and decide
only what is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from vlrb import Case, Score
from vlrb_plugins.scorers.arithmetic import TOLERANCE, Number, latex_number, python_number
from vlrb_plugins.scorers.choice import NO_OPTIONS, extracted_choice, judged_choice, listed_choices
from vlrb_plugins.scorers.literals import CACHED
from vlrb_plugins.scorers.verdicts import NO_GOLD, RIGHT, WRONG, EachCase, binary

NOT_EXTRACTED = Score(None, "the answer is not the gold one as it stands, and a judge would have to extract it")
NOT_EQUAL = Score(
    None, "what was extracted is not the gold answer letter by letter, and a judge would have to compare them"
)
NO_EXTRACT = Score(None, "no judge extracted an answer")
NO_NUMBER = Score(None, "the gold answer is not the number that its type says", unscorable=True)
NO_TYPE = Score(None, "the sample's question_type or answer_type is missing or unknown", unscorable=True)

_FAILED = "Failed to obtain answer"
"""Beginning of what VLMEvalKit writes instead of a reply when a call failed."""

_READERS: Mapping[str, Callable[[str | float], Number]] = {"integer": int, "float": float}
_NEVER_RIGHT = ("text", "list")


def _extracted(case: Case, column: str) -> str | None:
    """Return what a judge extracted, empty if it found nothing; None if no judge was asked, or it failed."""
    extracted = case.judged.get(column)
    return None if extracted is None or _FAILED in extracted else extracted


# --- MathVista --------------------------------------------------------------------------------------------------------


def mathvista(case: Case) -> Score:
    """Judge an answer to MathVista.

    Multiple choice is judged by the option that the answer names.  A whole open answer must be exactly the gold integer or float;
    open answers of other types are never right, since VLMEvalKit never compares them.  The answer 0 is left to the judge even if it
    is right.  For integers, an extract that a table holds as a number is truncated, as in VLMEvalKit.
    """
    kind = case.fields.get("question_type", "")
    if kind == "multi_choice":
        return _choice(case, case.fields.get("answer_option", ""))
    if not case.answer.strip():
        return NO_GOLD
    answer_type = case.fields.get("answer_type", "")
    if kind != "free_form" or (answer_type not in _READERS and answer_type not in _NEVER_RIGHT):
        return NO_TYPE
    extracted = _extracted(case, "res")
    if answer_type in _NEVER_RIGHT:
        return NOT_EXTRACTED if extracted is None else WRONG
    gold = _typed(case.answer, answer_type)
    if gold is None:
        return NO_NUMBER
    if extracted is None:
        value = _typed(case.prediction, answer_type)
        return RIGHT if value == gold and value else NOT_EXTRACTED
    number = case.judged.get("res:number")
    return binary(gold == (_typed(extracted, answer_type) if number is None else _READERS[answer_type](float(number))))


def _typed(text: str, answer_type: str) -> Number | None:
    try:
        return _READERS[answer_type](text)
    except ValueError:
        return None


def _choice(case: Case, gold: str) -> Score:
    options = listed_choices(case)
    if not options:
        return NO_OPTIONS
    extracted = _extracted(case, "res")
    if extracted is None:
        return judged_choice(case.prediction, options, gold)
    return extracted_choice(extracted, options, gold) if extracted else WRONG


# --- MathVision -------------------------------------------------------------------------------------------------------


def mathvision(case: Case) -> Score:
    """Judge an answer to MathVision.

    With ``choices`` it is judged by the option that it names; an open answer must equal the gold one as a text, ignoring case, or
    as a number to 1e-6.  Numbers are parsed by :mod:`vlrb_plugins.scorers.arithmetic`, where VLMEvalKit evaluates them.
    """
    if not case.answer.strip():
        return NO_GOLD
    options = listed_choices(case)
    if options is None:
        return NO_OPTIONS
    if options:
        return _choice(case, case.answer.strip().upper())
    extracted = _extracted(case, "res")
    if equal(case.prediction if extracted is None else extracted, case.answer):
        return RIGHT
    return NOT_EXTRACTED if extracted is None else WRONG


def equal(answer: str, gold: str) -> bool:
    """Tell whether an answer equals the gold one as a text, ignoring case and outer white space, or as a number to 1e-6."""
    answer, gold = answer.lower().strip(), gold.lower().strip()
    if answer == gold:
        return True
    python, latex = _values(gold)
    return (python is not None and _close(python, python_number(answer))) or (
        latex is not None and _close(latex, latex_number(answer))
    )


@lru_cache(maxsize=CACHED)
def _values(gold: str) -> tuple[Number | None, Number | None]:
    return python_number(gold), latex_number(gold)


def _close(gold: Number, value: Number | None) -> bool:
    try:
        return value is not None and abs(gold - value) < TOLERANCE
    except OverflowError:
        return False


# --- MathVerse --------------------------------------------------------------------------------------------------------


def mathverse(case: Case) -> Score:
    """Return 1 if a judge's extract is exactly the gold answer apart from outer white space; otherwise None."""
    if not case.answer.strip():
        return NO_GOLD
    extracted = _extracted(case, "extract")
    if not extracted:
        return NO_EXTRACT
    return RIGHT if extracted.strip() == case.answer.strip() else NOT_EQUAL


Mathvista = partial(EachCase, mathvista)
Mathvision = partial(EachCase, mathvision)
Mathverse = partial(EachCase, mathverse)
