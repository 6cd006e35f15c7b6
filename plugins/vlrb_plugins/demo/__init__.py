"""Synthetic logs: images, questions and answers of 17 models, so that everything can be tried without any download."""

from __future__ import annotations

from vlrb import LogSourceSpec, hookimpl
from vlrb_plugins.demo.params import DemoParams


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log source ``demo``."""
    return [
        LogSourceSpec(
            name="demo",
            summary="synthetic images, questions and answers of 17 models, in VLMEvalKit's formats",
            factory="vlrb_plugins.demo.source:DemoSource",
            params=DemoParams,
        )
    ]
