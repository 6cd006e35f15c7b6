"""Multiple choice: which option an answer names, by VLMEvalKit's rules without a judge.

The rules are those of VLMEvalKit as of August 2026 (``can_infer``); older versions accepted the letter anywhere, and searched
answers of any length for option texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

from vlrb import Case, Score
from vlrb_plugins.scorers.literals import list_literal
from vlrb_plugins.scorers.verdicts import NO_GOLD, RIGHT, WRONG, EachCase, binary

Options = Sequence[tuple[str, str]]

REFUSED = "Z"
"""The letter for refusals, and of answers that give it themselves: never an option, so the answer is wrong."""

UNDECIDED = Score(None, "the answer names no option, or several, and a judge would have to read it")
NO_SUCH_OPTION = Score(None, "the gold answer names none of the options", unscorable=True)
NO_OPTIONS = Score(None, "the sample has no options, or its choices are not a list", unscorable=True)

NOT_ASKED = Score(None, "the model was not asked")

_BLANKED = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_FAILED = "Failed to obtain answer via API"
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_STATED = re.compile(r"answer\s+is\s+\**([A-D])", re.IGNORECASE)
_LAST_WORDS = 4
_LONGEST = 2
_LETTER = re.compile(r"[A-Z]")


def extract(prediction: str, options: Options) -> str | None:
    """Return the letter of the option that an answer names, ``Z`` for a refusal, or None if the rules find none.

    In this order: a single option letter as a separate word among the last four; "answer is" before a letter; the text of
    exactly one option inside the answer.
    """
    texts = dict(options)
    if _FAILED not in prediction:
        letter = _by_letter(prediction, texts)
        if letter is not None:
            return letter
    return _by_text(prediction, texts)


def _by_letter(prediction: str, texts: Mapping[str, str]) -> str | None:
    if any(refusal in prediction for refusal in _REFUSALS):
        return REFUSED
    words = prediction.translate(_BLANKED).split()
    named = [letter for letter in texts if letter in words]
    if len(named) == 1 and words.index(named[0]) >= len(words) - _LAST_WORDS:
        return named[0]
    if not named and REFUSED in words:
        return REFUSED
    stated = _STATED.search(prediction)
    letter = stated[1].upper() if stated else ""
    return letter if letter in texts else None


def _by_text(prediction: str, texts: Mapping[str, str]) -> str | None:
    limit = _LONGEST * sum(map(len, texts.values()))
    if len(prediction) > limit:
        return None
    lowered = prediction.lower()
    if len(lowered) > limit:  # lower case of some letters is two characters
        return None
    named = [letter for letter, text in texts.items() if text.lower() in lowered]
    return named[0] if len(named) == 1 else None


def judged_choice(prediction: str, options: Options, gold: str) -> Score:
    """Return 1 if the answer names the gold option, 0 if it names another one, None if it names none."""
    if not gold:
        return NO_GOLD
    if all(letter != gold for letter, _ in options):
        return NO_SUCH_OPTION if options else NO_OPTIONS
    letter = extract(prediction, options)
    return UNDECIDED if letter is None else binary(letter == gold)


def listed_choices(case: Case) -> tuple[tuple[str, str], ...] | None:
    """Return a case's options, or those in its ``choices`` (letters A, B, ...); empty for ``[]``, None if it is not a list."""
    if case.options or "choices" not in case.fields:
        return case.options
    items = list_literal(case.fields["choices"])
    return None if items is None else tuple((chr(ord("A") + i), text) for i, text in enumerate(items))


def mcq(case: Case) -> Score:
    """Judge one multiple-choice answer (MMStar, RealWorldQA, AI2D)."""
    return judged_choice(case.prediction, case.options, case.answer)


def mmmu(case: Case) -> Score:
    """Judge an answer to MMMU, whose open questions become a choice between the gold answer and "Other Answers".

    VLMEvalKit's rule: a row without option A gets the gold answer as option A, and a gold answer other than a single capital
    letter becomes A.  So a bare ``A`` is right there, as is any short answer that contains the gold one.
    """
    if not case.answer.strip():
        return NO_GOLD
    options = dict(case.options)
    if "A" not in options:
        options |= {"A": case.answer, "B": "Other Answers"}
    gold = case.answer if _LETTER.fullmatch(case.answer) else "A"
    return judged_choice(case.prediction, tuple(options.items()), gold)


def mmbench(case: Case) -> Score:
    """Judge the answers to all passes of a circular question (MMBench): 1 if all are right, 0 if any is wrong.

    None if no pass is wrong but one is undecided or was not asked.
    """
    waiting: Score | None = None
    passes = (
        (case.options, case.answer, case.prediction),
        *((r.options, r.answer, r.prediction) for r in case.rotations),
    )
    for number, (options, gold, prediction) in enumerate(passes, 1):
        verdict = NOT_ASKED if prediction is None else judged_choice(prediction, options, gold)
        if verdict.value == 0:
            return Score(0.0, f"pass {number} is wrong")
        if verdict.value is None and waiting is None:
            waiting = Score(None, f"pass {number}: {verdict.reason}", verdict.unscorable)
    return RIGHT if waiting is None else waiting


def extracted_choice(extracted: str, options: Options, gold: str) -> Score:
    """Judge the answer that a judge extracted, which is wrong if it names no option."""
    verdict = judged_choice(extracted, options, gold)
    return WRONG if verdict is UNDECIDED else verdict


Mcq = partial(EachCase, mcq)
Mmbench = partial(EachCase, mmbench)
Mmmu = partial(EachCase, mmmu)
