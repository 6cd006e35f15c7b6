"""The records that plugins register.  All are frozen, inert and cheap to make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    import click
    import pyarrow as pa

    from vlrb.api.types import Encoder, Fitted, LogSource, Metric, Router, RunResult, Scorer, TokenCounter
    from vlrb.benchmark.matrices import Benchmark

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
GROUPS = {"general": "General", "stem": "STEM", "charts-ocr": "Charts & OCR"}
"""Slugs and titles of the paper's task groups (VL-RouterBench, section 3.1)."""


def param(
    *,
    default: Any = attrs.NOTHING,
    help: str = "",
    validator: Any = None,
    factory: Callable[[], Any] | None = None,
    when: Literal["fit", "route"] = "fit",
) -> Any:
    """Declare a parameter of a component: an attrs field with a help text, which ``vlrb list`` shows.

    :param when: ``route`` for a parameter of a router that only decides what is made of its estimates (see
        :mod:`vlrb.api.decide`): a sweep over it fits once
    """
    more: dict[str, Any] = {"default": default} if factory is None else {"factory": factory}
    return attrs.field(validator=validator, metadata={"help": help, "when": when}, kw_only=True, **more)


def toml_name(field_name: str) -> str:
    """Return how a parameter is written in TOML: a trailing underscore is dropped (``lambda_`` is ``lambda``)."""
    return field_name.removesuffix("_")


def slugify(name: str) -> str:
    """Return the kebab-case form of a name as it stands in logs."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@attrs.frozen
class NoParams:
    """For components that take none."""


# --- plain records ----------------------------------------------------------------------------------------------------


def _text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{attribute.name} must be a text that is not empty, not {value!r}")


def _texts(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{attribute.name} must be a tuple of texts, not {value!r}")


@attrs.frozen
class Dataset:
    """A dataset of the benchmark, by its name in the logs.

    ``group`` is the slug of a task group; ``scorer`` names the component that judges raw answers; ``samples`` is the expected
    number of samples; ``id_column`` is the column whose text names a sample (``index`` joins files in any case);
    ``circular`` says that an answer is asked for several rotations of the options (MMBench).  Samples of one group are kept on
    one side of a split: ``group_column`` names the column that tells the group, and ``group_pattern``, if given, is a regular
    expression whose first group is the part of the cell that does.
    """

    name: str = attrs.field(validator=_text)
    group: str = attrs.field()
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


# --- components -------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Component:
    """What all components have: a kebab-case name, a factory, the class of its parameters, and a line of help.

    ``requires`` names Python packages that the component needs beyond vlrb's own, and ``extra`` the extra that brings them.
    """

    name: str = attrs.field()
    summary: str
    factory: Callable[[Any], Any]
    params: type = attrs.field(default=NoParams)
    requires: tuple[str, ...] = ()
    extra: str = ""

    @name.validator
    def _kebab(self, _: Any, value: str) -> None:
        if not isinstance(value, str) or not KEBAB.fullmatch(value):
            raise ValueError(f"a component's name is kebab-case such as 'my-router', not {value!r}")

    @params.validator
    def _attrs_class(self, _: Any, value: type) -> None:
        if not isinstance(value, type) or not attrs.has(value):
            raise ValueError(f"params of {self.name!r} must be an attrs class, not {value!r}")


@attrs.frozen(kw_only=True)
class LogSourceSpec(Component):
    """A source of logs: ``factory(params) -> LogSource``.

    Fields of ``params`` that hold a ``pathlib.Path`` are resolved against the experiment file's folder.  ``export``, if given,
    writes a benchmark in the source's form into a new folder and returns the files it wrote: it gets the benchmark, the
    folder, and Arrow batches of all outcomes with their predictions.
    """

    factory: Callable[[Any], LogSource]
    export: Callable[[Benchmark, Path, Iterable[pa.RecordBatch]], Sequence[Path]] | None = None


@attrs.frozen(kw_only=True)
class ScorerSpec(Component):
    """A scorer of raw answers: ``factory(params) -> Scorer``."""

    factory: Callable[[Any], Scorer]


@attrs.frozen(kw_only=True)
class TokenCounterSpec(Component):
    """A token counter: ``factory(params) -> TokenCounter``."""

    factory: Callable[[Any], TokenCounter]


@attrs.frozen(kw_only=True)
class EncoderSpec(Component):
    """An encoder: ``factory(params) -> Encoder``.

    ``modality`` says what the encoder looks at, which fusions of text and image go by.  ``revision(params)``, if given, returns
    what identifies the weights in use, so that features made with others are not taken for these.
    """

    factory: Callable[[Any], Encoder]
    modality: Literal["text", "image", "both"] = "both"
    revision: Callable[[Any], str] | None = None


@attrs.frozen(kw_only=True)
class RouterSpec(Component):
    """A router: ``factory(params) -> Router``; ``load(directory)`` brings back what ``Fitted.save`` wrote.

    ``needs_features`` routers get ``queries.features``, of the feature set that the experiment names.  ``revision(params)``, if
    given, returns what identifies the weights that a fit begins with, so that a fit from others is not taken for this one.
    """

    factory: Callable[[Any], Router]
    load: Callable[[Path], Fitted] | None = None
    needs_features: bool = False
    revision: Callable[[Any], str] | None = None


@attrs.frozen(kw_only=True)
class MetricSpec(Component):
    """A metric over an evaluation: ``factory(params) -> Metric``.

    ``per_subset`` metrics are also computed per dataset and task group.
    """

    factory: Callable[[Any], Metric]
    unit: str = ""
    higher_is_better: bool = True
    per_subset: bool = True


@attrs.frozen(kw_only=True)
class ReporterSpec(Component):
    """A report: ``factory(params)`` returns a function of (result, directory) that gives the files it wrote."""

    factory: Callable[[Any], Callable[[RunResult, Path], Sequence[Path]]]


@attrs.frozen
class CommandSpec:
    """A command of the ``vlrb`` command line: ``load()`` returns the click command."""

    name: str
    summary: str
    load: Callable[[], click.Command]


Record = Dataset | Model | Component | CommandSpec

KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "dataset": ("vlrb_datasets", Dataset),
    "model": ("vlrb_models", Model),
    "log-source": ("vlrb_log_sources", LogSourceSpec),
    "scorer": ("vlrb_scorers", ScorerSpec),
    "token-counter": ("vlrb_token_counters", TokenCounterSpec),
    "encoder": ("vlrb_encoders", EncoderSpec),
    "router": ("vlrb_routers", RouterSpec),
    "metric": ("vlrb_metrics", MetricSpec),
    "reporter": ("vlrb_reporters", ReporterSpec),
    "command": ("vlrb_commands", CommandSpec),
}
"""Kind of component -> its registration hook and the class of its records."""

Kind = Literal[
    "dataset",
    "model",
    "log-source",
    "scorer",
    "token-counter",
    "encoder",
    "router",
    "metric",
    "reporter",
    "command",
]
