"""Token counters and scorers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES
from vlrb.errors import DataError
from vlrb_plugins.models import MODELS
from vlrb_plugins.tokens import Cl100kParams
from vlrb_plugins.tokens.counters import Cl100k, Usage
from vlrb_plugins.tokens.images import image_tokens


def outcomes(*rows: dict[str, Any]) -> pa.RecordBatch:
    schema = pa.schema([*OUTCOMES, *OUTCOMES_OPTIONAL])
    return pa.RecordBatch.from_pylist([{"dataset": "D", "key": str(i), **r} for i, r in enumerate(rows)], schema=schema)


def test_usage_takes_what_the_logs_recorded() -> None:
    """The logs' own columns, as they are; a gap is an error that names the samples."""
    counted = Usage().outcome_tokens(outcomes({"input_tokens": 5, "output_tokens": 7}))
    assert [c.to_pylist() for c in counted] == [[5], [7]]
    costs = Usage().outcome_tokens(outcomes({"cost": 0.5}))
    assert [c.to_pylist() for c in costs] == [[None], [None]]
    with pytest.raises(DataError, match=r"no output_tokens for 1 answers: D/1"):
        Usage().outcome_tokens(outcomes({"input_tokens": 5, "output_tokens": 7}, {"input_tokens": 5}))


def test_cl100k_counts_as_the_paper(shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Question and answer by cl100k_base, special-token text as ordinary text, 256 tokens per image."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    counter = Cl100k(Cl100kParams())
    sample = {f.name: None for f in SAMPLES} | {"dataset": "D", "key": "1", "question": "hello world"}
    batch = pa.RecordBatch.from_pylist([sample, sample], schema=SAMPLES)

    assert counter.sample_tokens(batch, np.array([0, 2])).to_pylist() == [2, 2 + 512]
    texts = ["", "<|endoftext|>", "hello hello"]
    none, counted = counter.outcome_tokens(outcomes(*({"prediction": t} for t in texts)))
    assert none is None
    assert counted.to_pylist() == [0, 7, 2]
    thought, blank = {"prediction": "hello", "thinking": "hello "}, {"prediction": None}
    assert counter.outcome_tokens(outcomes(thought, blank))[1].to_pylist() == [2, None]


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        ("GPT4o", 1024, 1024, 85 + 4 * 170),
        ("GPT4o", 2048, 4096, 85 + 6 * 170),
        ("GPT4o", 200, 100, 85 + 170),
        ("Qwen2.5-VL-72B-Instruct", 448, 280, 160),
        ("Qwen2.5-VL-72B-Instruct", 10, 10, 4),
        ("InternVL2_5-78B", 448, 448, 256),
        ("InternVL2_5-78B", 1344, 448, 4 * 256),
        ("Gemma3-27B", 3000, 20, 256),
        ("Janus-Pro-7B", 1, 1, 576),
    ],
)
def test_image_tokens_by_the_models_own_rules(model: str, width: int, height: int, tokens: int) -> None:
    """The makers' own examples and the sizes at the limits of their rules."""
    record = next(m for m in MODELS if m.name == model)
    counter = Cl100k(Cl100kParams(image_rule="per-model"))

    assert counter.per_model
    assert counter.model_tokens(model, record, [((width, height),), (), ((width, height),) * 2]).tolist() == [
        tokens,
        0,
        2 * tokens,
    ]


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_an_image_of_any_size_has_tokens(width: int, height: int) -> None:
    """No rule fails or gives nothing, and Qwen's stays within its limits."""
    for model in MODELS:
        if model.image_tokens is not None:
            count = image_tokens(model.image_tokens, width, height)
            assert count > 0
            assert model.image_tokens.rule != "patches" or count <= 16384 + 256


def test_a_model_without_a_published_rule_is_named() -> None:
    """No constant takes its place unless the experiment says which."""
    with pytest.raises(DataError, match="'SmolVLM2'") as caught:
        Cl100k(Cl100kParams(image_rule="per-model")).model_tokens("SmolVLM2", None, [((1, 1),)])
    assert "without_rule" in caught.value.problems[0].fix
    counter = Cl100k(Cl100kParams(image_rule="per-model", without_rule=81))
    assert counter.model_tokens("SmolVLM2", None, [((1, 1),) * 2]).tolist() == [162]


def test_per_model_tokens_reach_the_matrices(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of 8 x 6 pixels add a constant for each model, so that input tokens differ by what the rules say."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    tokens = '[tokens]\ncounter = "cl100k"\nimage_rule = "per-model"\n'
    shown = project.vlrb("build", project.experiment(more=tokens))
    assert shown.status == 4
    assert "no rule is published for the image tokens of 'tiny-large'" in shown.err
    counts = []
    for tail in ("without_rule = 3\n", "without_rule = 10\n"):
        report = project.vlrb("build", project.experiment(more=tokens + tail), "--json").json
        counts.append(report["models"][0]["input_tokens"])
    assert counts[1] - counts[0] == 7 * 120


def test_answers_without_a_verdict_are_scored_by_the_datasets_scorer(project: Any) -> None:
    """A stored verdict stays; what has none is scored; the report says by what."""
    table = '[[dataset]]\nname = "TinyB"\ngroup = "stem"\nscorer = "exact-match"\n'
    plain = project.vlrb("build", project.experiment(), "--json").json
    report = project.vlrb("build", project.experiment(logs='fault = "unknown"', more=table), "--json").json

    part = next(p for p in report["outcomes"] if p["part"] == "outcomes/TinyB/tiny-small")
    assert part["scorer"] == "scorers/exact-match"
    correct = [next(d for d in r["datasets"] if d["name"] == "TinyB")["correct"]["tiny-small"] for r in (plain, report)]
    assert correct[1] >= correct[0]
    assert all(p["scorer"] == "" for p in report["outcomes"] if p is not part)
