"""Logs of other harnesses: lmms-eval's and lm-evaluation-harness's files of samples, and inspect_ai's logs in JSON."""

from __future__ import annotations

from vlrb import LogSourceSpec, hookimpl
from vlrb_plugins.other_logs.params import InspectParams, LmEvalParams, LmmsEvalParams


@hookimpl
def vlrb_log_sources() -> list[LogSourceSpec]:
    """Return the log sources ``lmms-eval``, ``lm-eval`` and ``inspect``."""
    return [
        LogSourceSpec(
            name="lmms-eval",
            summary="lmms-eval's files DATE_samples_TASK.jsonl",
            factory="vlrb_plugins.other_logs.harness:LmmsEvalSource",
            params=LmmsEvalParams,
        ),
        LogSourceSpec(
            name="lm-eval",
            summary="lm-evaluation-harness's files samples_TASK_DATE.jsonl",
            factory="vlrb_plugins.other_logs.harness:LmEvalSource",
            params=LmEvalParams,
        ),
        LogSourceSpec(
            name="inspect",
            summary="inspect_ai's logs in their JSON form",
            factory="vlrb_plugins.other_logs.inspect_log:InspectSource",
            params=InspectParams,
        ),
    ]
