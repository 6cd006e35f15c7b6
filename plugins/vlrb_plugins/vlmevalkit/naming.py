"""What the name of a file of results says: MODEL_DATASET, then perhaps a judge and what VLMEvalKit ends it with."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from vlrb import Catalog

SHADOWS = frozenset(
    [
        "MMBench",
        "MMBench_DEV_EN",
        "MMBench_TEST_EN_V11",
        "MMBench_DEV_CN_V11",
        "MMStar_KO",
        "MMStar_TR",
        "MMStar_MINI",
        "AI2D_TEST_NO_MASK",
        "OCRBench_v2",
        "OCRBench_MINI",
        "MathVerse_MINI_Vision_Only",
        "MathVerse_MINI_Vision_Only_cot",
        "MathVerse_MINI_Vision_Dominant",
        "MathVerse_MINI_Vision_Intensive",
        "MathVerse_MINI_Text_Lite",
        "MathVerse_MINI_Text_Dominant",
        "MathVision",
        "MathVision_MINI",
        "DocVQA_TEST",
        "InfoVQA_TEST",
        "MMMU_TEST",
        "MMMU_Pro",
    ]
)
"""VLMEvalKit's names of other datasets that a known name begins, or that begin with one: never to be mistaken for it."""

MORE_OF_A_NAME = re.compile(r"_[A-Z]{2,}(_.*)?")
"""What follows a known name when it is the beginning of another: ``_MINI``, ``_TEST``.  Judges and suffixes look otherwise."""

NO_TABLE = ("_checkpoint", "_PREV", "_structs", "_tmp")
SUMMARIES = ("_acc", "_acc_all", "_fine", "_metrics", "_rating")
SHORT_JUDGES = {"openai": "chatgpt-0125", "gpt4": "gpt-4-0125"}
"""Short names that VLMEvalKit uses for two judges in the files of multiple-choice datasets."""

JUDGES = ("gpt-4o-mini", "chatgpt-0125")
"""VLMEvalKit's default judge, and the one before: the order in which verdicts are preferred."""

RULES_ONLY = "exact_matching"
"""The judge of verdicts that were made without a model: preferred last."""

Kind = Literal["prediction", "scored", "other"]


@attrs.frozen
class Named:
    """A file's dataset, what kind of rows it holds, whose verdicts; and why it is not read, where it is not."""

    dataset: str
    kind: Kind
    judge: str = ""
    reason: str = ""


def parse(stem: str, extension: str, prefix: str, catalog: Catalog) -> Named:
    """Read the name of a file in a model's folder.

    :param prefix: the folder's name, with which its files' names begin
    :return: without a dataset when it is none of the catalog's; the longest known name wins
    """
    rest = stem.removeprefix(prefix + "_")
    names = SHADOWS.union(*({d.name, *d.aliases} for d in catalog.datasets))
    name = max((n for n in names if rest == n or rest.startswith(n + "_")), key=len, default="")
    dataset = catalog.dataset(name)
    suffix = rest[len(name) :]
    foreign = dataset is None or rest == stem or (name in SHADOWS and name != dataset.name)
    if dataset is None or foreign or MORE_OF_A_NAME.fullmatch(suffix):
        return Named("", "other")
    return _by_suffix(dataset.name, suffix, extension)


def _by_suffix(dataset: str, suffix: str, extension: str) -> Named:
    if not suffix:
        return Named(dataset, "prediction")
    # MathVerse's _score.xlsx and _score.tsv hold rows; a JSON file of that name is always a summary
    if suffix.endswith(SUMMARIES) or (extension == ".json" and suffix.endswith("_score")):
        return Named(dataset, "other", reason="a summary of scores")
    if suffix.endswith("_extract"):
        return Named(dataset, "other", reason="a judge's intermediate file")
    if suffix.endswith("_detailed_results"):
        return Named(dataset, "other", reason="a verifier's file: what its columns say is not sure")
    if "_vanilla_" in suffix:
        return Named(dataset, "other", reason="verdicts without circular evaluation, an extra of VLMEvalKit's")
    if suffix.endswith(NO_TABLE):
        return Named(dataset, "other", reason="a left-over of a program")
    return Named(dataset, "scored", judge=_judge(suffix))


def _judge(suffix: str) -> str:
    """Return the judge that a suffix names; none in ``_auxmatch`` and ``_results``."""
    if suffix in ("_auxmatch", "_results"):
        return ""
    return judge_name(suffix.removesuffix("_result").removesuffix("_score").removeprefix("_"))


def judge_name(judge: str) -> str:
    """Return the name of a judge that may be given in short."""
    return SHORT_JUDGES.get(judge, judge)


def judge_order(judge: str) -> tuple[int, str]:
    """Return by what verdicts are preferred: VLMEvalKit's default judges first, verdicts by rules alone last."""
    if judge in JUDGES:
        return JUDGES.index(judge), judge
    return (len(JUDGES) + (judge == RULES_ONLY), judge)
