"""The paper's datasets and models as records."""

from __future__ import annotations

from collections import Counter

from vlrb_plugins.datasets import DATASETS
from vlrb_plugins.models import MODELS

ORDER = (
    "GPT4o GeminiFlash2-5 Gemma3-27B InternVL2_5-78B Janus-Pro-1B Janus-Pro-7B Kimi-VL-A3B-Thinking-2506 MiMo-VL-7B-RL "
    "Phi-3.5-Vision Pixtral-12B Qianfan-VL-8B Qwen2.5-VL-32B-Instruct Qwen2.5-VL-72B-Instruct SmolVLM2 deepseek_vl2 "
    "deepseek_vl2_tiny llava_next_vicuna_7b"
).split()


def test_the_14_datasets_sum_to_the_papers_samples() -> None:
    """30,540 samples in three task groups, under distinct names, aliases and slugs."""
    handles = [h for d in DATASETS for h in (d.name, *d.aliases)]

    assert len(DATASETS) == 14
    assert sum(d.samples or 0 for d in DATASETS) == 30_540
    assert Counter((d.group, d.group_title) for d in DATASETS) == {
        ("general", "General"): 6,
        ("stem", "STEM"): 4,
        ("charts-ocr", "Charts & OCR"): 4,
    }
    assert len(set(handles)) == len(handles)
    assert len({d.slug for d in DATASETS}) == 14


def test_the_17_models_have_the_papers_prices() -> None:
    """Names as in the archive, sorted as the paper's matrices; every model has both prices."""
    handles = [h for m in MODELS for h in (m.name, *m.aliases)]

    assert sorted(m.name for m in MODELS) == ORDER
    assert all(m.input_price_per_million and m.output_price_per_million for m in MODELS)
    assert len(set(handles)) == len(handles)
    dearest = max(MODELS, key=lambda m: m.output_price_per_million or 0)
    assert (dearest.name, dearest.input_price_per_million, dearest.output_price_per_million) == ("GPT4o", 2.5, 10.0)
