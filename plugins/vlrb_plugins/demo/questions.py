"""Questions on a picture, with the answer that the picture gives and wrong ones that are plausible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

import attrs
import numpy as np

from vlrb_plugins.demo.canvas import Look, Picture

Kind = Literal["read", "count", "compare", "compute", "recall"]
Skill = Literal["scene", "text", "document", "chart", "science", "math", "knowledge"]
T = TypeVar("T")

MOST_WRONG = 5


@attrs.frozen
class Question:
    """A question, and what it takes to answer it.

    ``claim`` is a sentence in which ``{}`` stands for the answer; ``given`` repeats in words what must else be read off the
    picture; ``steps`` counts the things that have to be found or done one after the other.
    """

    text: str
    answer: str
    wrong: tuple[str, ...]
    claim: str
    kind: Kind
    skill: Skill
    steps: int = 1
    given: str = ""
    subject: str = ""


@attrs.frozen
class Drawn:
    """A picture and all that can be asked about it."""

    picture: Picture
    look: Look
    questions: tuple[Question, ...]


def wrong_answers(rng: np.random.Generator, answer: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Return the candidates that can be told from the answer and from each other, whatever the rule of comparison.

    None contains another, since some scorers look for a text inside a text, and no two numbers are within 8 per cent,
    since others take close numbers for equal.
    """
    kept = [answer]
    for candidate in shuffled(rng, sorted(set(candidates))):
        if all(_apart(candidate, k) for k in kept):
            kept.append(candidate)
        if len(kept) > MOST_WRONG:
            break
    return tuple(kept[1:])


def _apart(one: str, other: str) -> bool:
    a, b = one.lower(), other.lower()
    if a in b or b in a:
        return False
    x, y = _number(a), _number(b)
    return x is None or y is None or abs(x - y) > 0.08 * max(abs(x), abs(y))


def _number(text: str) -> float | None:
    try:
        return float(text.strip("$% ").replace(",", ""))
    except ValueError:
        return None


def slips(value: int) -> list[str]:
    """Return numbers that one may get instead of ``value``: off by a little, a digit misread, a step forgotten."""
    swapped = int(str(value)[::-1])
    near = [value + step for step in (1, -1, 2, 3, 7, 10, -10)]
    far = [value * 2, value // 2, value * 3 // 2, value * 3 // 4, value * 5 // 4, swapped]
    return [str(v) for v in near + far if v > 0]


def misread(rng: np.random.Generator, text: str) -> list[str]:
    """Return ``text`` as careless readers would read it, with one or two digits or letters taken for others."""
    seen = []
    for _ in range(5):
        letters = list(text)
        for spot in rng.integers(0, len(letters), 2).tolist():
            if letters[spot].isdigit():
                letters[spot] = str((int(letters[spot]) + 3 + int(rng.integers(5))) % 10)
            elif letters[spot].isalpha():
                other = "aeionrts"[int(rng.integers(8))]
                letters[spot] = other.upper() if letters[spot].isupper() else other
        seen.append("".join(letters))
    return seen


def shuffled(rng: np.random.Generator, items: Sequence[T]) -> list[T]:
    """Return the items in random order."""
    return [items[i] for i in rng.permutation(len(items)).tolist()]


def pick(rng: np.random.Generator, items: Sequence[T], count: int) -> list[T]:
    """Return ``count`` different items, in random order."""
    return shuffled(rng, items)[:count]


def one_of(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Return one of the items."""
    return items[int(rng.integers(len(items)))]
