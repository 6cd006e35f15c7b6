"""Visual cues: text and its layout, lines, colours, resolution, and the kind of image (photo, page, chart, drawing)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from vlrb import Array, Column, Features, Images, NoParams, Queries
from vlrb_plugins.encoders.pictures import reduced, sample_rows

if TYPE_CHECKING:
    from PIL import Image

LOOK = 384
"""Longest side, in pixels, of the reduced image that the cues are computed from."""

STEEP = np.tan(np.pi / 8)
"""Slope below which a direction counts as horizontal."""

NUMERIC = (
    "log-megapixels",  # of the whole image
    "log-shorter-side",
    "log-bytes-per-pixel",  # of the file: many for photographs, few for drawings
    "sharpness",  # gradients at full size relative to half size: small if the image was enlarged
    "background",  # share of the most frequent colour
    "background-brightness",
    "border",  # share of the image's border that has this colour
    "ink",  # share of pixels that differ clearly from the background
    "filled",  # bounding box of the ink, as a share of the image
    "log-colours",  # colours that make up 90 % of the pixels (of 4,096)
    "saturated",  # share of pixels with a clear hue
    "hues",  # hues of at least 1 % of the pixels (of 12)
    "flat-hues",  # share of pixels with a clear hue in areas of one colour: bars, slices, signs
    "flat",  # share of pixels that equal their neighbours
    "noise",  # median difference of neighbours that are not equal
    "skin",  # share of pixels with the hue of skin and wood, frequent in photographs
    "crossings",  # mean changes between ink and background per row
    "crossings-peak",  # the same at the 90th percentile of rows
    "text-rows",  # share of rows with as many changes as text has
    "text-lines",  # runs of such rows
    "log-text-height",  # height of these runs in pixels of the whole image
    "text-width",  # share of the width that they span
    "stroke",  # mean width of ink in pixels of the reduced image
    "horizontal-rules",  # rows with an unbroken line over a third of the width
    "vertical-rules",
    "grid",  # 1 if there are at least three of both: tables, charts with a grid
    "frame",  # 1 if there is at least one of both: axes
    "diagonal",  # share of the gradients that are neither horizontal nor vertical
    "directions",  # entropy of the gradients' directions
    "centre-x",  # of the ink
    "centre-y",
    "uneven",  # standard deviation of the ink over nine fields
    "empty-fields",  # share of these fields without ink
    "similar-halves",  # correlation of the ink in the left and right half
)
KINDS = ("photo", "page", "chart", "drawing")
"""What an image looks like, by rules of thumb over the numbers above; the codes of the column ``kind``."""


@attrs.frozen
class VisualCues:
    """Means of NUMERIC over a sample's images, and ``kind`` of its first image, missing for a sample without images."""

    params: NoParams = NoParams()

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, 35].

        :raises DataError: naming the sample whose image cannot be read
        """
        rows = sample_rows(queries.images, _row)
        columns = [Column(f"visual-cues/{n}", "numeric", may_be_missing=True) for n in NUMERIC]
        columns.append(Column("visual-cues/kind", "categorical", may_be_missing=True, categories=len(KINDS)))
        return Features(np.array(rows, dtype=np.float32).reshape(len(rows), len(columns)), tuple(columns))


def _row(images: Images, i: int) -> list[float]:
    found = images[i]
    if not found:
        return [float("nan")] * (len(NUMERIC) + 1)
    sizes = [len(data) for data in images.encoded(i)]
    numbers = [cues(image, size) for image, size in zip(found, sizes, strict=True)]
    return [*np.mean(numbers, axis=0).tolist(), float(KINDS.index(kind(dict(zip(NUMERIC, numbers[0], strict=True)))))]


def cues(image: Image.Image, size: int) -> Array:
    """Return the numbers that NUMERIC lists for one image.

    :param size: size of its file in bytes
    """
    width, height = image.size
    small = reduced(image, LOOK)
    planes = [np.ascontiguousarray(p) for p in np.moveaxis(np.asarray(small), 2, 0).astype(np.int16)]
    grey = (
        np.float32(0.299 / 255) * planes[0] + np.float32(0.587 / 255) * planes[1] + np.float32(0.114 / 255) * planes[2]
    )
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    flat = _equal(planes)
    bins = ((planes[0] >> 4) << 8) | ((planes[1] >> 4) << 4) | (planes[2] >> 4)
    counts = np.bincount(bins.ravel(), minlength=4096)
    background, ink = _ground(bins == counts.argmax(), grey)
    first = [
        np.log(width * height / 1e6),
        np.log(min(width, height)),
        np.log(size / (width * height)),
        _sharpness(grey),
    ]
    different = np.concatenate([across[across > 1 / 255], down[down > 1 / 255]])
    return np.array(
        [
            *first,
            *background,
            *_colours(planes, flat, counts),
            flat.mean(),
            np.median(different) if different.size else 0.0,
            _skin(planes),
            *_text(ink, max(width, height) / max(small.size)),
            *_lines(ink),
            *_directions(grey),
            *_layout(ink),
        ]
    )


def _equal(planes: Sequence[Array]) -> Array:
    """Return bool[h, w]: pixels that nearly equal their neighbours to the right and below."""
    flat = np.ones(planes[0].shape, np.bool_)
    for plane in planes:
        flat[:, :-1] &= np.abs(plane[:, 1:] - plane[:, :-1]) <= 2
        flat[:-1] &= np.abs(plane[1:] - plane[:-1]) <= 2
    return flat


def _sharpness(grey: Array) -> float:
    if min(grey.shape) < 4:
        return 1.0
    half = grey[: grey.shape[0] // 2 * 2, : grey.shape[1] // 2 * 2]
    half = half.reshape(half.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    fine, coarse = (np.abs(np.diff(x, axis=1)).mean() + np.abs(np.diff(x, axis=0)).mean() for x in (grey, half))
    return float(fine / (coarse + 1e-6))


def _ground(same: Array, grey: Array) -> tuple[list[float], Array]:
    """Return the numbers about the background, and the ink bool[h, w]: pixels that differ clearly from it.

    :param same: bool[h, w], the pixels of its colour
    """
    level = float(grey[same].mean())
    ink = np.abs(grey - level) > 0.2
    border = np.concatenate([same[0], same[-1], same[:, 0], same[:, -1]])
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1) / ink.size if rows.size else 0.0
    return [same.mean(), level, border.mean(), ink.mean(), box], ink


def _colours(planes: Sequence[Array], flat: Array, counts: Array) -> list[float]:
    """Return the numbers about colours.

    :param counts: pixels of each of 4,096 colours
    """
    needed = int(np.searchsorted(np.cumsum(np.sort(counts)[::-1]), 0.9 * flat.size)) + 1
    high = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    spread = high - np.minimum(np.minimum(planes[0], planes[1]), planes[2])
    clear = spread > 60
    if not clear.any():
        return [np.log(needed), 0.0, 0.0, 0.0]
    red, green, blue = (p[clear] for p in planes)
    top, range_ = high[clear], spread[clear].astype(np.float32)
    sector = np.where(top == green, 2 + (blue - red) / range_, 4 + (red - green) / range_)
    hue = np.where(top == red, (green - blue) / range_, sector)
    histogram = np.bincount(np.floor(hue * 2).astype(np.int64) % 12, minlength=12) / flat.size
    return [np.log(needed), clear.mean(), float((histogram > 0.01).sum()), (clear & flat).mean()]


def _skin(planes: Sequence[Array]) -> float:
    red, green, blue = planes
    return float(((red > 90) & (red > green + 12) & (green > blue + 4) & (red - blue < 130)).mean())


def _text(ink: Array, scale: float) -> list[float]:
    """Return the numbers about text: bands of rows with many changes between ink and background."""
    changes = (ink[:, 1:] != ink[:, :-1]).sum(axis=1) if ink.shape[1] > 1 else np.zeros(len(ink))
    textual = changes >= max(12, 0.06 * ink.shape[1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], textual, [False]]).astype(np.int8)))
    heights = edges[1::2] - edges[::2]
    columns = np.flatnonzero(ink[textual].any(axis=0)) if textual.any() else np.empty(0)
    inked = ink.sum()
    return [
        changes.mean(),
        float(np.percentile(changes, 90)),
        textual.mean(),
        float(len(heights)),
        np.log1p(np.median(heights) * scale) if heights.size else 0.0,
        (np.ptp(columns) + 1) / ink.shape[1] if columns.size else 0.0,
        2 * inked / max(float(changes.sum()), 1.0) if inked else 0.0,
    ]


def _lines(ink: Array) -> list[float]:
    horizontal, vertical = _rules(ink), _rules(ink.T)
    grid = float(horizontal >= 3 and vertical >= 3)
    return [float(horizontal), float(vertical), grid, float(horizontal >= 1 and vertical >= 1)]


def _rules(ink: Array) -> int:
    """Return the number of unbroken lines over a third of the width; the rows of a thick line count once."""
    length = max(8, ink.shape[1] // 3)
    if ink.shape[1] <= length:
        return 0
    summed = np.pad(np.cumsum(ink, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    found = (summed[:, length:] - summed[:, :-length] == length).any(axis=1)
    return int((np.diff(np.concatenate([[False], found]).astype(np.int8)) == 1).sum())


def _directions(grey: Array) -> list[float]:
    if min(grey.shape) < 3:
        return [0.0, 0.0]
    across = (grey[1:-1, 2:] - grey[1:-1, :-2]).ravel()
    down = (grey[2:, 1:-1] - grey[:-2, 1:-1]).ravel()
    strong = np.flatnonzero(across * across + down * down > 0.01)
    if not strong.size:
        return [0.0, 0.0]
    across, down = across[strong], down[strong]
    wide, high = np.abs(across), np.abs(down)
    level, upright = high < STEEP * wide, wide < STEEP * high
    falling = ~level & ~upright & (across * down < 0)
    histogram = np.array([level.mean(), upright.mean(), falling.mean()])
    histogram = np.append(histogram, max(0.0, 1.0 - histogram.sum()))
    used = histogram[histogram > 0]
    return [histogram[2] + histogram[3], -(used * np.log2(used)).sum()]


def _layout(ink: Array) -> list[float]:
    total = ink.sum()
    if not total or min(ink.shape) < 3:
        return [0.5, 0.5, 0.0, 1.0, 0.0]
    rows, columns = ink.sum(axis=1), ink.sum(axis=0)
    fields = [part.mean() for band in np.array_split(ink, 3) for part in np.array_split(band, 3, axis=1)]
    half = ink.shape[1] // 2
    left, right = rows_of(ink[:, :half]), rows_of(ink[:, -half:])
    steady = left.std() * right.std()
    return [
        float(columns @ np.arange(len(columns))) / total / len(columns),
        float(rows @ np.arange(len(rows))) / total / len(rows),
        float(np.std(fields)),
        float(np.mean(np.array(fields) < 0.002)),
        float(((left - left.mean()) * (right - right.mean())).mean() / steady) if steady > 1e-6 else 0.0,
    ]


def rows_of(ink: Array) -> Array:
    """Return the share of ink in every row."""
    return np.asarray(ink.mean(axis=1))


def kind(numbers: dict[str, float]) -> str:
    """Return the one of KINDS that an image looks like."""
    if numbers["flat"] < 0.35 and numbers["background"] < 0.3:
        return "photo"
    if numbers["text-rows"] > 0.15 and numbers["flat-hues"] < 0.05 and numbers["text-lines"] >= 4:
        return "page"
    return "chart" if numbers["frame"] or numbers["flat-hues"] > 0.05 else "drawing"
