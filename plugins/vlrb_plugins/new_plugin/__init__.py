"""The command ``vlrb new-plugin``, which writes a distribution with a plugin to start from."""

from __future__ import annotations

from vlrb import CommandSpec, hookimpl


@hookimpl
def vlrb_commands() -> list[CommandSpec]:
    """Return the command ``new-plugin``."""
    summary = "Write a distribution with a plugin of your own, to begin from."
    return [CommandSpec("new-plugin", summary, "vlrb_plugins.new_plugin.command:new_plugin_command")]
