"""What all pictures have in common: how hard they are to look at, their colours and fonts, and how they are stored."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

import attrs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, Colour] = {
    "red": (214, 40, 40),
    "blue": (38, 84, 214),
    "green": (34, 150, 60),
    "yellow": (240, 206, 20),
    "purple": (140, 40, 180),
    "orange": (246, 130, 20),
    "brown": (120, 70, 30),
    "pink": (244, 130, 190),
}
INK: Colour = (24, 24, 32)
WIDEST = 320


@attrs.frozen
class Look:
    """What makes a picture hard to look at, each from 0 (easy) to 1.  It shows in the pixels and in no text.

    ``density``: many things are drawn; ``clutter``: strokes behind them; ``faint``: little contrast; ``small``: few pixels;
    ``dull``: little colour.
    """

    density: float
    clutter: float
    faint: float
    small: float
    dull: float

    @classmethod
    def any(cls, rng: np.random.Generator) -> Look:
        """Return a look at random."""
        return cls(*(float(v) for v in rng.beta(0.6, 0.6, 5)))

    def many(self, fewest: int, most: int) -> int:
        """Return a number of things to draw that grows with the density."""
        return fewest + round(self.density * (most - fewest))


@attrs.frozen
class Picture:
    """An encoded image file and its size in pixels."""

    data: bytes
    width: int
    height: int


class Canvas:
    """A picture being drawn.  Coordinates are pixels from the top left corner."""

    def __init__(self, rng: np.random.Generator, look: Look, ratio: float) -> None:
        self.rng = rng
        self.look = look
        self.width = WIDEST - round(130 * look.small)
        self.height = round(self.width * ratio)
        tint = tuple(int(v) for v in rng.integers(226, 256, 3))
        self.paper = _mixed(_greyed((tint[0], tint[1], tint[2]), 0.68 * look.dull), (250, 250, 250), 0.4)
        self.image = Image.new("RGB", (self.width, self.height), self.paper)
        self._draw = ImageDraw.Draw(self.image)
        self.ink = self.tone(INK)

    def tone(self, colour: Colour | str) -> Colour:
        """Return a colour as it appears in this picture: duller and closer to the paper, as the look has it."""
        rgb = COLOURS[colour] if isinstance(colour, str) else colour
        return _mixed(_greyed(rgb, 0.68 * self.look.dull), self.paper, 0.72 * self.look.faint)

    def scribble(self) -> None:
        """Draw strokes that mean nothing; the more clutter, the more of them."""
        count = round(110 * self.look.clutter * self.width / WIDEST)
        spots = self.rng.random((count, 4)) * (self.width, self.height, 60, 60) - (0, 0, 30, 30)
        tones = [_mixed(self.tone(c), self.paper, 0.6) for c in COLOURS.values()]
        for i, (x, y, dx, dy) in enumerate(spots.tolist()):
            self._draw.line((x, y, x + dx, y + dy), fill=tones[i % len(tones)], width=1 + i % 2)

    def points(self, size: int) -> int:
        """Return a size of font that is ``size`` in the widest picture and shrinks with the picture."""
        return max(8, round(size * self.width / WIDEST))

    def text(self, at: Point, text: str, size: int = 10, colour: Colour | None = None, anchor: str = "la") -> None:
        """Write a line of text."""
        self._draw.text(at, text, fill=colour or self.ink, font=_font(size), anchor=anchor)

    def fits(self, text: str, size: int) -> int:
        """Return the size of font, ``size`` at most, at which a line fits the picture's width."""
        while size > 8 and _font(size).getlength(text) > self.width - 8:
            size -= 1
        return size

    def box(self, at: Point, size: Point, fill: Colour | None = None, outline: Colour | None = None) -> None:
        """Draw a rectangle by its top left corner and its size."""
        self._draw.rectangle((at[0], at[1], at[0] + size[0], at[1] + size[1]), fill=fill, outline=outline)

    def disc(self, centre: Point, radius: float, fill: Colour | None, outline: Colour | None = None) -> None:
        """Draw a circle."""
        (x, y), r = centre, radius
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline)

    def polygon(self, points: Sequence[Point], fill: Colour | None, outline: Colour | None = None) -> None:
        """Draw a closed shape."""
        self._draw.polygon([(x, y) for x, y in points], fill=fill, outline=outline)

    def line(self, start: Point, end: Point, width: int = 1, colour: Colour | None = None) -> None:
        """Draw a straight line."""
        self._draw.line((*start, *end), fill=colour or self.ink, width=width)

    def arrow(self, start: Point, end: Point) -> None:
        """Draw a line with a head at its end."""
        self.line(start, end)
        back = np.array(start) - np.array(end)
        back = back / max(float(np.hypot(*back)), 1.0) * 5
        side = np.array([-back[1], back[0]]) / 2
        tips = [np.array(end) + back + side, np.array(end) + back - side]
        self.polygon([end, *((float(t[0]), float(t[1])) for t in tips)], self.ink)

    def finish(self, *, photo: bool = False) -> Picture:
        """Encode the picture: as JPEG if it is like a photo, else as PNG with few colours."""
        file = io.BytesIO()
        if photo:
            self.image.save(file, "JPEG", quality=72)
        else:
            few = self.image.quantize(32, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
            few.save(file, "PNG")
        return Picture(file.getvalue(), self.width, self.height)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with PIL, so that pictures do not depend on what is installed."""
    return ImageFont.load_default(size=size)


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(c + (o - c) * share) for c, o in zip(colour, other, strict=True))
    return r, g, b


def _greyed(colour: Colour, share: float) -> Colour:
    grey = round(0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2])
    return _mixed(colour, (grey, grey, grey), share)
