"""Token counters and scorers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vlrb.errors import DataError
from vlrb.schemas import OUTCOMES, SAMPLES
from vlrb.types import Case
from vlrb_plugins.scorers import ExactMatch, ExactMatchParams
from vlrb_plugins.tokens.counters import Cl100k, Usage


def outcomes(*rows: dict[str, Any]) -> pa.RecordBatch:
    blank = {f.name: None for f in OUTCOMES}
    return pa.RecordBatch.from_pylist(
        [{**blank, "dataset": "D", "key": str(i), **r} for i, r in enumerate(rows)], schema=OUTCOMES
    )


def test_usage_takes_what_the_logs_recorded() -> None:
    """The logs' own columns, as they are; a gap is an error that names the samples."""
    counted = Usage().outcome_tokens(outcomes({"input_tokens": 5, "output_tokens": 7}))
    assert [c.tolist() for c in counted] == [[5], [7]]
    with pytest.raises(DataError, match=r"no output_tokens for 1 answers: D/1"):
        Usage().outcome_tokens(outcomes({"input_tokens": 5, "output_tokens": 7}, {"input_tokens": 5}))


def test_cl100k_counts_as_the_paper(shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Question and answer by cl100k_base, special-token text as ordinary text, 256 tokens per image."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    counter = Cl100k(256)
    sample = {f.name: None for f in SAMPLES} | {"dataset": "D", "key": "1", "question": "hello world"}
    batch = pa.RecordBatch.from_pylist([sample, sample], schema=SAMPLES)

    assert counter.sample_tokens(batch, np.array([0, 2])).tolist() == [2, 2 + 512]
    texts = ["", "<|endoftext|>", "hello hello"]
    none, counted = counter.outcome_tokens(outcomes(*({"prediction": t} for t in texts)))
    assert none is None
    assert counted.tolist() == [0, 7, 2]


@pytest.mark.parametrize(
    ("answer", "prediction", "ignore_case", "expected"),
    [("Yes", " yes ", True, 1.0), ("Yes", "yes", False, 0.0), ("B", "A", True, 0.0), ("", "A", True, None)],
)
def test_exact_match(answer: str, prediction: str, ignore_case: bool, expected: float | None) -> None:
    """Equal apart from blanks (and case, if asked); unknown where there is no gold answer."""
    scores = ExactMatch(ExactMatchParams(ignore_case=ignore_case)).score([Case("D/1", "q", (), answer, prediction)])

    assert [s.value for s in scores] == [expected]


def test_answers_without_a_verdict_are_scored_by_the_datasets_scorer(project: Any) -> None:
    """A stored verdict stays; what has none is scored; the report says by what."""
    table = '[[dataset]]\nname = "TinyB"\ngroup = "stem"\nscorer = "exact-match"\n'
    plain = project.vlrb("build", project.experiment(), "--json").json
    report = project.vlrb("build", project.experiment(logs='fault = "unknown"', more=table), "--json").json

    part = next(p for p in report["parts"] if p["part"] == "outcomes/TinyB/tiny-small")
    assert part["scored_by"] == "scorers/exact-match"
    correct = [next(d for d in r["datasets"] if d["name"] == "TinyB")["correct"]["tiny-small"] for r in (plain, report)]
    assert correct[1] >= correct[0]
    assert all(p.get("scored_by", "") == "" for p in report["parts"] if p is not part)
