"""Promises: what the core relies on in a component of a kind, each a sentence and a function that checks it."""

from __future__ import annotations

import inspect
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import attrs

from vlrb.api.components import toml_name
from vlrb.errors import ConfigError, PluginError, Problem, VlrbError, did_you_mean
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered
from vlrb.texts import describe_error

HERE = str(Path(__file__).parent)
RAISED = "it raised "


class BrokenPromise(PluginError):
    """A plugin breaks promises of its kind; the problems say which, what was found, and how to keep them."""


class NotPromised(Exception):
    """A promise does not apply to a component, such as a router without ``scores``; the message says why."""


class Breach(Exception):
    """What a promise found instead of what was promised."""


def breach(what: str) -> NoReturn:
    """Say what was found instead of what was promised."""
    raise Breach(what)


@attrs.frozen
class Promise:
    """A promise: its name in kebab-case, the sentence that says it, how to keep it, and the function that checks it."""

    name: str
    sentence: str
    fix: str
    holds: Callable[[Any], None] = attrs.field(repr=False)


@attrs.define(eq=False)
class Table:
    """The promises of a kind; ``subject(spec, parameters, folder)`` makes what each of their functions gets.

    ``noun`` is the kind in messages.
    """

    noun: str
    subject: Callable[[Any, Mapping[str, Any], Path], Any]
    promises: list[Promise] = attrs.Factory(list)

    def promise(self, fix: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Add a function as a promise: its name is the function's, its sentence the first paragraph of the documentation."""

        def add(function: Callable[[Any], None]) -> Callable[[Any], None]:
            sentence = " ".join(inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].split())
            self.promises.append(Promise(function.__name__.strip("_").replace("_", "-"), sentence, fix, function))
            return function

        return add

    def names(self) -> list[str]:
        """Return the names of the promises."""
        return [p.name for p in self.promises]


@attrs.define(eq=False)
class Subject:
    """A component under test with its parameters, and an empty folder."""

    component: ConfiguredComponent
    folder: Path

    @classmethod
    def of(cls, kind: str, spec: Any, parameters: Mapping[str, Any], folder: Path) -> Any:
        """Return the subject of a record."""
        registered = Registered(spec, Plugin(owner_of(spec), "", "", ""))
        return cls(ConfiguredComponent(kind, registered, made_params(spec, parameters)), folder)

    @property
    def spec(self) -> Any:
        """Return the record."""
        return self.component.spec

    @property
    def who(self) -> str:
        """Return the component as messages name it."""
        return f"{self.component.kind} {self.spec.name!r}"

    def make(self, *methods: str) -> Any:
        """Make a new component, with its own copy of the parameters."""
        return self.component.make(*methods)


def owner_of(spec: Any) -> str:
    """Return the top-level package or module that a record's factory is from."""
    factory = getattr(spec, "factory", None) or getattr(spec, "load", None)
    place = getattr(factory, "place", "") or getattr(factory, "__module__", "")
    return str(place).partition(":")[0].partition(".")[0] or "tested"


def made_params(spec: Any, given: Mapping[str, Any]) -> Any:
    """Return a component's parameters, given by their names in Python or in TOML.

    :raises ConfigError: when there is no such parameter, one is missing, or a value is refused
    """
    fields = {toml_name(f.name): f.name for f in attrs.fields(spec.params)}
    named = {fields.get(name, name): value for name, value in given.items()}
    for name in sorted(named.keys() - set(fields.values())):
        raise ConfigError(f"{spec.name!r} has no parameter {name!r}", fix=did_you_mean(name, fields))
    try:
        return spec.params(**named)
    except (TypeError, ValueError) as error:
        fix = "give parameters with which the component can be made, as keywords"
        raise ConfigError(f"{spec.name!r} refuses its parameters: {describe_error(error)}", fix=fix) from None


def found_broken(table: Table, promise: Promise, spec: Any, parameters: Mapping[str, Any], folder: Path) -> str:
    """Check a promise; return what was found instead of it, an empty text if it is kept.

    :raises NotPromised: when the promise does not apply to the component
    :raises ConfigError: when it cannot be made with these parameters
    """
    subject = table.subject(spec, parameters, folder)
    try:
        promise.holds(subject)
    except (KeyboardInterrupt, NotPromised):
        raise
    except Breach as found:
        return str(found)
    except VlrbError as error:
        cause = f" ({place_of(error.__cause__)})" if error.__cause__ else ""
        first, *more = error.problems
        where = f" ({first.where})" if first.where and name_of(spec) not in first.where else ""
        return first.message + where + (f", and {len(more)} more" if more else "") + cause
    except BaseException as error:
        return f"{RAISED}{describe_error(error)} ({place_of(error)})"
    return ""


def place_of(error: BaseException | None) -> str:
    """Return file and line of the innermost frame that is not of this package."""
    frames = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__ if error else None)]
    outside = [f for f in frames if not f[0].startswith((HERE, "<"))]
    file, line = (outside or frames or [("?", 0)])[-1]
    return f"{file}, line {line}"


def problem_of(table: Table, promise: Promise, spec: Any, found: str) -> Problem:
    """Return a broken promise as a problem."""
    what = f"breaks the promise {promise.name!r} ({promise.sentence.rstrip('.')}): {found}"
    raised = "correct the line that raised it; " if found.startswith(RAISED) else ""
    return Problem(what, f"{table.noun} {name_of(spec)!r}", f"{raised}{promise.fix}")


def kept_after_all(table: Table, promise: Promise, spec: Any, reason: str) -> Problem:
    """Return the problem that an expected failure did not happen."""
    what = f"keeps the promise {promise.name!r}, which was expected to fail ({reason})"
    return Problem(what, f"{table.noun} {name_of(spec)!r}", "remove it from expected_failures")


def name_of(spec: Any) -> str:
    """Return the name of a record, or of a module."""
    return str(getattr(spec, "name", None) or getattr(spec, "__name__", None) or type(spec).__name__)


def check_expected(table: Table, expected: Mapping[str, str]) -> None:
    """Refuse expected failures of unknown promises, or without a reason.

    :raises ConfigError: naming the first
    """
    for name, reason in expected.items():
        if name not in table.names():
            what = f"{table.noun} has no promise {name!r}"
            raise ConfigError(what, where="expected_failures", fix=did_you_mean(str(name), table.names()))
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigError(f"{name!r} has no reason", where="expected_failures", fix="say why it is not kept")


def problems_of(
    table: Table, spec: Any, parameters: Mapping[str, Any], expected: Mapping[str, str]
) -> Iterator[Problem]:
    """Check all promises; yield what is broken, and what was expected to be broken and is not."""
    check_expected(table, expected)
    for promise in table.promises:
        with tempfile.TemporaryDirectory(prefix="vlrb-") as folder:
            try:
                found = found_broken(table, promise, spec, parameters, Path(folder))
            except NotPromised:
                continue
        if promise.name in expected:
            if not found:
                yield kept_after_all(table, promise, spec, expected[promise.name])
        elif found:
            yield problem_of(table, promise, spec, found)
