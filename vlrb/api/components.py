"""Components that an experiment chooses by name: the records that plugins register, and their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    import click
    import pyarrow as pa

    from vlrb.api.logs import LogSource, Scorer, TokenCounter
    from vlrb.api.results import RunResult
    from vlrb.api.routing import Encoder, Fitted, Metric, Router
    from vlrb.benchmark.matrices import Benchmark
from vlrb.api.records import KEBAB, Dataset, Model


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


@attrs.frozen
class NoParams:
    """For components that take none."""


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
