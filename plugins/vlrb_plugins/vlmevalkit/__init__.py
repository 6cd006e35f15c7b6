"""Logs in VLMEvalKit's formats: the published VL-RouterBench archive, and the output of VLMEvalKit itself, of any age."""

from __future__ import annotations

from vlrb import CommandSpec, LogSourceSpec, hookimpl


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log source ``vlmevalkit``."""
    from vlrb_plugins.vlmevalkit.params import VlmevalkitParams

    return [
        LogSourceSpec(
            name="vlmevalkit",
            summary="results and TSV files as VLMEvalKit writes them",
            factory="vlrb_plugins.vlmevalkit.source:VlmevalkitSource",
            params=VlmevalkitParams,
        )
    ]


@hookimpl
def vlrb_commands() -> list[CommandSpec]:
    """Return the command ``fetch``."""
    return [
        CommandSpec(
            "fetch",
            "Download the published VL-RouterBench logs and unpack them.",
            "vlrb_plugins.vlmevalkit.fetch.command:fetch_command",
        )
    ]
