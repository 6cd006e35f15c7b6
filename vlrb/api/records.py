"""Datasets and models as plugins and experiment files declare them: frozen records without behaviour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def slugify(name: str) -> str:
    """Return the kebab-case form of a name as it stands in logs."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name} must be a text that is not empty, not {value!r}")


def _texts(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{attribute.name} must be a tuple of texts, not {value!r}")


@attrs.frozen
class Dataset:
    """A dataset of the benchmark, by its name in the logs.

    ``group`` is the slug of a task group, ``group_title`` what tables call it; ``scorer`` names the component that judges raw
    answers; ``samples`` is the expected number of samples; ``id_column`` is the column whose text names a sample (``index`` joins
    files in any case);
    ``circular`` says that an answer is asked for several rotations of the options (MMBench).  Samples of one group are kept on
    one side of a split: ``group_column`` names the column that tells the group, and ``group_pattern``, if given, is a regular
    expression whose first group is the part of the cell that does.
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
        """Return the group that a sample with these columns belongs to; empty where there is none."""
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
        if not KEBAB.fullmatch(value):
            raise ValueError(
                f"the slug of {self.name!r} must be kebab-case such as 'my-dataset', not {value!r}; set slug"
            )

    @group.validator
    def _kebab(self, _: Any, value: str) -> None:
        if not KEBAB.fullmatch(value):
            raise ValueError(f"a task group is a kebab-case slug such as 'general', not {value!r}")


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


MOST_BILLIONS = 1e9
"""Parameters of a model, in billions, that are accepted."""


HIGHEST_PRICE = 1e9
"""Most US dollars that a million tokens may cost."""


@attrs.frozen
class Model:
    """A candidate model, by its name in the logs, with its price in USD per million tokens.

    ``parameters`` is in billions, None where it is not published; ``image_tokens`` likewise.
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
            raise ValueError(
                f"a price is between 0 and {HIGHEST_PRICE:,.0f} US dollars per million tokens, not {value!r}"
            )

    @parameters.validator
    def _size(self, _: Any, value: float | None) -> None:
        if value is not None and not 0 < value <= MOST_BILLIONS:
            raise ValueError(f"parameters are above 0 and at most {MOST_BILLIONS:,.0f} billions, not {value!r}")
