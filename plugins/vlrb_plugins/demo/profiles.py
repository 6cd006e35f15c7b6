"""The 17 models as they are simulated.  None of the real models was asked anything; the numbers are made up."""

from __future__ import annotations

import attrs

SKILLS = ("scene", "text", "document", "chart", "science", "math", "knowledge")


@attrs.frozen
class Profile:
    """A simulated model.

    ``skills`` are in the order of SKILLS.  ``eyes`` say how much harder a picture becomes by its density, clutter, faintness,
    smallness and dullness.  ``patience`` above 1 makes steps easier.  ``image`` gives the input tokens of a picture: a fixed
    number and a number per 28 x 28 pixels.  ``wordy`` is the share of answers with some sentences before them.
    """

    name: str
    skills: tuple[float, ...]
    eyes: tuple[float, ...]
    patience: float
    image: tuple[int, float]
    wordy: float = 0.2
    thinks: bool = False


def _profile(name: str, skills: str, eyes: str, patience: float, image: tuple[int, float], wordy: float) -> Profile:
    numbers = [tuple(float(n) for n in text.split()) for text in (skills, eyes)]
    return Profile(name, numbers[0], numbers[1], patience, image, wordy, wordy > 1)


PROFILES = (
    _profile("GPT4o", "1.5 1.0 0.8 0.9 1.6 0.5 1.8", "0.5 0.4 0.6 0.9 0.4", 1.6, (255, 0), 0.5),
    _profile("GeminiFlash2-5", "0.8 0.7 0.6 0.8 0.8 1.3 0.9", "0.9 0.4 0.7 0.5 0.9", 1.8, (258, 0), 0.7),
    _profile("Gemma3-27B", "0.9 0.4 0.3 0.2 1.1 0.2 1.0", "0.9 0.9 0.4 1.3 0.6", 1.0, (256, 0), 0.5),
    _profile("InternVL2_5-78B", "1.3 0.8 0.9 0.9 1.3 0.4 1.1", "0.5 0.9 1.0 0.6 0.3", 1.3, (512, 0), 0.2),
    _profile("Janus-Pro-1B", "1.5 0.5 0.2 -0.2 0.5 -0.6 0.2", "0.8 1.0 0.8 1.1 0.2", 0.5, (576, 0), 0.1),
    _profile("Janus-Pro-7B", "1.5 0.1 -0.2 -0.2 0.8 -0.6 0.5", "0.8 1.0 0.9 1.3 0.2", 0.5, (576, 0), 0.1),
    _profile("Kimi-VL-A3B-Thinking-2506", "0.1 0.2 0.1 0.4 1.2 1.4 1.0", "0.8 1.0 0.5 0.8 1.1", 2.2, (120, 1), 2.0),
    _profile("MiMo-VL-7B-RL", "0.2 0.1 0.0 1.3 0.4 1.5 0.2", "0.5 1.0 1.0 0.8 0.8", 2.2, (200, 1), 0.8),
    _profile("Phi-3.5-Vision", "0.2 0.4 0.3 0.8 1.3 -0.4 0.8", "1.1 0.5 1.2 0.6 0.7", 0.6, (144, 1), 0.2),
    _profile("Pixtral-12B", "0.5 0.4 0.6 0.6 0.4 0.1 0.5", "0.7 0.7 0.3 0.5 1.2", 1.0, (12, 3), 0.5),
    _profile("Qianfan-VL-8B", "0.5 1.2 1.5 0.6 0.5 0.1 0.1", "0.4 0.7 1.1 0.2 0.9", 1.0, (256, 0), 0.1),
    _profile("Qwen2.5-VL-32B-Instruct", "0.8 0.9 0.9 0.9 0.9 0.9 0.9", "0.8 0.8 0.6 0.4 1.1", 1.4, (350, 1), 0.8),
    _profile("Qwen2.5-VL-72B-Instruct", "1.1 1.3 1.3 1.1 1.1 0.8 1.1", "0.6 0.6 0.7 0.3 0.8", 1.5, (350, 1), 0.3),
    _profile("SmolVLM2", "-0.3 1.4 1.4 -0.3 -0.3 -0.9 -0.6", "1.4 0.9 1.2 1.2 1.0", 0.2, (81, 0), 0.1),
    _profile("deepseek_vl2", "0.5 0.9 0.9 0.5 0.6 0.0 0.4", "0.6 0.3 1.0 0.8 0.7", 0.9, (421, 0), 0.2),
    _profile("deepseek_vl2_tiny", "0.0 1.1 0.7 0.2 0.2 -0.6 -0.2", "0.9 0.2 1.1 0.9 0.7", 0.5, (421, 0), 0.1),
    _profile("llava_next_vicuna_7b", "1.1 0.4 0.2 0.1 0.8 -0.5 0.5", "1.0 0.8 0.7 1.4 0.4", 0.5, (1152, 0), 0.3),
)
"""The 17 models."""
