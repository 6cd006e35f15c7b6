"""Answers of the simulated models.

A model is right with the probability that item response theory gives: it grows with the model's skill in the subject and
falls with the steps that the question takes and with how hard the picture is to look at for this model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from vlrb_plugins.demo.profiles import PROFILES, SKILLS, Profile
from vlrb_plugins.demo.rows import Row

STEP = 0.28
SLOPE = 5.0
GUESSING = 0.4
"""How much of what blind guessing would bring a model gets by it: most wrong answers are firmly believed."""

THINKING = 4
"""How many times as much models write that think before they answer."""

HOPELESS = 0.045
"""Share of the questions that hardly any model gets right."""

KINDS: Mapping[str, float] = {"read": -0.3, "count": 0.1, "compare": 0.0, "compute": 0.15, "recall": 0.1}
LOADS: Mapping[str, tuple[float, ...]] = {
    "scene": (0.6, 0.7, 0.3, 0.2, 1.2),
    "text": (0.2, 0.9, 0.8, 1.2, 0.1),
    "document": (0.9, 0.3, 0.9, 1.0, 0.0),
    "chart": (1.1, 0.3, 0.7, 0.4, 0.9),
    "science": (1.1, 0.8, 0.6, 0.4, 0.1),
    "math": (0.7, 0.5, 1.0, 0.4, 0.1),
    "knowledge": (0.5, 0.5, 0.4, 0.4, 0.2),
}
"""How much each property of a look matters for a skill, in the order of the fields of Look."""


@attrs.frozen
class Answer:
    """What a model said, in short and in its own words, and the tokens that went in and came out."""

    said: str
    text: str
    right: bool
    input_tokens: int
    output_tokens: int


def correctness(rows: Sequence[Row], hard: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return bool[n, k]: which of the 17 models are right on which rows.

    :param hard: how much harder than usual the rows are
    """
    n = len(rows)
    looks = np.array([attrs.astuple(r.look) for r in rows])
    loads = np.array([LOADS[r.question.skill] for r in rows])
    seen = (looks - 0.4) * loads * np.array([0.25 if r.in_words else 1.0 for r in rows])[:, None]
    subject = [SKILLS.index(r.question.skill) for r in rows]
    steps = np.array([r.question.steps - 1.0 for r in rows])[:, None]
    asked = np.array([KINDS[r.question.kind] + 0.002 * len(r.cells["question"]) for r in rows])[:, None]
    skills = np.array([p.skills for p in PROFILES])[:, subject].T
    eyes = np.array([p.eyes for p in PROFILES])
    patience = np.array([p.patience for p in PROFILES])
    easy = skills - hard - asked - STEP * steps / patience - seen @ eyes.T
    chance = 1 / (1 + np.exp(-SLOPE * easy - rng.normal(0, 0.5, (n, 1))))
    guess = GUESSING * np.array([0.0 if r.form == "text" else 1 / (1 + len(r.wrong)) for r in rows])[:, None]
    chance = np.where(rng.random((n, 1)) < HOPELESS, 0.01, guess + (1 - guess) * chance)
    return np.asarray(rng.random(chance.shape) < chance)


def answers(
    rows: Sequence[Row], right: npt.NDArray[np.bool_], profile: Profile, rng: np.random.Generator
) -> list[Answer]:
    """Return what a model says on each row; where it is wrong, it takes one of the row's wrong answers."""
    draws = rng.random((len(rows), 2)).tolist()
    return [_answer(r, bool(ok), profile, *d) for r, ok, d in zip(rows, right.tolist(), draws, strict=True)]


def _answer(row: Row, right: bool, profile: Profile, which: float, manner: float) -> Answer:
    said = row.right if right else row.wrong[int(which * len(row.wrong))]
    text = _worded(row, said, profile, manner)
    fixed, per_tile = profile.image
    tiles = math.ceil(row.picture.width / 28) * math.ceil(row.picture.height / 28)
    asked = sum(len(row.cells.get(c, "")) for c in ("question", "hint", "A", "B", "C", "D", "choices"))
    return Answer(said, text, right, round(fixed + per_tile * tiles) + tokens(asked) + 12, tokens(len(text)))


def tokens(characters: int) -> int:
    """Return the number of tokens of a text of this length, four characters each."""
    return characters // 4 + 1


def _worded(row: Row, said: str, profile: Profile, manner: float) -> str:
    """Phrase an answer so that the dataset's own rules find in it what was said.

    Free answers stay bare, since most of the rules compare them as a whole.
    """
    if row.form == "text":
        return said
    final = f"The answer is {said}." if row.form == "letter" else f"{said}."
    if profile.thinks:
        return f"<think>{thought(row, manner, THINKING)}</think>\n{final}"
    if manner < profile.wordy:
        return f"{thought(row, manner / profile.wordy)} {final}"
    if manner < 0.9:
        return said
    return f"({said})" if row.form == "letter" else f"{said}."


_THOUGHTS = (
    "The picture comes first.",
    "The question asks for one thing, so the part that shows it has to be found.",
    "Next comes a comparison with what is beside it.",
    "The contrast and the size of the marks matter here, so they are worth a second look.",
    "Counting once more gives the same.",
    "The rest of the picture does not change this.",
    "What stands at the edge is harder to make out, but it seems to belong to the background.",
    "From left to right and from top to bottom, every part has been looked at now.",
    "Let me go through the steps in order: what is given, what is asked, and what follows from it.",
    "The words of the question leave little room for another reading.",
    "If it were otherwise, the parts would have to be of different size, which they are not.",
    "This fits the question.",
)


def thought(row: Row, manner: float, times: int = 1) -> str:
    """Return some sentences, more of them for more steps; none holds a single capital letter, yes or no.

    :param manner: in [0, 1]; how much is said, and where among the sentences it begins
    :param times: how many times as much is said
    """
    count = times * (1 + row.question.steps + int(manner * 10))
    first = int(manner * 1000)
    return " ".join(_THOUGHTS[(first + i) % len(_THOUGHTS)] for i in range(count))
