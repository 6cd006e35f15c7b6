"""The tree that the demo source writes: complete, repeatable, and in the published archive's layout."""

from __future__ import annotations

import base64
import csv
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from vlrb.api.logs import Catalog
from vlrb_plugins.demo.generate import sample_counts, write_tree
from vlrb_plugins.demo.profiles import PROFILES
from vlrb_plugins.demo.rows import dataset_rows
from vlrb_plugins.models import MODELS
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource
from vlrb_plugins.vlmevalkit.workbook import read_sheet

CATALOG = Catalog(datasets=DATASETS, models=MODELS)
SAMPLES = 300


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo")
    write_tree(directory, SAMPLES, 0)
    return directory


def rows_of(tree: Path, dataset: str) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with (tree / "TSV_images" / f"{dataset}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def files_of(tree: Path) -> set[str]:
    return {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()}


def test_equal_parameters_give_equal_files(tree: Path, tmp_path: Path) -> None:
    """Anyone who names samples and seed gets the very same data, in a process with other hashes too."""
    code = f"from pathlib import Path; from vlrb_plugins.demo.generate import write_tree; write_tree(Path('.'), {SAMPLES}, 0)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "7"}, check=True)
    assert files_of(tree) == files_of(tmp_path)
    for name in sorted(files_of(tree)):
        if name.endswith(".xlsx"):
            first, second = read_sheet(tree / name), read_sheet(tmp_path / name)
            assert (first.header, first.rows) == (second.header, second.rows), name
        else:
            assert (tree / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("number", range(len(DATASETS)))
def test_another_seed_gives_other_data(number: int) -> None:
    """The seed reaches images and questions of every dataset."""
    one, other = (list(dataset_rows(DATASETS[number].name, 8, seed, number)) for seed in (0, 1))
    assert {r.picture.data for r in one}.isdisjoint(r.picture.data for r in other)
    assert [r.cells for r in one] != [r.cells for r in other]


@pytest.mark.parametrize("samples", [300, 301, 3000, 12_345, 30_540])
def test_counts_sum_to_the_samples_asked_for(samples: int) -> None:
    """The number of samples is exact and no dataset is too small to be split."""
    counts = sample_counts(samples)
    assert sum(counts.values()) == samples
    assert min(counts.values()) >= 8


def test_counts_at_full_size_are_the_papers() -> None:
    """At 30,540 samples every dataset has the number of samples that it has in the paper."""
    assert sample_counts(30_540) == {d.name: d.samples for d in DATASETS}


def test_models_are_the_papers() -> None:
    """Every model that has a price is simulated under the name that it has in logs."""
    assert {p.name for p in PROFILES} == {m.name for m in MODELS}


def test_reader_takes_the_tree_as_real_logs(tree: Path) -> None:
    """The reader finds a verdict and token counts for every model on every sample, and passes over no file."""
    source = VlmevalkitSource(VlmevalkitParams(path=tree))
    listing = source.list(CATALOG)
    assert not listing.ignored
    keys: dict[str, set[str]] = {}
    outcomes: Counter[str] = Counter()
    for part in listing.parts:
        batches = list(source.read(part, CATALOG))
        found = [row for batch in batches for row in batch.to_pylist()]
        if part.kind == "samples":
            keys[part.dataset] = {r["key"] for r in found}
            assert len(found) == len(keys[part.dataset]) == sample_counts(SAMPLES)[part.dataset]
            assert all(r["question"] and r["answer"] and len(r["images"]) == 1 for r in found)
            continue
        outcomes[part.dataset] += 1
        assert {r["key"] for r in found} == keys[part.dataset]
        assert {r["score"] for r in found} <= {0.0, 1.0}
        assert all(r["prediction"] and r["input_tokens"] > 0 and r["output_tokens"] > 0 for r in found)
    assert outcomes == dict.fromkeys((d.name for d in DATASETS), len(MODELS))


def test_images_are_small_pictures(tree: Path) -> None:
    """Every image decodes and stays small, so that a run on a laptop is quick."""
    for dataset in DATASETS:
        stored = [r["image"] for r in rows_of(tree, dataset.name) if len(r["image"]) > 64]
        for cell in stored:
            with Image.open(io.BytesIO(base64.b64decode(cell))) as image:
                image.load()
                assert image.width <= 320
                assert image.height <= 400


@pytest.mark.parametrize("dataset", ["DocVQA_VAL", "ChartQA_TEST", "TextVQA_VAL", "MathVerse_MINI", "HallusionBench"])
def test_several_questions_share_an_image(tree: Path, dataset: str) -> None:
    """A split that is not grouped by image would leak: several questions are about one picture."""
    images = {r["image"] for r in rows_of(tree, dataset) if len(r["image"]) > 64}
    references = [r["image"] for r in rows_of(tree, dataset) if len(r["image"]) <= 64]
    assert len(references) > len(rows_of(tree, dataset)) / 6
    assert len(images) > 1


def test_mmbench_has_rotations_that_only_predictions_hold(tree: Path) -> None:
    """MMBench asks each question once per rotation of its options, with the answer moving along, and scores it once."""
    rows = {r["index"]: r for r in rows_of(tree, "MMBench_DEV_EN_V11")}
    base = {i: r for i, r in rows.items() if int(i) < 1_000_000}
    for index, row in base.items():
        options = [row[c] for c in "ABCD" if row[c]]
        group = [rows[str(int(index) + turn * 1_000_000)] for turn in range(len(options))]
        assert {r[r["answer"]] for r in group} == {row[row["answer"]]}
        assert {r["image"] for r in group[1:]} == {index}
    predictions = read_sheet(tree / "VLMEvalKit_inference/SmolVLM2/SmolVLM2_MMBench_DEV_EN_V11.xlsx")
    scored = read_sheet(tree / "VLMEvalKit_evaluation/SmolVLM2/SmolVLM2_MMBench_DEV_EN_V11_gpt-4o-mini_result.xlsx")
    assert (len(predictions.rows), len(scored.rows)) == (len(rows), len(base))


def test_tree_says_that_it_is_synthetic(tree: Path) -> None:
    """Nobody who finds the files can take them for answers of the real models."""
    assert "synthetic" in (tree / "SYNTHETIC.txt").read_text(encoding="utf-8")
