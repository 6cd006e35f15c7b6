"""What every model answers to a sample."""

from __future__ import annotations

import attrs
import numpy as np

from vlrb_plugins.demo.answerers import ANSWERERS, Answerer, chances
from vlrb_plugins.demo.layouts import Item, Pass
from vlrb_plugins.demo.phrasing import Reply, count_tokens, reply

INSTRUCTIONS = 16
"""Tokens of the prompt besides question, hint, options and images."""


@attrs.frozen
class Said:
    """The answer to one row: what was meant (a letter or a text), how it was written, and the tokens it took."""

    meant: str
    reply: Reply
    input_tokens: int
    output_tokens: int


@attrs.frozen
class Answer:
    """A model's answer to a sample: whether it is right, and what it said to each of the sample's rows."""

    right: bool
    said: tuple[Said, ...]


def answer_all(item: Item, rng: np.random.Generator, apart: bool) -> list[Answer]:
    """Return the answers of ``ANSWERERS``, in order.

    :param apart: keep the thinking of thinking models apart from what they answer
    """
    probabilities = chances(item.question, item.look, item.reliance, float(rng.standard_normal())).tolist()
    right = (rng.random(len(ANSWERERS)) < probabilities).tolist()
    prompts = [_prompt_tokens(p) for p in item.passes]
    answers = []
    for model, is_right, probability in zip(ANSWERERS, right, probabilities, strict=True):
        texts = _texts(item, rng, is_right)
        pictures = sum(model.image_tokens(*size) for size in item.sizes)
        effort = 0.5 * (1 - probability) + 0.5 * float(rng.random())
        said = []
        for one, text, prompt in zip(item.passes, texts, prompts, strict=True):
            meant, written = _write(item, one, text, model, rng, effort, apart)
            spent = count_tokens(written.text) + count_tokens(written.thinking)
            said.append(Said(meant, written, prompt + pictures, spent))
        answers.append(Answer(is_right, tuple(said)))
    return answers


def _texts(item: Item, rng: np.random.Generator, right: bool) -> list[str]:
    """Return the text meant for each row.  Who is wrong on a question is so in one rotation of its options at least."""
    if right:
        return [item.answer] * len(item.passes)
    wrong = item.wrong[int(rng.random() ** 2 * len(item.wrong))]
    if len(item.passes) == 1:
        return [wrong]
    fails = rng.random(len(item.passes)) < 0.6
    fails[int(rng.integers(len(fails)))] = True
    return [wrong if f else item.answer for f in fails.tolist()]


def _write(
    item: Item, one: Pass, text: str, model: Answerer, rng: np.random.Generator, effort: float, apart: bool
) -> tuple[str, Reply]:
    right = text == item.answer
    claim = item.question.claim.format(text)
    said = next((letter for letter, option in one.options if option == text), text)
    if item.form == "exact" and model.talk == "wordy" and not right and rng.random() < 0.1:
        said = f"It seems that {item.question.claim.format(item.answer)}."  # right, but not the bare text that was asked for
    unspoken = "" if right or item.form in ("choice", "yes-no", "exact") else item.answer
    written = reply(
        rng, model.talk, item.form, said, claim, option=text, effort=effort, apart=apart, unspoken=unspoken
    )
    return said, written


def _prompt_tokens(one: Pass) -> int:
    texts = [str(one.cells["question"]), str(one.cells.get("hint", "")), *(option for _, option in one.options)]
    return INSTRUCTIONS + sum(count_tokens(t) + 1 for t in texts if t)
