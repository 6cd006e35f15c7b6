"""The answers in the tree of VLMEvalKit's own output, and how its rules score them.

Models are right where they are in the other form; some answers are worded differently, so that VLMEvalKit's rules apply.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping

import attrs
import numpy as np

from vlrb_plugins.demo.answers import THINKING, Answer, thought
from vlrb_plugins.demo.generate import Simulated, simulate
from vlrb_plugins.demo.profiles import PROFILES
from vlrb_plugins.demo.rows import Row
from vlrb_plugins.demo.run_settings import RunSettings, settings_of

FAILED = "Failed to obtain answer via API."
UNREAD = "No answer"
"""What a judge makes of a call that failed."""

FAILURES = 40
"""Of so many calls of a remote model, one fails."""


@attrs.frozen
class AnswerText:
    """A model's answer in a table, what rules or a judge extract from it, and whether that is right."""

    prediction: str
    extracted: str
    right: bool
    thinking: str = ""
    failed: bool = False


@attrs.frozen
class Truth:
    """What VLMEvalKit's rules make of an answer, in [0, 1]; below 1 unless the model was simulated to be right."""

    score: float
    failed: bool = False


def truths(samples: int, seed: int) -> dict[tuple[str, str, str], Truth]:
    """Return (dataset, key, model) -> the truth about the answer in the tree of VLMEvalKit's own output."""
    found: dict[tuple[str, str, str], Truth] = {}
    for simulated in simulate(samples, seed):
        plain = with_real_golds(simulated)
        for k, profile in enumerate(PROFILES):
            for row, said in zip(plain.rows, answer_texts(plain, k, seed), strict=True):
                if not row.rotation:
                    key = row.cells.get(plain.dataset.id_column, row.index)
                    found[plain.dataset.name, key, profile.name] = Truth(score_of(plain.scorer, row, said), said.failed)
    return found


# --- golds --------------------------------------------------------------------------------------------------------------


def with_real_golds(simulated: Simulated) -> Simulated:
    """Return a dataset with several gold answers per question where the real one has several.

    So the least distance is not the mean one, the best match is not the mean one, and a wrong answer may be worth a part.
    """
    add = _GOLDS.get(simulated.scorer)
    if add is None:
        return simulated
    rows = [attrs.evolve(r, cells={**r.cells, "answer": repr(add(r))}) for r in simulated.rows]
    return attrs.evolve(simulated, rows=rows)


_GOLDS: Mapping[str, Callable[[Row], list[str]]] = {
    "anls": lambda row: [row.right, f"{row.right} (as printed)"],
    "relaxed-accuracy": lambda row: [row.right, f"about {row.right}"],
    "vqa": lambda row: [row.right] * 8 + [row.wrong[0]] * 2,
}


def golds_of(row: Row) -> list[str]:
    """Return the gold answers of a row whose cell is a list literal."""
    return list(ast.literal_eval(row.cells["answer"]))


# --- answers ------------------------------------------------------------------------------------------------------------


def answer_texts(simulated: Simulated, k: int, seed: int, *, contrary: bool = False) -> list[AnswerText]:
    """Return what model k says on each row.

    :param contrary: as in another run: right where it is wrong in this one
    """
    settings = settings_of(PROFILES[k].name, simulated.scorer)
    profile = attrs.evolve(PROFILES[k], thinks=settings.thinking != "none")
    told = attrs.evolve(simulated, right=~simulated.right) if contrary else simulated
    lost = _lost(simulated, k, seed) if settings.remote else frozenset()
    answers = told.answers(k, profile, seed)
    return [
        AnswerText(FAILED, UNREAD, right=False, failed=True) if row.index in lost else _said(row, answer, settings)
        for row, answer in zip(simulated.rows, answers, strict=True)
    ]


def _lost(simulated: Simulated, k: int, seed: int) -> frozenset[str]:
    """Return the indices of the rows on which the call of a remote model fails."""
    indices = [r.index for r in simulated.rows if not r.rotation]
    rng = np.random.default_rng([seed, simulated.number, 3, k])
    return frozenset(indices[i] for i in rng.permutation(len(indices))[: round(len(indices) / FAILURES)].tolist())


def _said(row: Row, answer: Answer, settings: RunSettings) -> AnswerText:
    prediction, thinking = answer.text, ""
    if (
        "question_type" in row.cells
        and row.form == "text"
        and row.cells["question_type"] == "open"
        and not answer.right
    ):
        # any other wrong answer to an open question of MMMU has to be read by a judge
        prediction = f"Cannot determine the answer, {answer.said} is a guess."
    if settings.thinking == "split":
        head, _, tail = prediction.rpartition("</think>")
        prediction, thinking = tail.strip(), head.removeprefix("<think>") or thought(row, 0.5, THINKING)
    return AnswerText(prediction, answer.said, answer.right, thinking)


# --- scores -----------------------------------------------------------------------------------------------------------


def score_of(scorer: str, row: Row, said: AnswerText) -> float:
    """Return what the rules make of an answer, in [0, 1]."""
    if said.right:
        return 1.0
    if scorer == "anls":
        similarity = 1 - min(distances(row, said))
        return similarity if similarity >= 0.5 else 0.0
    if scorer == "vqa":
        found = matches(row, said)
        return sum(found) / len(found)
    return 0.0


def matches(row: Row, said: AnswerText) -> list[float]:
    """Return, for each gold answer, how many of the *other* ones the answer equals, three being enough."""
    listed = [simplified(g) for g in golds_of(row)]
    total = listed.count(simplified(said.prediction))
    return [min(1.0, (total - (g == simplified(said.prediction))) / 3) for g in listed]


def simplified(text: str) -> str:
    """Return what VLMEvalKit's treatment of punctuation and small words leaves of the answers that are simulated."""
    return text.lower().removesuffix(".")


def distances(row: Row, said: AnswerText) -> list[float]:
    """Return the simplified edit distance to each gold answer, 0 where they are equal."""
    return [_distance(said.prediction, gold) for gold in golds_of(row)]


@functools.lru_cache(maxsize=2**17)  # every model's answers meet the same few texts per question
def _distance(one: str, other: str) -> float:
    a, b = one.lower(), other.lower()
    line = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        above, line = line, [i]
        for j, its in enumerate(b, start=1):
            line.append(min(above[j] + 1, line[j - 1] + 1, above[j - 1] + (letter != its)))
    return line[-1] / max(len(one), len(other))
