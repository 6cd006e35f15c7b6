"""The 14 datasets of VL-RouterBench (arXiv 2512.23562), by their names in VLMEvalKit.

The numbers of samples are those that VLMEvalKit scores; they sum to the paper's 30,540.
"""

from __future__ import annotations

from vlrb import Dataset, hookimpl

PAPER = ("paper",)

DATASETS = (
    Dataset(
        name="MMBench_DEV_EN_V11",
        slug="mmbench",
        group="general",
        task="multiple-choice",
        scorer="scorers/mmbench",
        samples=1292,
        circular=True,
        sets=PAPER,
    ),
    Dataset(
        name="MMStar",
        slug="mmstar",
        group="general",
        task="multiple-choice",
        scorer="scorers/mcq",
        samples=1500,
        sets=PAPER,
    ),
    Dataset(
        name="MMMU_DEV_VAL",
        slug="mmmu",
        aliases=("MMMU",),
        group="general",
        task="multiple-choice",
        scorer="scorers/mmmu",
        samples=1050,
        id_column="id",
        sets=PAPER,
    ),
    Dataset(
        name="RealWorldQA",
        slug="realworldqa",
        group="general",
        task="multiple-choice",
        scorer="scorers/mcq",
        samples=765,
        sets=PAPER,
    ),
    Dataset(
        name="InfoVQA_VAL",
        slug="infovqa",
        aliases=("InfoVQA",),
        group="general",
        task="document-qa",
        scorer="scorers/anls",
        samples=2801,
        sets=PAPER,
    ),
    Dataset(
        name="HallusionBench",
        slug="hallusionbench",
        group="general",
        task="yes-no",
        scorer="scorers/yes-no",
        samples=951,
        group_column="index",
        group_pattern=r"((?:[^_]+_){4}[^_]+)_",
        sets=PAPER,
    ),
    Dataset(
        name="MathVista_MINI",
        slug="mathvista",
        aliases=("MathVista",),
        group="stem",
        task="math",
        scorer="scorers/mathvista",
        samples=1000,
        sets=PAPER,
    ),
    Dataset(
        name="MathVision_MINI",
        slug="mathvision-mini",
        group="stem",
        task="math",
        scorer="scorers/mathvision",
        samples=304,
        licence="MIT",
        sets=PAPER,
    ),
    Dataset(
        name="MathVerse_MINI",
        slug="mathverse",
        aliases=("MathVerse",),
        group="stem",
        task="math",
        scorer="scorers/mathverse",
        samples=3940,
        group_column="problem_index",
        sets=PAPER,
    ),
    Dataset(
        name="AI2D_TEST",
        slug="ai2d",
        aliases=("AI2D",),
        group="stem",
        task="multiple-choice",
        scorer="scorers/mcq",
        samples=3088,
        sets=PAPER,
    ),
    Dataset(
        name="TextVQA_VAL",
        slug="textvqa",
        aliases=("TextVQA",),
        group="charts-ocr",
        task="vqa",
        scorer="scorers/vqa",
        samples=5000,
        sets=PAPER,
    ),
    Dataset(
        name="ChartQA_TEST",
        slug="chartqa",
        aliases=("ChartQA",),
        group="charts-ocr",
        task="vqa",
        scorer="scorers/relaxed-accuracy",
        samples=2500,
        sets=PAPER,
    ),
    Dataset(
        name="DocVQA_VAL",
        slug="docvqa",
        aliases=("DocVQA",),
        group="charts-ocr",
        task="document-qa",
        scorer="scorers/anls",
        samples=5349,
        sets=PAPER,
    ),
    Dataset(
        name="OCRBench",
        slug="ocrbench",
        group="charts-ocr",
        task="ocr",
        scorer="scorers/ocrbench",
        samples=1000,
        sets=PAPER,
    ),
)


@hookimpl
def vlrb_datasets() -> tuple[Dataset, ...]:
    """Return the 14 datasets."""
    return DATASETS
