"""Preparing what a model looks at, ahead of it and without torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from PIL import Image

Item = TypeVar("Item")
Made = TypeVar("Made")


def rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB; transparency is left out."""
    if image.mode == "P":  # a palette may hold transparent colours, which Pillow makes RGB of with a warning only
        image = image.convert("RGBA")
    return image.convert("RGB")


def ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Made], items: Iterable[Item], limit: int
) -> Iterator[tuple[Item, Made]]:
    """Return each item with what a function makes of it, in order; at most ``limit`` are worked on or wait to be taken."""
    waiting: deque[tuple[Item, Future[Made]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= limit:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
