"""Placing labels at points so that they cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

SIZE = 8.5
"""Points of the labels' font."""

MARGIN = 4
"""Points around a marker."""

Box = tuple[float, float, float, float]

_PLACES = (
    (7, 0, "left"), (-7, 0, "right"), (0, 9, "center"), (0, -9, "center"), (7, 9, "left"), (7, -9, "left"), (-7, 9, "right"),
    (-7, -9, "right"), (0, 20, "center"), (0, -20, "center"), (14, 20, "left"), (14, -20, "left"), (-14, 20, "right"),
    (-14, -20, "right"), (0, 33, "center"), (0, -33, "center"),
)  # fmt: skip
"""Offsets in points from a point to the middle of its label's edge, the best first."""


@attrs.frozen
class Label:
    """A text at a point in data coordinates."""

    x: float
    y: float
    text: str
    bold: bool = False


def place_labels(axes: Any, labels: Sequence[Label], boxes: Sequence[Box]) -> None:
    """Write labels next to their points, the most important first; one that fits nowhere is left out.

    The limits of the axes must be final.

    :param boxes: what no label may cover: left, bottom, right, top in data coordinates, points where these are equal
    """
    figure = axes.figure
    figure.get_layout_engine().execute(figure)  # it decides where a point of the data is
    figure.set_layout_engine("none")
    to_points = 72.0 / figure.dpi
    inside = axes.get_window_extent()
    area = tuple(v * to_points for v in (inside.x0, inside.y0, inside.x1, inside.y1))
    corners = axes.transData.transform([corner for b in boxes for corner in (b[:2], b[2:])]) * to_points
    taken = [(*(low - MARGIN), *(high + MARGIN)) for low, high in zip(corners[::2], corners[1::2], strict=True)]
    for label in labels:
        x, y = axes.transData.transform((label.x, label.y)) * to_points
        for dx, dy, side in _PLACES:
            box = _box(x + dx, y + dy, side, label.text)
            if _within(box, area) and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                _write(axes, label, (dx, dy), side)
                break


def _write(axes: Any, label: Label, offset: tuple[int, int], side: str) -> None:
    far = abs(offset[1]) > 10
    axes.annotate(
        label.text, (label.x, label.y), offset, textcoords="offset points", ha=side, va="center", fontsize=SIZE,
        fontweight="bold" if label.bold else "normal", annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": "#7d8590", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3} if far else None,
    )  # fmt: skip


def _box(x: float, y: float, side: str, text: str) -> Box:
    width, half = 0.62 * SIZE * len(text), 0.62 * SIZE
    left = {"left": x, "right": x - width, "center": x - width / 2}[side]
    return left, y - half, left + width, y + half


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _within(box: Sequence[float], area: Sequence[float]) -> bool:
    return box[0] >= area[0] and box[1] >= area[1] and box[2] <= area[2] + 6 and box[3] <= area[3] + 6
