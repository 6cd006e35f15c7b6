"""Components that an experiment chooses by name: the records that plugins register, and their parameters."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    import click

    from vlrb.api.routing import Fitted

from vlrb.api.records import Dataset, Model, check_kebab
from vlrb.errors import PluginError


def param(
    *,
    default: Any = attrs.NOTHING,
    help: str = "",
    validator: Any = None,
    factory: Callable[[], Any] | None = None,
    when: Literal["fit", "route"] = "fit",
    was: tuple[str, ...] = (),
) -> Any:
    """Declare a parameter of a component: an attrs field with a help text, which ``vlrb list`` shows.

    :param when: ``route`` for a router's parameter that is used by :mod:`vlrb.api.decide` only: a sweep over it fits once
    :param was: former names, as written in TOML: an experiment file that uses one gets an error with the new name
    """
    default = default if factory is None else attrs.Factory(factory)
    metadata = {"help": help, "when": when, "was": was}
    return attrs.field(default=default, validator=validator, metadata=metadata, kw_only=True)


def toml_name(field_name: str) -> str:
    """Return how a parameter is written in TOML: a trailing underscore is dropped (``lambda_`` is ``lambda``)."""
    return field_name.removesuffix("_")


@attrs.frozen
class NoParams:
    """For components that take none."""


def _place(_: Any, _attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"\w+(\.\w+)*:\w+", value):
        raise ValueError(f"a function or class is given itself or by its place 'package.module:Name', not as {value!r}")


@attrs.frozen
class Imported:
    """A function or class by its place, ``package.module:Name``, imported when it is called."""

    place: str = attrs.field(validator=_place)

    def __call__(self, *arguments: Any) -> Any:
        return self.found()(*arguments)

    def found(self) -> Any:
        """Import the function or class.

        :raises PluginError: when there is no such module, or no such name in it
        """
        module, _, name = self.place.partition(":")
        try:
            return resolve_name(self.place)  # import_module of a computed name would count the whole package in keys
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):  # one that the module imports itself
                raise
            lacking = f"there is no module {error.name!r}"
        except AttributeError:
            found = sys.modules.get(module)
            if found is None or hasattr(found, name):  # the module's own code raised it
                raise
            lacking = f"module {module!r} has no {name!r}"
        fix = "correct the text, or give the function or class itself"
        raise PluginError(f"{self.place!r} cannot be imported: {lacking}", fix=fix)


def imported_late(value: Any) -> Any:
    """Return a factory; a text ``package.module:Name`` becomes an :class:`Imported`."""
    return Imported(value) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Component:
    """What all components have: a kebab-case name, a line of help, and the attrs class of their parameters.

    ``factory(params)`` makes the component; a text ``"package.module:Name"`` is imported when it is first called.  ``requires``
    names Python packages that the component needs beyond vlrb's own, ``extra`` the extra that brings them.
    """

    name: str = attrs.field()
    summary: str
    factory: Callable[[Any], Any] = attrs.field(converter=imported_late)
    params: type = attrs.field(default=NoParams)
    requires: tuple[str, ...] = ()
    extra: str = ""

    @name.validator
    def _kebab(self, _: Any, value: str) -> None:
        check_kebab("a component's name", value)

    @params.validator
    def _attrs_class(self, _: Any, value: type) -> None:
        if not isinstance(value, type) or not attrs.has(value):
            raise ValueError(f"params of {self.name!r} must be an attrs class, not {value!r}")


@attrs.frozen(kw_only=True)
class LogSourceSpec(Component):
    """A source of logs: ``factory(params) -> LogSource``.

    A ``pathlib.Path`` in ``params`` is resolved against the experiment file's folder.
    """


@attrs.frozen(kw_only=True)
class ScorerSpec(Component):
    """A scorer of raw answers: ``factory(params) -> Scorer``."""


@attrs.frozen(kw_only=True)
class TokenCounterSpec(Component):
    """A token counter: ``factory(params) -> TokenCounter``."""


@attrs.frozen(kw_only=True)
class EncoderSpec(Component):
    """An encoder: ``factory(params) -> Encoder``.

    ``modality`` is what the encoder looks at, for fusions of text and image.  ``revision(params)``, if given, identifies the
    weights in use, so that cached features of other weights are not reused.  With ``parallel = False`` the local
    executor encodes in one process, whatever ``--jobs`` says: for models that fill the memory, or use all cores by themselves.
    """

    parallel: bool = True
    modality: Literal["text", "image", "both"] = "both"
    revision: Callable[[Any], str] | None = attrs.field(default=None, converter=imported_late)


@attrs.frozen(kw_only=True)
class SplitterSpec(Component):
    """A splitter: ``factory(params) -> Splitter``."""


@attrs.frozen(kw_only=True)
class FusionSpec(Component):
    """A fusion of the features of several encoders: ``factory(params) -> Fusion``.

    ``needs`` names the modalities that must have an encoder; if it names any, encoders that look at both are refused.  ``keeps``
    names the one modality whose encoders are used; empty uses all.
    """

    needs: tuple[Literal["text", "image"], ...] = ()
    keeps: Literal["", "text", "image"] = ""


@attrs.frozen(kw_only=True)
class ProtocolSpec(Component):
    """A protocol, a preset of keys: ``factory(params)`` returns them as tables; an experiment file that says otherwise is refused.

    The keys of its table ``router`` go to every router that has such a parameter.
    """


@attrs.frozen(kw_only=True)
class ExecutorSpec(Component):
    """An executor, which does the work of builds and cells: ``factory(params) -> Executor`` (:mod:`vlrb.executor`)."""


@attrs.frozen(kw_only=True)
class RouterSpec(Component):
    """A router: ``factory(params) -> Router``; ``load(directory)`` brings back what ``Fitted.save`` wrote.

    ``needs_features`` routers get ``queries.features``, the feature set that the experiment names.  ``revision(params)``, if given,
    identifies the weights that a fit begins with, so that a cached fit from other weights is not reused.
    """

    load: Callable[[Path], Fitted] | None = attrs.field(default=None, converter=imported_late)
    needs_features: bool = False
    revision: Callable[[Any], str] | None = attrs.field(default=None, converter=imported_late)


@attrs.frozen(kw_only=True)
class MetricSpec(Component):
    """A metric: ``factory(params) -> Metric``; ``per_subset`` metrics are also computed per dataset and task group.

    ``formula`` says how it is computed, ``source`` where it is defined: the reference shows both.
    """

    unit: str = ""
    formula: str = ""
    source: str = ""
    higher_is_better: bool = True
    per_subset: bool = True


@attrs.frozen(kw_only=True)
class ReporterSpec(Component):
    """A report: ``factory(params)`` returns a function of (subject, directory) that gives the files it wrote.

    The subject is a :class:`vlrb.FinishedRun`; with ``on="benchmark"`` the :class:`vlrb.BuiltBenchmark` of ``vlrb build``, which
    names the first file and prints the JSON files with ``--json``; with ``on="comparison"`` the :class:`vlrb.Comparison` of
    ``vlrb compare``.  A :class:`vlrb.WithText` has a text for the terminal too.  With ``on="export"`` the subject is a
    :class:`vlrb.BuiltBenchmark` too, and ``vlrb build --export NAME DIR`` alone asks for the report; it makes the folder.
    """

    on: Literal["run", "benchmark", "comparison", "export"] = attrs.field(default="run")

    @on.validator
    def _known(self, _: Any, value: str) -> None:
        if value not in ("run", "benchmark", "comparison", "export"):
            raise ValueError(f"on of {self.name!r} must be 'run', 'benchmark', 'comparison' or 'export', not {value!r}")


@attrs.frozen(kw_only=True)
class FigureSpec(Component):
    """A figure of a finished run: ``factory(params)`` returns a function of a :class:`vlrb.FinishedRun`.

    The function returns a :class:`matplotlib.figure.Figure`, made without pyplot, or :class:`vlrb.Undefined` with the reason
    where the run has nothing to show.  ``title`` stands above the figure in reports, ``summary`` is its caption.
    """

    title: str


@attrs.frozen
class CommandSpec:
    """A command of the ``vlrb`` command line: ``load()`` returns the click command."""

    name: str
    summary: str
    load: Callable[[], click.Command] = attrs.field(converter=imported_late)


Record = Dataset | Model | Component | CommandSpec

KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "dataset": ("vlrb_datasets", Dataset),
    "model": ("vlrb_models", Model),
    "log-source": ("vlrb_log_sources", LogSourceSpec),
    "scorer": ("vlrb_scorers", ScorerSpec),
    "token-counter": ("vlrb_token_counters", TokenCounterSpec),
    "splitter": ("vlrb_splitters", SplitterSpec),
    "encoder": ("vlrb_encoders", EncoderSpec),
    "fusion": ("vlrb_fusions", FusionSpec),
    "protocol": ("vlrb_protocols", ProtocolSpec),
    "executor": ("vlrb_executors", ExecutorSpec),
    "router": ("vlrb_routers", RouterSpec),
    "metric": ("vlrb_metrics", MetricSpec),
    "reporter": ("vlrb_reporters", ReporterSpec),
    "figure": ("vlrb_figures", FigureSpec),
    "command": ("vlrb_commands", CommandSpec),
}
"""Kind of component -> its registration hook and the class of its records."""

Kind = str
"""One of :data:`KINDS`."""
