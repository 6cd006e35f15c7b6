"""The log source ``mmr-bench``: a CSV file with four columns per model."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlrb.api.records import Dataset
from vlrb.errors import DataError
from vlrb_plugins.records import mmr_bench
from vlrb_plugins.records.mmr_bench import MmrBenchSource
from vlrb_plugins.records.params import MmrBenchParams
from vlrb_plugins.shared.log_tables.image_files import parse_list

FIXED = ("sample_id", "dataset_idx", "question", "answer", "image_paths")
MODELS = ("large-2024", "my_model")


def row(key: str = "1", **more: str) -> dict[str, str]:
    """Return the cells of a row."""
    cells = {
        "sample_id": key,
        "dataset_idx": "Charts",
        "question": f"Question {key}?",
        "answer": "A",
        "image_paths": "",
    }
    for model in MODELS:
        cells |= {f"{model}_prediction": "A", f"{model}_correct": "1", f"{model}_token": "12", f"{model}_cost": "0.5"}
    return cells | more


class Csv:
    """A CSV file, and what the source reads from it."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        self.catalog = folder.catalog
        self.path = folder.path / "mmr.csv"

    def write(self, rows: Sequence[Mapping[str, str]], header: Sequence[str] = ()) -> Path:
        """Write the file."""
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header or list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return self.path

    def batches(self, kind: str, catalog: Any = None, **params: Any) -> list[Any]:
        """Read one of the two parts."""
        catalog = catalog or self.catalog
        source = MmrBenchSource(MmrBenchParams(path=self.path, **params))
        parts = source.list(catalog).parts
        batches = list(source.read(next(p for p in parts if p.kind == kind), catalog))
        for batch in batches:
            self.folder.check_batch(batch, kind)
        return batches

    def read(self, kind: str, catalog: Any = None, **params: Any) -> list[dict[str, Any]]:
        """Read one of the two parts as rows."""
        return [r for b in self.batches(kind, catalog, **params) for r in b.to_pylist()]


@pytest.fixture
def table(folder: Any) -> Csv:
    """Return a CSV file that is not written yet."""
    return Csv(folder)


def test_samples(table: Any) -> None:
    """What is no column of a sample or a model goes into fields; an empty cell is no field."""
    table.write([row("1", category="pets"), row("2", question='a\r\nb,"c"', category="")])
    first, second = table.read("samples")
    assert {n: first[n] for n in ("dataset", "key", "question", "answer", "images")} == {
        "dataset": "Charts",
        "key": "1",
        "question": "Question 1?",
        "answer": "A",
        "images": [],
    }
    assert (first["fields"], second["fields"]) == ([("category", "pets")], [])
    assert second["question"] == 'a\r\nb,"c"'


def test_outcomes(table: Any) -> None:
    """One per model; aliases are resolved, names with underscores are whole."""
    changes = {"my_model_correct": "0.25", "my_model_token": "7.0", "my_model_cost": "1e-3", "my_model_prediction": ""}
    table.write([row(**changes)])
    outcomes = {o["model"]: o for o in table.read("outcomes")}
    assert outcomes["large"] == {
        "dataset": "Charts",
        "key": "1",
        "prediction": "A",
        "score": 1.0,
        "input_tokens": None,
        "output_tokens": 12,
        "cost": 0.5,
        "model": "large",
    }
    mine = outcomes["my_model"]
    assert (mine["score"], mine["output_tokens"], mine["cost"], mine["prediction"]) == (0.25, 7, 0.001, None)
    assert f"NAME_correct of {table.path}" in table.batches("outcomes")[0].schema.metadata[b"verdict"].decode()


@pytest.mark.parametrize(
    ("cell", "score"),
    [("0", 0.0), ("1.0", 1.0), ("True", 1.0), ("False", 0.0), ("TRUE", 1.0), ("false", 0.0), ("", None), (".5", 0.5)],
)
def test_verdicts(table: Any, cell: str, score: float | None) -> None:
    """0, 1, fractions, and what pandas writes for booleans; an empty cell is no verdict."""
    table.write([row(my_model_correct=cell)])
    assert next(o["score"] for o in table.read("outcomes") if o["model"] == "my_model") == score


def test_a_model_that_was_not_asked(table: Any) -> None:
    """All four cells are empty: there is no outcome, and it is counted."""
    table.write([row("1"), row("2", **{f"my_model_{s}": "" for s in mmr_bench.SUFFIXES})])
    assert len(table.read("outcomes")) == 3
    counts = [json.loads(b.schema.metadata[b"counts"]) for b in table.batches("outcomes")]
    assert counts == [{"answers whose cells are all empty": 1}]


def test_rows_without_any_answer_are_counted(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are the last ones, after everything else was handed on."""
    monkeypatch.setattr(mmr_bench, "BATCH_ROWS", 2)
    table.write([row("1"), row("2", **{f"{m}_{s}": "" for m in MODELS for s in mmr_bench.SUFFIXES})])
    batches = table.batches("outcomes")
    assert [b.num_rows for b in batches] == [2, 0]
    assert json.loads(batches[1].schema.metadata[b"counts"]) == {"answers whose cells are all empty": 2}


def test_two_columns_of_one_model(table: Any) -> None:
    """A name and its alias side by side: which of the two is meant is not known."""
    cells = {f"large_{s}": c for s, c in zip(mmr_bench.SUFFIXES, ("A", "1", "1", "1"), strict=True)}
    table.write([row(**cells)])
    with pytest.raises(DataError, match=r"row 1: columns 'large-2024', 'large' are all of model 'large'"):
        table.read("outcomes")
    asked = attrs.evolve(table.catalog, wanted_models=frozenset(["my_model"]))
    assert [o["model"] for o in table.read("outcomes", asked)] == ["my_model"]


@pytest.mark.parametrize(("cell", "name"), [("3", "dataset-3"), ("MMStar", "MMStar"), ("3.5", "3.5"), ("٣", "٣")])
def test_names_of_datasets(table: Any, cell: str, name: str) -> None:
    """A bare number is a dataset of that number; any other text is the name itself."""
    table.write([row(dataset_idx=cell)])
    assert table.read("samples")[0]["dataset"] == name


def test_a_number_may_be_an_alias(table: Any) -> None:
    """[[dataset]] with aliases = ["dataset-3"] names what the number means."""
    table.write([row(dataset_idx="3")])
    catalog = attrs.evolve(table.catalog, datasets=(Dataset(name="Charts", group="own", aliases=("dataset-3",)),))
    assert table.read("samples", catalog)[0]["dataset"] == "Charts"


def test_wanted_rows(table: Any) -> None:
    """Only what is asked for is handed on, and what is absent is told."""
    table.write([row("1"), row("2", dataset_idx="Maths")])
    catalog = attrs.evolve(table.catalog, wanted_datasets=frozenset(["Charts"]), wanted_models=frozenset(["large"]))
    assert [(o["key"], o["model"]) for o in table.read("outcomes", catalog)] == [("1", "large")]
    with pytest.raises(DataError, match="holds no rows of model 'small'"):
        table.read("outcomes", attrs.evolve(table.catalog, wanted_models=frozenset(["small"])))


def test_batches_are_bounded(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch holds many more rows than the limit."""
    monkeypatch.setattr(mmr_bench, "BATCH_ROWS", 4)
    table.write([row(str(i)) for i in range(9)])
    assert [b.num_rows for b in table.batches("samples")] == [4, 4, 1]
    assert [b.num_rows for b in table.batches("outcomes")] == [4, 4, 4, 4, 2]


@pytest.mark.parametrize(
    ("cell", "paths"),
    [
        ("a.png", ["a.png"]),
        ("a b,c.png", ["a b,c.png"]),
        ('["a.png", "b.png"]', ["a.png", "b.png"]),
        ("['a.png', 'b.png']", ["a.png", "b.png"]),
        ("['a\\.png']", ["a\\.png"]),
        ("[]", []),
        ("[a.png]", None),
        ("[1]", None),
        ("['']", None),
        ("[{[]: 1}]", None),
        ("[" * 9999, None),
        ("[__import__('os')]", None),
    ],
)
def test_image_paths(cell: str, paths: list[str] | None) -> None:
    """One path, or a list in JSON or Python notation; a broken list is not a path, and nothing is run."""
    assert parse_list(cell) == paths


def test_images(table: Any, folder: Any) -> None:
    """Paths start from the file's folder, or from the one that is named."""
    one, two = folder.image("a.png", 1), folder.image("deep/a.png", 2)
    table.write([row(image_paths="a.png"), row("2", image_paths="['a.png', 'a.png']")])
    assert [r["images"] for r in table.read("samples")] == [[one], [one, one]]
    assert [r["images"] for r in table.read("samples", images=folder.path / "deep")] == [[two], [two, two]]


CELLS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "no id": ("outcomes", {"sample_id": ""}, ["column sample_id: is empty"]),
    "no dataset": ("samples", {"dataset_idx": ""}, ["column dataset_idx: is empty"]),
    "verdict": (
        "outcomes",
        {"my_model_correct": "yes"},
        ["column my_model_correct: 'yes'", "write 0, 1 or a fraction"],
    ),
    "verdict 2": ("outcomes", {"my_model_correct": "2"}, ["'2' is not what the column holds"]),
    "verdict nan": ("outcomes", {"my_model_correct": "nan"}, ["'nan' is not what the column holds"]),
    "verdict _": ("outcomes", {"my_model_correct": "1_0"}, ["'1_0' is not"]),
    "tokens": ("outcomes", {"my_model_token": "12.5"}, ["column my_model_token: '12.5'", "output tokens"]),
    "tokens < 0": ("outcomes", {"my_model_token": "-1"}, ["column my_model_token: '-1'"]),
    "cost": ("outcomes", {"large-2024_cost": "-0.1"}, ["column large-2024_cost: '-0.1'", "write US dollars"]),
    "cost inf": ("outcomes", {"large-2024_cost": "1e999"}, ["'1e999' is not"]),
    "cost $": ("outcomes", {"large-2024_cost": "$1"}, ["'$1' is not"]),
    "nothing said": (
        "outcomes",
        {"my_model_correct": "", "my_model_prediction": ""},
        ["neither a verdict nor a prediction"],
    ),
    "image": ("samples", {"image_paths": "no.png"}, ["column image_paths: 'no.png' is not a file below"]),
    "image leaves": ("samples", {"image_paths": "../../x.png"}, ["is outside the folder"]),
    "image list": ("samples", {"image_paths": "['a.png'"}, ["is not what the column holds", "write a path, or a list"]),
}


@pytest.mark.parametrize("case", CELLS, ids=str)
def test_broken_cells(table: Any, case: str) -> None:
    """Each is named with file, row, line, column and value."""
    kind, change, pieces = CELLS[case]
    table.write([row("1", question="two\nlines"), row("2", **change)])
    with pytest.raises(DataError) as caught:
        table.read(kind)
    assert len(caught.value.problems) == 1
    for piece in [f"{table.path}, row 3 (line 4), ", *pieces, "fix: "]:
        assert piece in str(caught.value)


FILES: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["is empty"]),
    "no column": (b"sample_id,question\n1,x\n", ["row 1: has no column 'dataset_idx', 'answer', 'image_paths'"]),
    "no models": (b"sample_id,dataset_idx,question,answer,image_paths\n1,a,b,c,\n", ["has no model's columns"]),
    "misspelt": (
        b"sample_id,dataset_idx,question,answer,image_paths,m_prediction,m_corect,m_token,m_cost\n",
        ["model 'm' has no column 'm_correct'", "did you mean 'm_corect'?"],
    ),
    "other column": (
        b"sample_id,dataset_idx,question,answer,image_paths,m_prediction,m_correct,m_token,m_cost,total_cost\n",
        ["model 'total' has no column 'total_token'", "or rename total_cost if there is no such model"],
    ),
    "index": (b",sample_id\n0,1\n", ["column 1 has no name", "index=False"]),
    "twice": (b"sample_id,sample_id\n0,1\n", ["column 'sample_id' appears twice"]),
    "cells": (
        b"sample_id,dataset_idx,question,answer,image_paths,m_prediction,m_correct,m_token,m_cost\n1,a,b\n",
        ["row 2 (line 2)", "the row has 3 cells, the header 9"],
    ),
    "quote": (
        b'sample_id,dataset_idx,question,answer,image_paths,m_prediction,m_correct,m_token,m_cost\n1,a,"b\n',
        ["row 2 (line 2)", "is broken or cut off"],
    ),
    "no rows": (
        b"sample_id,dataset_idx,question,answer,image_paths,m_prediction,m_correct,m_token,m_cost\n",
        ["holds no rows"],
    ),
    "encoding": (b"sample_id,\xff\n", ["is not encoded as UTF-8"]),
}


@pytest.mark.parametrize("case", FILES, ids=str)
def test_broken_files(table: Any, case: str) -> None:
    """What is wrong with the file as a whole."""
    content, pieces = FILES[case]
    table.path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        table.read("outcomes")
    for piece in [str(table.path), *pieces, "fix: "]:
        assert piece in str(caught.value)


def test_no_file(table: Any) -> None:
    """Parameters are checked before anything is read."""
    with pytest.raises(DataError, match="mmr.csv: there is no such file"):
        table.read("samples")
    table.write([row()])
    with pytest.raises(DataError, match="/nowhere: is not a folder"):
        table.read("samples", images=Path("/nowhere"))


HEADER = ",".join([*FIXED, *(f"m_{s}" for s in mmr_bench.SUFFIXES)]).encode()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from([b",", b'"', b"\n", b"\r", b"1", b"\0", b"a", b"[", b"-", b"nan", b"\xc3"]), max_size=80
        ).map(lambda parts: HEADER + b"\n" + b"".join(parts)),
        st.lists(st.lists(st.text(max_size=4), min_size=9, max_size=9), max_size=4).map(
            lambda rows: HEADER + b"\n" + "\n".join(",".join(r) for r in rows).encode("utf-8", "replace")
        ),
    )
)
def test_any_bytes(table: Any, content: bytes) -> None:
    """Whatever the file holds, there is a DataError or valid batches."""
    table.path.write_bytes(content)
    for kind in ("samples", "outcomes"):
        with contextlib.suppress(DataError):
            table.batches(kind)


def test_batches_name_the_pictures_that_they_were_read_from(table: Csv) -> None:
    """So that a changed picture is read again."""
    table.folder.image("a.png")
    table.write([row(image_paths="a.png")])
    (batch,) = table.batches("samples")
    assert json.loads(batch.schema.metadata[b"files"]) == [str(table.path.parent / "a.png")]
