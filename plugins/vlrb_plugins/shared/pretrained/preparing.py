"""Prepares what a model looks at, ahead of the model and without torch."""

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
    """Return an image of any mode as RGB; transparency is dropped."""
    if image.mode == "P":  # Pillow warns when it converts a palette with transparent colours to RGB directly
        image = image.convert("RGBA")
    return image.convert("RGB")


def ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], Made], items: Iterable[Item], limit: int
) -> Iterator[tuple[Item, Made]]:
    """Yield each item with the function's result, in order.

    :param limit: items that are being worked on or wait to be taken, at most
    """
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
