"""Statistics of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from vlrb import Array, Column, Features, Images, NoParams, Queries
from vlrb_plugins.encoders.pictures import reduced, sample_rows

if TYPE_CHECKING:
    from PIL import Image

LOOK = 128
"""Longest side, in pixels, of the reduced image for brightness, colours and edges."""

NAMES = (
    "log-width",
    "log-height",
    "log-aspect",
    "brightness",
    "contrast",
    "dark",
    "light",
    "red",
    "green",
    "blue",
    "colourfulness",
    "grey",
    "edges",
    "strong-edges",
    "horizontal-edges",
    "entropy",
)


@attrs.frozen
class ImageStatistics:
    """The number of images, and the means of NAMES over a sample's images, missing for a sample without images."""

    params: NoParams = NoParams()

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, 17].

        :raises DataError: naming the sample whose image cannot be read
        """
        rows = sample_rows(queries.images, _row)
        matrix = np.array(rows, dtype=np.float32).reshape(len(queries), 1 + len(NAMES))
        numbers = (Column(f"image-statistics/{n}", "numeric", may_be_missing=True) for n in NAMES)
        return Features(matrix, (Column("image-statistics/images", "numeric"), *numbers))


def _row(images: Images, i: int) -> list[float]:
    found = images[i]
    if not found:
        return [0.0] + [float("nan")] * len(NAMES)
    return [float(len(found)), *np.mean([statistics(image) for image in found], axis=0).tolist()]


def statistics(image: Image.Image) -> Array:
    """Return the numbers that NAMES lists for one image.

    Colourfulness is Hasler and Süsstrunk's M (2003); edges are mean absolute differences of neighbouring pixels.
    """
    width, height = image.size
    small = reduced(image, LOOK)
    pixels = np.asarray(small, dtype=np.float32) / 255.0
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    across = np.abs(np.diff(grey, axis=1)) if grey.shape[1] > 1 else np.zeros((1, 1), np.float32)
    down = np.abs(np.diff(grey, axis=0)) if grey.shape[0] > 1 else np.zeros((1, 1), np.float32)
    yellow = 0.5 * (red + green) - blue
    spread = np.hypot((red - green).std(), yellow.std())
    shift = np.hypot((red - green).mean(), yellow.mean())
    histogram = np.bincount((grey * 31.999).astype(np.int64).ravel(), minlength=32) / grey.size
    used = histogram[histogram > 0]
    return np.array(
        [
            np.log(width),
            np.log(height),
            np.log(width / height),
            grey.mean(),
            grey.std(),
            (grey < 0.2).mean(),
            (grey > 0.9).mean(),
            red.mean(),
            green.mean(),
            blue.mean(),
            spread + 0.3 * shift,
            (np.ptp(pixels, axis=2) < 0.04).mean(),
            0.5 * (across.mean() + down.mean()),
            0.5 * ((across > 0.25).mean() + (down > 0.25).mean()),
            down.mean() / (across.mean() + down.mean() + 1e-6),
            -(used * np.log2(used)).sum(),
        ]
    )
