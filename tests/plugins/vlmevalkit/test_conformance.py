"""The log source ``vlmevalkit`` keeps the promises of log sources."""

from __future__ import annotations

from typing import Any

from vlrb.testing import check_log_source
from vlrb_plugins.vlmevalkit import vlrb_log_sources


def test_vlmevalkit(logs: Any) -> None:
    """Workbooks of two models on two datasets."""
    for model in ("Gemini", "Qwen2.5-VL_7B"):
        for dataset in ("MMStar", "RealWorldQA"):
            rows = [
                {"index": i, "question": f"{i}?", "answer": "A", "prediction": "A", "is_correct": i % 2} for i in (1, 2)
            ]
            logs.book(f"{model}/{model}_{dataset}.xlsx", rows)

    check_log_source(vlrb_log_sources()[0], catalog=logs.catalog, path=logs.root, images="none")
