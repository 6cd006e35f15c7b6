"""What the names of files say: datasets, kinds of rows, judges."""

from __future__ import annotations

from typing import Any

import pytest

from vlrb_plugins.vlmevalkit.naming import Named, judge_name, judge_order, parse

SCORED = {
    "MMStar_openai_result": ("MMStar", "chatgpt-0125"),
    "MMStar_gpt-4o-mini_result": ("MMStar", "gpt-4o-mini"),
    "MMStar_gpt4_result": ("MMStar", "gpt-4-0125"),
    "MMStar_exact_matching_result": ("MMStar", "exact_matching"),
    "MMBench_DEV_EN_V11_openai_result": ("MMBench_DEV_EN_V11", "chatgpt-0125"),
    "MMMU_DEV_VAL_gpt-4o-mini_result": ("MMMU_DEV_VAL", "gpt-4o-mini"),
    "HallusionBench_auxmatch": ("HallusionBench", ""),
    "ChartQA_TEST_results": ("ChartQA_TEST", ""),
    "DocVQA_VAL_results": ("DocVQA_VAL", ""),
    "TextVQA_VAL_results": ("TextVQA_VAL", ""),
    "InfoVQA_VAL_results": ("InfoVQA_VAL", ""),
    "MathVista_MINI_gpt-4-turbo": ("MathVista_MINI", "gpt-4-turbo"),
    "MathVision_MINI_gpt-4o-mini": ("MathVision_MINI", "gpt-4o-mini"),
    "MathVerse_MINI_gpt-4o-mini_score": ("MathVerse_MINI", "gpt-4o-mini"),
    "MathVerse_MINI_chatgpt-0125_score": ("MathVerse_MINI", "chatgpt-0125"),
}
"""Names, but for model and format, of the files with verdicts: dataset and judge."""

OTHERS = {
    ("MathVerse_MINI_gpt-4o-mini_extract", ".xlsx"): "intermediate",
    ("MMStar_detailed_results", ".xlsx"): "verifier",
    ("MMBench_DEV_EN_V11_openai_vanilla_circ0_result", ".xlsx"): "without circular",
    ("MMBench_DEV_EN_V11_vanilla_all_result", ".tsv"): "without circular",
    ("OCRBench_score", ".json"): "summary",
    ("MathVista_MINI_gpt-4o-mini_score", ".json"): "summary",
    ("ChartQA_TEST_acc", ".json"): "summary",
    ("ChartQA_TEST_acc", ".xlsx"): "summary",
    ("MMStar_fine", ".json"): "summary",
    ("MMStar_metrics", ".json"): "summary",
    ("MMBench_DEV_EN_V11_acc_all", ".json"): "summary",
    ("HallusionBench_tmp", ".xlsx"): "left-over",
    ("MMStar_checkpoint", ".xlsx"): "left-over",
    ("MMStar_structs", ".json"): "left-over",
}
"""Names and formats of files that hold neither predictions nor verdicts of samples: a word of why they are not read."""


def named(logs: Any, rest: str, extension: str = ".xlsx", model: str = "Qwen2.5-VL_7B") -> Named:
    """Parse the name of a model's file."""
    return parse(f"{model}_{rest}", extension, model, logs.catalog)


@pytest.mark.parametrize("rest", SCORED)
@pytest.mark.parametrize("extension", [".xlsx", ".tsv"])
def test_files_with_verdicts(logs: Any, rest: str, extension: str) -> None:
    """Every suffix that VLMEvalKit has given to scored rows, in each format that it scores in."""
    dataset, judge = SCORED[rest]
    assert named(logs, rest, extension) == Named(dataset, "scored", judge)


@pytest.mark.parametrize("extension", [".xlsx", ".tsv", ".json"])
def test_files_with_predictions(logs: Any, extension: str) -> None:
    """Without a suffix a file holds predictions, whatever format PRED_FORMAT asked for."""
    for dataset in logs.catalog.datasets:
        assert named(logs, dataset.name, extension) == Named(dataset.name, "prediction")


@pytest.mark.parametrize(("rest", "extension"), OTHERS)
def test_other_files(logs: Any, rest: str, extension: str) -> None:
    """Summaries, intermediate files and left-overs are not taken for rows, with a reason."""
    other = named(logs, rest, extension)
    assert (other.kind, bool(other.dataset)) == ("other", True)
    assert OTHERS[rest, extension] in other.reason


@pytest.mark.parametrize(
    "stem", ["Gemini", "MMStar", "Gemini_", "Gemini_MMSta", "Gemini-MMStar", "GeminiMMStar", "x_MMStar"]
)
def test_names_of_no_dataset(logs: Any, stem: str) -> None:
    """A name that is not MODEL_DATASET belongs to no dataset."""
    assert parse(stem, ".xlsx", "Gemini", logs.catalog) == Named("", "other")


def test_the_order_of_judges() -> None:
    """VLMEvalKit's defaults come first, rules alone last; short names are the judges they stand for."""
    judges = ["exact_matching", "qwen-max", "", "openai", "gpt-4o-mini", "gpt4"]
    ordered = sorted(map(judge_name, judges), key=judge_order)
    assert ordered == ["gpt-4o-mini", "chatgpt-0125", "", "gpt-4-0125", "qwen-max", "exact_matching"]
