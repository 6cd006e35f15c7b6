"""What the simulated models answer: calibrated, in agreement with the rules of scoring, and dependent on the image."""

from __future__ import annotations

import base64
import csv
import io
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vlrb.api.logs import Catalog
from vlrb_plugins.demo.generate import write_tree
from vlrb_plugins.models import MODELS
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource
from vlrb_plugins.vlmevalkit.table import Table, text
from vlrb_plugins.vlmevalkit.workbook import read_sheet

Floats = npt.NDArray[np.float64]
CATALOG = Catalog(datasets=DATASETS, models=MODELS)
NAMES = [m.name for m in MODELS]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo")
    write_tree(directory, 3000, 0)
    return directory


@pytest.fixture(scope="module")
def quality(tree: Path) -> dict[str, Floats]:
    """Dataset -> which models (columns, in the order of NAMES) are right on which samples, in the order of the TSV file."""
    source = VlmevalkitSource(VlmevalkitParams(path=tree))
    columns: dict[str, dict[str, list[float]]] = {}
    for part in source.list(CATALOG).parts:
        if part.kind == "outcomes":
            scores = [s for batch in source.read(part, CATALOG) for s in batch.column("score").to_pylist()]
            columns.setdefault(part.dataset, {})[part.model] = scores
    return {d: np.array([found[n] for n in NAMES]).T for d, found in columns.items()}


def scored(tree: Path, model: str, dataset: str) -> Table:
    (path,) = (tree / "VLMEvalKit_evaluation" / model).glob(f"{model}_{dataset}_*.xlsx")
    return read_sheet(path)


def test_accuracies_leave_room_for_routing(quality: dict[str, Floats]) -> None:
    """The best model is good, not perfect, the worst is poor, and together they could answer nearly everything."""
    every = np.concatenate(list(quality.values()))
    assert len(every) == 3000
    assert 0.70 <= every.mean(axis=0).max() <= 0.80
    assert 0.30 <= every.mean(axis=0).min() <= 0.45
    assert 0.93 <= every.max(axis=1).mean() <= 0.97


def test_different_models_are_best_on_different_datasets(quality: dict[str, Floats]) -> None:
    """Choosing by the question beats choosing one model for all."""
    assert len({int(found.mean(axis=0).argmax()) for found in quality.values()}) >= 3


def test_cheap_models_are_often_enough(quality: dict[str, Floats]) -> None:
    """There is money to save: models of at most a quarter of a dollar per million tokens could answer most questions."""
    cheap = [k for k, m in enumerate(MODELS) if (m.input_price_per_million or 0) <= 0.25]
    every = np.concatenate(list(quality.values()))
    assert every[:, cheap].max(axis=1).mean() > 0.85


def image_numbers(tree: Path, dataset: str) -> tuple[list[str], Floats]:
    """Return the questions of a dataset, and the width and the colourfulness of their images."""
    csv.field_size_limit(sys.maxsize)
    with (tree / "TSV_images" / f"{dataset}.tsv").open(encoding="utf-8", newline="") as file:
        rows = {r["index"]: r for r in csv.DictReader(file, delimiter="\t")}
    numbers = []
    for row in rows.values():
        cell = row["image"] if len(row["image"]) > 64 else rows[row["image"]]["image"]
        with Image.open(io.BytesIO(base64.b64decode(cell))) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
        numbers.append([pixels.shape[1], np.ptp(pixels, axis=2).mean()])
    return [r["question"] for r in rows.values()], np.array(numbers)


def within_alike(values: Floats, questions: list[str]) -> Floats:
    """Return values less their mean over the questions that begin with the same four words."""
    starts = np.unique([" ".join(q.split()[:4]) for q in questions], return_inverse=True)[1]
    return values - (np.bincount(starts, values) / np.bincount(starts))[starts]


@pytest.mark.parametrize(
    ("dataset", "model", "number", "least"),
    [
        ("DocVQA_VAL", "llava_next_vicuna_7b", 0, 0.35),
        ("TextVQA_VAL", "llava_next_vicuna_7b", 0, 0.35),
        ("ChartQA_TEST", "Pixtral-12B", 1, 0.2),
        ("ChartQA_TEST", "Qianfan-VL-8B", 1, 0.2),
    ],
)
def test_image_tells_what_text_does_not(
    tree: Path, quality: dict[str, Floats], dataset: str, model: str, number: int, least: float
) -> None:
    """Among questions alike in one dataset, width or colourfulness of the image says how well a model does."""
    questions, numbers = image_numbers(tree, dataset)
    right = within_alike(quality[dataset][:, NAMES.index(model)], questions)
    assert np.corrcoef(within_alike(numbers[:, number], questions), right)[0, 1] > least


@pytest.mark.parametrize("model", ["GPT4o", "Kimi-VL-A3B-Thinking-2506"])
def test_letters_are_where_the_rules_look_for_them(tree: Path, model: str) -> None:
    """VLMEvalKit takes the only option letter among the words, if it is one of the last four: that is what was scored."""
    sheet = scored(tree, model, "AI2D_TEST")
    for said, gold, right in zip(*(sheet.column(c) for c in ("prediction", "answer", "is_correct")), strict=True):
        words = text(said).translate(str.maketrans(".()[],:;!*#{}", " " * 13)).split()
        letters = {w for w in words if w in "ABCD"}
        assert len(letters) == 1
        assert words.index(*letters) >= len(words) - 4
        assert (letters == {gold}) == bool(right)


@pytest.mark.parametrize("dataset", ["DocVQA_VAL", "InfoVQA_VAL", "TextVQA_VAL", "ChartQA_TEST", "OCRBench"])
def test_free_answers_match_the_gold_if_right(tree: Path, dataset: str) -> None:
    """A right answer is the gold answer and a wrong one does not contain it."""
    sheet = scored(tree, "Pixtral-12B", dataset)
    for said, gold, right in zip(*(sheet.column(c) for c in ("prediction", "answer", "is_correct")), strict=True):
        assert (f"'{said}'" in str(gold)) == bool(right)


def test_thinking_costs_tokens(tree: Path) -> None:
    """A model that thinks aloud has more output tokens than one that does not, and the text to show for it."""
    means = {}
    for model in ("Kimi-VL-A3B-Thinking-2506", "Qianfan-VL-8B"):
        sheet = read_sheet(tree / "VLMEvalKit_inference" / model / f"{model}_MMStar.xlsx")
        tokens = [int(text(t)) for t in sheet.column("output_tokens")]
        assert tokens == [len(text(p)) // 4 + 1 for p in sheet.column("prediction")]
        means[model] = sum(tokens) / len(tokens)
    assert means["Kimi-VL-A3B-Thinking-2506"] > 5 * means["Qianfan-VL-8B"]
