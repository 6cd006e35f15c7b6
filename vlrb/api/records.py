"""Datasets and models as plugins and experiment files declare them: frozen records without behaviour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def slugify(name: str) -> str:
    """Return the kebab-case form of a name in logs."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def check_kebab(what: str, value: object, fix: str = "") -> None:
    """Raise ValueError unless a value is a kebab-case text."""
    if not isinstance(value, str) or not KEBAB.fullmatch(value):
        raise ValueError(f"{what} must be kebab-case such as 'my-name', not {value!r}{fix}")


def _text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name} must be a text that is not empty, not {value!r}")


def _texts(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{attribute.name} must be a tuple of texts, not {value!r}")


@attrs.frozen
class Dataset:
    """A dataset of the benchmark, by its name in the logs.

    ``group`` is the slug of a task group, ``group_title`` its name in tables; ``scorer`` names the component that judges raw
    answers; ``samples`` is the expected number of samples; ``id_column`` holds the samples' names (files are joined by ``index``
    in any case); ``circular``: a question is asked with several rotations of its options (MMBench).  A split keeps samples of one
    group together: ``group_column`` holds the group, or the first group of the regular expression ``group_pattern`` finds it there.
    """

    name: str = attrs.field(validator=_text)
    group: str = attrs.field(default="own")
    group_title: str = ""
    task: str = ""
    scorer: str = ""
    slug: str = attrs.field(default=attrs.Factory(lambda self: slugify(self.name), takes_self=True))
    aliases: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    samples: int | None = None
    licence: str = ""
    id_column: str = "index"
    circular: bool = False
    group_column: str = ""
    group_pattern: str = attrs.field(default="")
    sets: tuple[str, ...] = attrs.field(default=(), validator=_texts)

    def group_of(self, fields: Mapping[str, str]) -> str:
        """Return the group of a sample with these columns; empty if it has none."""
        cell = fields.get(self.group_column, "")
        if not cell or not self.group_pattern:
            return cell
        found = re.match(self.group_pattern, cell)
        return found[1] if found else ""

    @group_pattern.validator
    def _pattern(self, _: Any, value: str) -> None:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"group_pattern is not a regular expression: {error}") from None
        if value and groups < 1:
            raise ValueError(f"group_pattern must have a group in parentheses, not {value!r}")

    @slug.validator
    def _slug(self, _: Any, value: str) -> None:
        check_kebab(f"the slug of {self.name!r}", value, "; set slug")

    @group.validator
    def _kebab(self, _: Any, value: str) -> None:
        check_kebab("a task group", value)


@attrs.frozen(kw_only=True)
class ImageTokens:
    """How many input tokens an image costs a model, by the rule that its makers publish under ``source``.

    ``constant``: ``tokens`` per image.  ``patches`` (Qwen2.5-VL): both sides are rounded to multiples of ``size``, the area is
    kept between ``min_pixels`` and ``max_pixels``, and each square of ``size`` pixels is a token.  ``tiles`` (GPT-4o): the image is
    scaled down into a square of ``fit`` pixels, then until its shorter side has ``short_side``; each tile of ``size`` pixels costs
    ``per_tile``, and the image ``tokens``.  ``grid`` (InternVL): the image fills the grid of at most ``max_tiles`` tiles whose
    aspect is nearest its own; each tile costs ``per_tile``, and so does a thumbnail where there are several.
    """

    rule: Literal["constant", "patches", "tiles", "grid"]
    source: str
    tokens: int = 0
    size: int = 0
    per_tile: int = 0
    min_pixels: int = 0
    max_pixels: int = 0
    fit: int = 0
    short_side: int = 0
    max_tiles: int = 0


MOST_BILLIONS = HIGHEST_PRICE = 1e9
"""Most billions of parameters of a model, most US dollars per million tokens."""


@attrs.frozen
class Model:
    """A candidate model, by its name in the logs, with its prices in USD per million tokens and ``parameters`` in billions.

    ``parameters`` and ``image_tokens`` are None where they are not published.
    """

    name: str = attrs.field(validator=_text)
    input_price_per_million: float | None = attrs.field(default=None)
    output_price_per_million: float | None = attrs.field(default=None)
    parameters: float | None = attrs.field(default=None)
    open: bool | None = None
    image_tokens: ImageTokens | None = None
    aliases: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    sets: tuple[str, ...] = attrs.field(default=(), validator=_texts)

    @input_price_per_million.validator
    @output_price_per_million.validator
    def _price(self, _: Any, value: float | None) -> None:
        if value is not None and not 0 <= value <= HIGHEST_PRICE:
            limits = f"between 0 and {HIGHEST_PRICE:,.0f} US dollars per million tokens"
            raise ValueError(f"a price is {limits}, not {value!r}")

    @parameters.validator
    def _size(self, _: Any, value: float | None) -> None:
        if value is not None and not 0 < value <= MOST_BILLIONS:
            raise ValueError(f"parameters are above 0 and at most {MOST_BILLIONS:,.0f} billions, not {value!r}")
