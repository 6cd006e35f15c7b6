"""Whose fault it was: whatever a plugin's code raises becomes an error that names the plugin."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

import attrs

from vlrb.errors import STORAGE, ExitCode, PluginError, Problem, StorageError, VlrbError
from vlrb.plugins.plugin import Plugin
from vlrb.texts import describe_error

T = TypeVar("T")


@contextlib.contextmanager
def blame(plugin: Plugin, doing: str) -> Iterator[None]:
    """Turn whatever plugin code raises into an error that names the plugin, its dist, and what it was doing.

    What looks at an object that a plugin has returned is plugin code too: it calls the object's methods.
    Errors of vlrb itself (a DataError about a workbook) and interrupts pass; one that says neither where nor how to fix it gets
    the plugin as its place.

    :raises StorageError: for what is the system's: a full disk, an overlong path, an I/O error
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except VlrbError as error:
        if not _is_sound(error):
            raise _blamed(plugin, doing, error) from error.__cause__
        known = next(c for c in type(error).__mro__ if c.__module__ == VlrbError.__module__)
        problems = tuple(_placed(p, plugin, doing, "" if known is PluginError else p.fix) for p in error.problems)
        if type(error) is known and problems == error.problems:
            raise
        raise known(problems) from error.__cause__  # a class that every process knows
    except BaseException as error:
        if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in STORAGE:
            raise StorageError.of(error, f"{plugin.label}, {doing}") from error
        raise _blamed(plugin, doing, error) from error


def blamed(values: Iterable[T], plugin: Plugin, doing: str) -> Generator[T, None, None]:
    """Yield what plugin code yields, each step inside :func:`blame`; what is done with the values is not."""
    with blame(plugin, doing):
        steps = iter(values)
    try:
        while True:
            with blame(plugin, doing):
                try:
                    value = next(steps)
                except StopIteration:
                    return
            yield value
    finally:
        if hasattr(type(steps), "close"):
            with blame(plugin, doing):
                steps.close()  # type: ignore[attr-defined]


def _is_sound(error: VlrbError) -> bool:
    """Tell whether an error says something and does not stand for a fault of vlrb."""
    try:
        problems = error.problems
        return (
            error.exit_code in (ExitCode.USAGE, ExitCode.PLUGIN, ExitCode.TRACKING)
            and type(problems) is tuple
            and bool(problems)
            and all(type(p) is Problem for p in problems)
        )
    except Exception:
        return False


def _placed(problem: Problem, plugin: Plugin, doing: str, enough: str) -> Problem:
    """Name the plugin as the place of a problem that says neither where nor ``enough``."""
    says = problem.where or enough or plugin.label in problem.message
    return problem if says else attrs.evolve(problem, where=f"{plugin.label}, {doing}")


def _blamed(plugin: Plugin, doing: str, error: BaseException) -> PluginError:
    own = "correct the plugin or report it to its author" if plugin.version else f"correct {plugin.origin}"
    fix = f"{own}, or skip the plugin with {plugin.skip}" if plugin.origin else "correct the object that was given"
    what = f"{plugin.label} failed while {doing}: {describe_error(error)}"
    return PluginError(what, where=_place_of(error, plugin), fix=fix)


def _place_of(error: BaseException, plugin: Plugin) -> str:
    """Return file and line of the innermost frame inside the plugin, else of the innermost frame."""
    frames = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__)]
    inside = [f for f in frames if plugin.source is not None and f[0].startswith(str(plugin.source.parent))]
    file, line = (inside or frames or [(plugin.origin, 0)])[-1]
    return f"{file}:{line}"
