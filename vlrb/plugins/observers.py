"""Calling the observers: in the parent process, one at a time, all of them even if one fails."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from vlrb import interrupts
from vlrb.api.frozen import frozen
from vlrb.errors import PluginError, TrackingError, VlrbError
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registry

logger = logging.getLogger("vlrb")


class Observers:
    """The plugins that see every run; collects what went wrong in them, which never stops a run."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.errors: list[VlrbError] = []

    def call(self, hook: str, **arguments: Any) -> None:
        """Call a lifecycle hook of every plugin that implements it; its arguments are frozen.

        :raises KeyboardInterrupt: for an interrupt, also for one that came before and was swallowed
        """
        arguments = {name: frozen(value) for name, value in arguments.items()}
        for plugin in self.registry.observers(hook):
            interrupts.check()
            try:
                _call(plugin, hook, arguments)
            except (TrackingError, PluginError) as error:
                self._note(error)
            except VlrbError as error:
                self._note(TrackingError(error.problems))
        interrupts.check()

    def _note(self, error: VlrbError) -> None:
        if str(error) not in {str(e) for e in self.errors}:
            logger.warning("%s", error)
            self.errors.append(error)


def _call(plugin: Plugin, hook: str, arguments: dict[str, Any]) -> None:
    """Call one implementation with those arguments that it takes."""
    with blame(plugin, f"observing the run ({hook})"):
        implementation = getattr(plugin.object, hook)
        taken = inspect.signature(implementation).parameters
        returned = implementation(**{k: v for k, v in arguments.items() if k in taken})
    if returned is not None:
        raise PluginError(
            f"{hook} of {plugin.label} returned {type(returned).__name__}; a lifecycle hook returns nothing",
            fix=f"remove the return from {hook}, or skip the plugin with {plugin.skip}",
        )
