"""How answers are written down: bare, as a sentence, or after some reasoning; and how many tokens that takes.

Right answers match the gold answer under VLMEvalKit's rules (save where these ask a judge), wrong ones do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np

from vlrb_plugins.demo.answerers import Talk
from vlrb_plugins.demo.questions import one_of, pick

Form = Literal["choice", "yes-no", "exact", "contains", "brief", "number"]
"""What a scorer looks for: an option's letter; yes or no; the text alone; the text anywhere; the text in few words; a number."""

# No single capital letters other than I, no "yes" and "no", no digits: scorers look for these.
_REASONS = (
    "Let me look at the picture first.",
    "I should find the parts that the question is about.",
    "The labels have to be read one after the other.",
    "Some parts of the picture are hard to make out.",
    "I compare what is asked with what is shown.",
    "Going from the top to the bottom, this part matters most.",
    "The rest of the picture does not seem to matter here.",
    "Checking that once more gives the same.",
    "It helps to put the values side by side.",
    "The wording of the question is important.",
    "Looking closer at the left part and then at the right part.",
    "There could be a trap, so I go through it again.",
)
_TOKEN = re.compile(r"\w{1,5}|[^\w\s]")


@attrs.frozen
class Reply:
    """What a model wrote, and apart from it what it thought, where the logs keep that apart."""

    text: str
    thinking: str = ""


def count_tokens(text: str) -> int:
    """Return about the number of tokens of a text, for the usage columns."""
    return len(_TOKEN.findall(text))


def reply(
    rng: np.random.Generator,
    talk: Talk,
    form: Form,
    said: str,
    claim: str,
    *,
    option: str = "",
    effort: float = 0.0,
    apart: bool = False,
    unspoken: str = "",
) -> Reply:
    """Write down an answer.

    :param said: the answer as its form has it: a letter, yes or no, a text, a number
    :param claim: the answer as a sentence, without its full stop
    :param option: text of the chosen option
    :param effort: how long the reasoning gets, 0 to 1
    :param apart: keep the thinking apart
    :param unspoken: a text that may not occur (the gold answer, when the reply is wrong)
    """
    if talk == "thinking":
        thought = " ".join([*_reasons(rng, 5 + round(13 * effort)), f"So I would say that {claim}."])
        if unspoken and _within(unspoken, thought):
            thought = _REASONS[0]
        answer = _sentence(form, said, "plain", option, claim, rng)
        return Reply(answer, thought) if apart else Reply(f"<think>{thought}</think>\n\n{answer}")
    words = _sentence(form, said, talk, option, claim, rng)
    if talk == "wordy" and form in ("choice", "yes-no", "contains", "number"):
        reasoned = " ".join([*_reasons(rng, 1 + round(6 * effort)), words])
        words = words if unspoken and _within(unspoken, reasoned) else reasoned
    return Reply(said if unspoken and _within(unspoken, words) else words)


def _reasons(rng: np.random.Generator, count: int) -> Sequence[str]:
    return [s for _ in range(0, count, len(_REASONS)) for s in pick(rng, _REASONS, len(_REASONS))][:count]


def _within(text: str, words: str) -> bool:
    return text.lower() in words.lower()


def _sentence(form: Form, said: str, talk: Talk, option: str, claim: str, rng: np.random.Generator) -> str:
    if form in ("exact", "brief") or talk == "terse":
        return said
    if form == "choice":
        return (
            f"The answer is **{said}**."
            if talk == "wordy"
            else one_of(rng, (f"{said}. {option}", f"The answer is {said}."))
        )
    if form == "yes-no":
        return said if talk == "wordy" else f"{said}."
    if form == "number":
        return f"So the result is {said}." if talk == "wordy" else said
    return f"{claim[0].upper()}{claim[1:]}."
