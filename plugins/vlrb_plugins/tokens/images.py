"""The tokens of an image by a model's published rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from vlrb import ImageTokens


def image_tokens(rule: ImageTokens, width: int, height: int) -> int:
    """Return the input tokens of an image.

    :param width: pixels
    :param height: pixels
    """
    return _RULES[rule.rule](rule, width, height)


def _constant(rule: ImageTokens, _width: int, _height: int) -> int:
    return rule.tokens


def _patches(rule: ImageTokens, width: int, height: int) -> int:
    """Qwen2.5-VL: sides rounded to multiples of the patch, then scaled so that the area is within its limits."""
    size = rule.size
    rows, columns = max(1, round(height / size)), max(1, round(width / size))
    if rows * columns * size * size > rule.max_pixels:
        shrink = math.sqrt(width * height / rule.max_pixels)
        rows = max(1, math.floor(height / shrink / size))
        columns = max(1, math.floor(width / shrink / size))
    elif rows * columns * size * size < rule.min_pixels:
        grow = math.sqrt(rule.min_pixels / (width * height))
        rows, columns = math.ceil(height * grow / size), math.ceil(width * grow / size)
    return rule.tokens + rows * columns


def _tiles(rule: ImageTokens, width: int, height: int) -> int:
    """GPT-4o: scaled down to fit a square, then to a shorter side; partial tiles count as whole ones."""
    scale = min(1.0, rule.fit / max(width, height))
    scale *= min(1.0, rule.short_side / (min(width, height) * scale))
    across, down = (math.ceil(round(side * scale, 6) / rule.size) for side in (width, height))
    return rule.tokens + rule.per_tile * across * down


def _grid(rule: ImageTokens, width: int, height: int) -> int:
    """InternVL: the grid with the nearest aspect ratio; ties go to the larger one if the image fills more than half of it."""
    aspect, area = width / height, width * height
    best, least = (1, 1), float("inf")
    for across, down in _grids(rule.max_tiles):
        off = abs(aspect - across / down)
        if off < least or (off == least and area > 0.5 * rule.size**2 * across * down):
            best, least = (across, down), off
    tiles = best[0] * best[1]
    return rule.tokens + rule.per_tile * (tiles + (tiles > 1))


@lru_cache(maxsize=8)
def _grids(most: int) -> tuple[tuple[int, int], ...]:
    """Return the grids of at most ``most`` tiles, smallest first."""
    every = [(a, d) for a in range(1, most + 1) for d in range(1, most + 1) if a * d <= most]
    return tuple(sorted(every, key=lambda g: g[0] * g[1]))


_RULES: Mapping[str, Callable[[ImageTokens, int, int], int]] = {
    "constant": _constant,
    "patches": _patches,
    "tiles": _tiles,
    "grid": _grid,
}
