"""The export `queries`: what a router outside vlrb sees, and what is hidden from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest

from vlrb.benchmark.build import build
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places
from vlrb_plugins.outside_choices.export import export_queries

FOLDS, SEEDS = "[split]\nfolds = 3\n", "[split]\nseeds = [1, 2]\n"
PARTS = ("train", "dev", "test")


@pytest.mark.parametrize("more", ["", FOLDS, SEEDS, "[split]\ntrain_fraction = [0.5, 1]\n"])
def test_no_folder_has_the_label_of_a_test_question(outside: Callable[..., Any], more: str) -> None:
    """Every test question of a split is in its folder once, without outcomes, and no line of another part is of it."""
    made = outside(more)
    splits = made.splits()
    assert sorted(p.name for p in made.folder.iterdir() if p.is_dir() and p.name != "images") == sorted(splits)
    for split in splits:
        rows = {part: made.rows(split, part) for part in PARTS}
        ids = [row["id"] for part in PARTS for row in rows[part]]
        assert len(set(ids)) == len(ids)
        # the tiny logs have a question per sample and dataset, so that texts and ids would both show a label
        texts = [(row["question"], str(row["images"])) for part in ("train", "dev") for row in rows[part]]
        tested = [(row["question"], str(row["images"])) for row in rows["test"]]
        assert not {*texts} & {*tested}
        assert all(set(row) == {"split", "id", "question", "options", "hint", "images"} for row in rows["test"])
        assert all(
            set(known) == {"correct", "score", "cost", "input_tokens", "output_tokens"}
            for part in ("train", "dev")
            for row in rows[part]
            for known in row["outcomes"].values()
        )


def test_folders_say_what_the_benchmark_says(outside: Callable[..., Any], project: Any) -> None:
    """Outcomes, prices and images are those of the records that the same benchmark is exported to."""
    made = outside()
    project.vlrb("build", made.file, "--no-review", "--export", "records", "records")
    samples = pq.read_table(project.folder / "records" / "samples.parquet").to_pylist()
    outcomes = pq.read_table(project.folder / "records" / "outcomes.parquet").to_pylist()
    images = {hashlib.sha256(data).hexdigest(): data for s in samples for data in s["images"]}
    assert {p.stem: p.read_bytes() for p in (made.folder / "images").iterdir()} == images
    assert {p.suffix for p in (made.folder / "images").iterdir()} == {".png"}
    known = [row for part in ("train", "dev") for row in made.rows("split", part)]
    of_sample: dict[tuple[str, str], dict[str, Any]] = {}
    for o in outcomes:
        of_sample.setdefault((o["dataset"], o["key"]), {})[o["model"]] = (o["score"], o["cost"], o["input_tokens"])
    by_text: dict[str, list[Any]] = {}
    for s in samples:
        by_text.setdefault(s["question"], []).append(of_sample[s["dataset"], s["key"]])
    for row in known:
        told = {m: (k["score"], k["cost"], k["input_tokens"]) for m, k in row["outcomes"].items()}
        assert told in by_text[row["question"]]
        assert all(k["correct"] == (k["score"] >= 0.5) for k in row["outcomes"].values())
    candidates = json.loads((made.folder / "candidates.json").read_text(encoding="utf-8"))
    assert candidates[0] == {"name": "tiny-large", "input_price": 8.0, "output_price": 16.0, "parameters": None}


def test_ids_tell_neither_dataset_nor_sample(outside: Callable[..., Any]) -> None:
    """No file names a dataset; ids are not the hashes that anybody can make of sample ids; lines are in their order."""
    made = outside(FOLDS)
    text = "".join(p.read_text(encoding="utf-8") for p in made.folder.rglob("*") if p.suffix in (".json", ".jsonl"))
    assert not re.search("tinya|tinyb", text.lower())
    for i in range(60):
        for dataset in ("TinyA", "TinyB"):
            assert hashlib.sha256(f"{dataset}/{i}".encode()).hexdigest()[:24] not in text
    for split in made.splits():
        for part in PARTS:
            ids = [row["id"] for row in made.rows(split, part)]
            assert ids == sorted(ids)


def test_ids_do_not_join_splits(outside: Callable[..., Any]) -> None:
    """What is tested in one fold is known in others: the same question has another id in each."""
    made = outside(FOLDS)
    ids = [{row["id"] for part in PARTS for row in made.rows(split, part)} for split in made.splits()]

    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]
    assert len(ids[0]) == len(ids[1]) == 120


def test_tokens_that_are_not_known_are_null(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs may give costs and no tokens; the folder claims no count."""
    monkeypatch.setenv("VLRB_CACHE", "")
    file = project.experiment()
    places = Places.of(str(tmp_path / "runs"), str(tmp_path / "cache"))
    benchmark = build(make_plan(file), places, jobs=1)
    unknown = attrs.evolve(benchmark, input_tokens=np.full_like(benchmark.input_tokens, -1))
    rows = np.arange(len(benchmark))
    split = SimpleNamespace(name="", rows=lambda part: rows[["train", "dev", "test"].index(part) :: 3])
    export_queries(SimpleNamespace(benchmark=unknown, splitting=SimpleNamespace(each=[split])), tmp_path / "out")
    text = (tmp_path / "out" / "split" / "dev.jsonl").read_text(encoding="utf-8")
    known = [k for line in text.splitlines() for k in json.loads(line)["outcomes"].values()]

    assert {k["input_tokens"] for k in known} == {None}
    assert {k["output_tokens"] for k in known} == {10}


def test_a_folder_that_holds_something_is_refused(outside: Callable[..., Any], project: Any) -> None:
    """Nothing is overwritten, and the message says what to do."""
    made = outside()
    again = project.vlrb("build", made.file, "--no-review", "--export", "queries", "queries")

    assert again.status == 4
    assert "name a new folder" in again.err


def test_the_export_is_the_same_each_time(outside: Callable[..., Any], project: Any) -> None:
    """Earlier choices are valid after exporting again."""
    made = outside(FOLDS)
    project.vlrb("build", made.file, "--no-review", "--export", "outside-choices/queries", "again")
    first = {p.relative_to(made.folder): p.read_bytes() for p in made.folder.rglob("*") if p.is_file()}
    again = project.folder / "again"

    assert {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()} == first
