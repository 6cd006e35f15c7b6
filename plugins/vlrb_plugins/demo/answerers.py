"""The 17 models as they are simulated: what each can do, what irritates it, and how it talks.

A model answers rightly with a probability that grows with its ability for the skill and kind of the question, and falls with
the question's difficulty, with what is hard about the picture and with a difficulty that nothing shows.  So a router can
learn part of it from the text, part from the image alone, and part not at all.  The numbers are made up: they say nothing
about the real models of these names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from vlrb_plugins.demo.canvas import Look
from vlrb_plugins.demo.questions import Kind, Question, Skill

Talk = Literal["terse", "plain", "wordy", "thinking"]
Floats = npt.NDArray[np.float64]

DIFFICULTY: Mapping[Kind, float] = {"read": 0.0, "count": 0.35, "compare": 0.25, "recall": 0.45, "compute": 0.8}
STEP = 0.25
SHARPNESS = 3.2
"""How suddenly the probability goes from 0 to 1 with ability: large means that what one can know decides nearly all."""

HIDDEN = 0.55
"""How much samples differ in what neither text nor image shows; the same for all models."""


@attrs.frozen
class Answerer:
    """A simulated model.

    ``eyes`` says how much density, clutter, faintness, smallness and dullness of a picture disturb it; ``image_tokens`` how
    many tokens a picture of a given width and height takes.
    """

    name: str
    ability: float
    talk: Talk
    image_tokens: Callable[[int, int], int]
    eyes: tuple[float, float, float, float, float]
    skills: Mapping[Skill, float]
    kinds: Mapping[Kind, float] = attrs.field(factory=dict)


def _fixed(tokens: int) -> Callable[[int, int], int]:
    return lambda _width, _height: tokens


def _patches(size: int) -> Callable[[int, int], int]:
    return lambda width, height: math.ceil(width / size) * math.ceil(height / size)


ANSWERERS: tuple[Answerer, ...] = (
    Answerer(
        "GPT4o",
        1.0,
        "wordy",
        _fixed(255),
        (0.6, 0.3, 0.2, 0.9, 0.1),
        {"knowledge": 0.5, "scene": 0.2, "math": -0.3},
    ),
    Answerer(
        "GeminiFlash2-5",
        1.0,
        "wordy",
        _fixed(258),
        (0.2, 0.9, 0.2, 0.6, 0.0),
        {"math": 0.4, "chart": -0.2, "scene": 0.1},
        {"recall": 0.2, "compute": 0.2},
    ),
    Answerer("Gemma3-27B", 1.0, "plain", _fixed(256), (1.4, 0.1, 0.4, 0.5, 0.2), {"knowledge": 0.5, "document": -0.5}),
    Answerer(
        "InternVL2_5-78B",
        1.0,
        "plain",
        _fixed(512),
        (0.3, 0.4, 1.0, 0.2, 0.3),
        {"science": 0.4, "chart": 0.2, "math": -0.1},
    ),
    Answerer(
        "Janus-Pro-1B",
        1.0,
        "terse",
        _fixed(576),
        (1.2, 0.5, 0.2, -0.5, 0.9),
        {"scene": 0.6, "document": -0.5, "chart": -0.3, "math": -0.3},
        {"compute": -0.4},
    ),
    Answerer(
        "Janus-Pro-7B",
        1.0,
        "terse",
        _fixed(576),
        (1.3, 0.6, 0.1, -0.4, 1.0),
        {"scene": 0.7, "knowledge": 0.2, "document": -0.7, "text": -0.3},
        {"compute": -0.3},
    ),
    Answerer(
        "Kimi-VL-A3B-Thinking-2506",
        1.0,
        "thinking",
        _patches(28),
        (0.8, 0.2, 0.5, 0.4, 0.3),
        {"math": 0.5, "science": 0.2, "scene": -0.3},
        {"compute": 0.5, "count": 0.3, "read": -0.2},
    ),
    Answerer(
        "MiMo-VL-7B-RL",
        1.0,
        "wordy",
        _patches(28),
        (0.5, 0.2, 1.3, 0.3, 0.1),
        {"math": 0.6, "chart": 0.3, "scene": -0.4, "knowledge": -0.3},
        {"compute": 0.3},
    ),
    Answerer(
        "Phi-3.5-Vision",
        1.0,
        "terse",
        _fixed(757),
        (0.4, 1.1, 0.6, -0.3, 0.2),
        {"science": 0.6, "chart": 0.3, "knowledge": -0.1, "text": -0.4},
    ),
    Answerer("Pixtral-12B", 1.0, "plain", _patches(16), (0.5, 0.8, 0.5, 0.4, 1.0), {"chart": 0.3, "document": 0.1}),
    Answerer(
        "Qianfan-VL-8B",
        1.0,
        "plain",
        _fixed(512),
        (0.1, 0.6, 0.3, 0.9, 0.1),
        {"document": 0.7, "text": 0.6, "chart": 0.3, "knowledge": -0.8, "math": -0.3, "scene": -0.2},
    ),
    Answerer(
        "Qwen2.5-VL-32B-Instruct",
        1.0,
        "wordy",
        _patches(28),
        (0.3, 0.5, 0.4, 0.9, 0.2),
        {"math": 0.4, "document": -0.1, "knowledge": 0.1},
        {"compute": 0.2},
    ),
    Answerer(
        "Qwen2.5-VL-72B-Instruct",
        1.0,
        "plain",
        _patches(28),
        (0.2, 0.4, 0.5, 0.8, 0.2),
        {"document": 0.3, "text": 0.2, "chart": 0.2},
    ),
    Answerer(
        "SmolVLM2",
        1.0,
        "terse",
        _fixed(324),
        (1.1, 0.9, 0.1, 0.2, -0.3),
        {"document": 0.5, "text": 0.3, "science": 0.1, "math": -0.6, "knowledge": -0.4},
        {"compute": -0.5, "read": 0.2},
    ),
    Answerer(
        "deepseek_vl2",
        1.0,
        "terse",
        _fixed(421),
        (0.4, 0.3, 0.2, 0.5, 0.9),
        {"text": 0.5, "document": 0.4, "chart": 0.3, "math": -0.6},
        {"compute": -0.3},
    ),
    Answerer(
        "deepseek_vl2_tiny",
        1.0,
        "terse",
        _fixed(421),
        (0.5, 0.4, 0.9, 0.6, 0.0),
        {"text": 0.8, "document": 0.6, "math": -0.8, "knowledge": -0.5},
        {"compute": -0.5, "read": 0.2},
    ),
    Answerer(
        "llava_next_vicuna_7b",
        1.0,
        "plain",
        _fixed(2304),
        (1.2, 0.4, 0.7, 0.0, 0.4),
        {"scene": 0.7, "knowledge": 0.3, "document": -0.8, "chart": -0.6, "text": -0.3},
        {"compute": -0.4},
    ),
)
"""In the order of the paper's table."""

_EYES = np.array([a.eyes for a in ANSWERERS])


def chances(question: Question, look: Look, reliance: float, surprise: float) -> Floats:
    """Return the probability that each of ``ANSWERERS`` is right.

    :param reliance: how much of the answer must be seen in the picture, 0 to 1
    :param surprise: what is hard about the sample without showing, standard normal
    """
    seen = np.array(attrs.astuple(look)) - 0.5
    hard = DIFFICULTY[question.kind] + STEP * (question.steps - 1) + HIDDEN * surprise
    ability = np.array(
        [a.ability + a.skills.get(question.skill, 0.0) + a.kinds.get(question.kind, 0.0) for a in ANSWERERS]
    )
    logits = SHARPNESS * (ability - hard - reliance * (_EYES @ seen))
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)
