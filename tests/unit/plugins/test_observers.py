"""Observers: each is told, whatever the others do, and what fails is collected."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from vlrb import interrupts
from vlrb.errors import DataError, PluginError, TrackingError
from vlrb.plugins.observers import Observers
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registry


def observers(**implementations: Callable[..., Any]) -> Observers:
    """Return observers with one plugin for each implementation of vlrb_run_start."""
    plugins = [
        Plugin(name, "d", "1", "o", object=SimpleNamespace(vlrb_run_start=hook))
        for name, hook in implementations.items()
    ]
    return Observers(Registry(tuple(plugins), {}, Selection()))


def raising(error: BaseException) -> Callable[..., None]:
    def hook(run: Any) -> None:
        raise error

    return hook


def test_a_failing_observer_stops_no_other() -> None:
    """A tracking error stays one; whatever else is raised, or returned, is the plugin's fault."""
    told: list[Any] = []
    called = observers(
        lost=raising(TrackingError("the server is gone", fix="start it")),
        broken=raising(ZeroDivisionError("x")),
        chatty=lambda run: "something",
        last=lambda run: told.append(run),
    )
    called.call("vlrb_run_start", run="r")

    assert told == ["r"]
    assert [type(e) for e in called.errors] == [TrackingError, PluginError, PluginError]
    assert "'broken'" in str(called.errors[1])
    assert "'chatty'" in str(called.errors[2])
    assert "returned str" in str(called.errors[2])


def test_an_error_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A server that is gone fails every hook of a run; the user reads of it once."""
    called = observers(lost=raising(TrackingError("the server is gone", fix="start it")))
    for _ in range(3):
        called.call("vlrb_run_start", run="r")

    assert len(called.errors) == 1
    assert caplog.text.count("the server is gone") == 1


def test_an_observer_gets_the_arguments_that_it_takes_and_cannot_change_them() -> None:
    """A hook may gain arguments without breaking its implementations; two observers see the same."""
    seen: list[Any] = []
    called = observers(one=lambda values: seen.append(values), other=lambda: seen.append(None))
    called.call("vlrb_run_start", run="r", values={"a": [1]})

    assert seen == [{"a": (1,)}, None]
    with pytest.raises(TypeError):
        seen[0]["a"] = 2


def test_an_interrupt_that_an_observer_swallows_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised again after the hook."""

    def swallowed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupts, "check", swallowed)
    with pytest.raises(KeyboardInterrupt):
        observers().call("vlrb_run_start", run="r")


def test_an_error_about_data_is_not_the_users() -> None:
    """Observers read no logs: the exit status must not say that these are wrong."""
    called = observers(odd=raising(DataError("a sample is odd", fix="fix it")))
    called.call("vlrb_run_start", run="r")

    assert not isinstance(called.errors[0], DataError)
