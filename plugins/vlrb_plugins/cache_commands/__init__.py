"""The commands ``vlrb cache list`` and ``vlrb cache prune``."""

from __future__ import annotations

from vlrb import CommandSpec, hookimpl


@hookimpl
def vlrb_commands() -> list[CommandSpec]:
    """Return the command ``cache``."""
    summary = "Show what the cache holds, and remove what no run needs."
    return [CommandSpec("cache", summary, "vlrb_plugins.cache_commands.commands:cache_group")]
