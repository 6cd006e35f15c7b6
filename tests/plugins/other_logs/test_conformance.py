"""The log sources ``lm-eval``, ``lmms-eval`` and ``inspect`` keep the promises of log sources."""

from __future__ import annotations

from typing import Any

from vlrb.testing import check_log_source
from vlrb_plugins.other_logs import vlrb_log_sources
from vlrb_plugins.other_logs.params import InspectTask, LmEvalTask, LmmsEvalTask

SPECS = {spec.name: spec for spec in vlrb_log_sources()}


def test_lm_eval(logs: Any) -> None:
    """Two models' files of one task."""
    for model in ("org__large", "small"):
        logs.lm_eval([logs.line(1), logs.line(2)], model)
    tasks = {"*": LmEvalTask(score="acc", question="doc.question")}

    check_log_source(SPECS["lm-eval"], catalog=logs.catalog, path=logs.path, tasks=tasks)


def test_lmms_eval(logs: Any) -> None:
    """Two models' files of one task."""
    for model in ("org__large", "small"):
        logs.lmms_eval([logs.lmms_line(1), logs.lmms_line(2)], model)
    tasks = {"*": LmmsEvalTask(score="anls.score")}

    check_log_source(SPECS["lmms-eval"], catalog=logs.catalog, path=logs.path, tasks=tasks)


def test_inspect(logs: Any) -> None:
    """Two models' logs of one task."""
    for model in ("org/large", "small"):
        logs.inspect([logs.sample(1), logs.sample(2)], model)
    tasks = {"*": InspectTask(score="match")}

    check_log_source(SPECS["inspect"], catalog=logs.catalog, path=logs.path, tasks=tasks)
