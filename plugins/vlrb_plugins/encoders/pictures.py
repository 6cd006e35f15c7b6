"""Numbers about images: a row per sample, from reduced images."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from vlrb import Images

if TYPE_CHECKING:
    from PIL import Image


def sample_rows(images: Images, row: Callable[[Images, int], list[float]]) -> list[list[float]]:
    """Return what ``row`` returns for each sample, computed in threads."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda i: row(images, i), range(len(images))))


def reduced(image: Image.Image, longest: int) -> Image.Image:
    """Return an image as RGB, its longest side at most ``longest`` pixels."""
    small = image.convert("RGB")
    small.thumbnail((longest, longest), reducing_gap=2.0)
    return small
