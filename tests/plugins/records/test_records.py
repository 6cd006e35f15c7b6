"""The log source ``records``: what it reads from Parquet and JSON lines."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb.api.logs import Part
from vlrb.errors import DataError
from vlrb_plugins.records import jsonl, source, vlrb_log_sources
from vlrb_plugins.shared.log_tables import parquet_files

FULL_SAMPLE = {
    "dataset": "Charts",
    "key": "1",
    "question": "What is shown?",
    "options": [{"letter": "A", "text": "a cat"}, {"letter": "B", "text": "a dog"}],
    "hint": "Look.",
    "answer": "B",
    "fields": {"category": "pets", "type": "open"},
    "groups": ["figure-1", "page-2"],
    "split": "dev",
}
FULL_OUTCOME = {
    "dataset": "Charts",
    "key": "1",
    "model": "large",
    "prediction": "B",
    "score": 0.25,
    "input_tokens": 10,
    "output_tokens": 20,
    "cost": 0.001,
    "thinking": "Hm.",
    "judged": {"extract": "B"},
    "failed": False,
}


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with maps as dictionaries and without its nulls."""
    there = {n: v for n, v in row.items() if v is not None}
    return {n: dict(v) if n in ("fields", "judged") else v for n, v in there.items()}


# --- rows -----------------------------------------------------------------------------------------------------------------


def test_a_full_sample(folder: Any) -> None:
    """Every column arrives, from both forms; fields as a struct, which pyarrow makes of a dictionary, too."""
    for path in folder.both_forms("samples", [FULL_SAMPLE, folder.sample("2")]):
        first, second = folder.file(path, "samples")
        assert plain(first) == FULL_SAMPLE
        assert plain(second) == folder.sample("2")


def test_a_full_outcome(folder: Any) -> None:
    """Every column arrives, from both forms."""
    for path in folder.both_forms("outcomes", [FULL_OUTCOME, folder.outcome("2", "small")]):
        first, second = folder.file(path, "outcomes")
        assert plain(first) == FULL_OUTCOME
        assert plain(second) == folder.outcome("2", "small")


def test_rotations(folder: Any) -> None:
    """The rotations of a question, and the answers to them, by key."""
    asked = [{"key": "1000001", "options": [{"letter": "A", "text": "dog"}], "answer": "A"}]
    for path in folder.both_forms("samples", [folder.sample(rotations=asked)]):
        assert folder.file(path, "samples")[0]["rotations"] == asked
    said = [{"key": "1000001", "prediction": "A"}]
    for path in folder.both_forms("outcomes", [folder.outcome(rotations=said)]):
        assert folder.file(path, "outcomes")[0]["rotations"] == said


def test_options_as_texts_get_letters(folder: Any) -> None:
    """Row by row, whatever the lengths, and nulls stay nulls."""
    rows = [
        folder.sample("1", options=["x", "y", "z"]),
        folder.sample("2", options=None),
        folder.sample("3", options=[]),
        folder.sample("4", options=["w"]),
    ]
    expected = [[("A", "x"), ("B", "y"), ("C", "z")], None, [], [("A", "w")]]
    for path in folder.both_forms("samples", rows):
        found = [r["options"] for r in folder.file(path, "samples")]
        assert [o if o is None else [(p["letter"], p["text"]) for p in o] for o in found] == expected


@pytest.mark.parametrize("text", ["None", "NA", "nan", "007", " A ", "a\r\nb\tc", "ü\u2028\x00", "", "=1"])
def test_texts_are_kept(folder: Any, text: str) -> None:
    """No text is a gap or a number."""
    for path in folder.both_forms("samples", [folder.sample(hint=text, answer=text)]):
        row = folder.file(path, "samples")[0]
        assert (row["hint"], row["answer"]) == (text, text)


def test_absent_columns_are_null(folder: Any) -> None:
    """An absent prediction is not an empty one: nothing may score it."""
    for path in folder.both_forms("outcomes", [folder.outcome()]):
        row = folder.file(path, "outcomes")[0]
        assert (row["prediction"], row["cost"], row["input_tokens"]) == (None, None, None)
        assert "thinking" not in row


def test_predictions_without_scores(folder: Any) -> None:
    """A scorer judges them; the verdict says that there is none."""
    folder.jsonl("samples", [folder.sample()])
    folder.parquet("outcomes", {"dataset": ["Charts"], "key": ["1"], "model": ["small"], "prediction": ["A"]})
    batch = folder.batches("outcomes")[0]
    assert batch.column("score").to_pylist() == [None]
    assert batch.schema.metadata[b"verdict"].decode() == f"no score in {folder.path / 'outcomes.parquet'}"


def test_the_verdict_names_the_file(folder: Any) -> None:
    """So that the data report can say where scores come from."""
    folder.jsonl("samples", [folder.sample()])
    path = folder.jsonl("outcomes", [folder.outcome()])
    assert folder.batches("outcomes")[0].schema.metadata[b"verdict"].decode() == f"score of {path}"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array([1, 0], pa.int8()), [1.0, 0.0]),
        (pa.array([0.5, None], pa.float32()), [0.5, None]),
        (pa.array([0.5, 0.25], pa.float16()), [0.5, 0.25]),
    ],
)
def test_types_of_scores(folder: Any, array: Any, expected: list[float]) -> None:
    """Verdicts may be booleans, whole numbers, or narrow floats."""
    names = {"dataset": ["Charts"] * 2, "key": ["1", "2"], "model": ["small"] * 2, "prediction": ["", ""]}
    path = folder.parquet("outcomes", {**names, "score": array})
    assert [r["score"] for r in folder.file(path, "outcomes")] == expected


@pytest.mark.parametrize(
    "array",
    [
        pa.array([7, None], pa.uint8()),
        pa.array([7, None], pa.uint64()),
        pa.array([7.0, None]),
        pa.array([7, None], pa.int32()),
    ],
)
def test_types_of_tokens(folder: Any, array: Any) -> None:
    """Whole numbers of any width; floats that are whole, as pandas writes a column with gaps."""
    names = {"dataset": ["Charts"] * 2, "key": ["1", "2"], "model": ["small"] * 2, "score": [1.0, 1.0]}
    path = folder.parquet("outcomes", {**names, "input_tokens": array})
    assert [r["input_tokens"] for r in folder.file(path, "outcomes")] == [7, None]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_types_of_texts(folder: Any, kind: Any) -> None:
    """All forms in which Arrow keeps texts."""
    columns = {n: pa.array([v]).cast(pa.string()) for n, v in folder.sample(hint="h").items()}
    columns = {n: c.dictionary_encode() if pa.types.is_dictionary(kind) else c.cast(kind) for n, c in columns.items()}
    path = folder.path / "samples.parquet"
    pq.write_table(pa.table(columns), path)
    assert plain(folder.file(path, "samples")[0]) == folder.sample(hint="h")


def test_maps(folder: Any) -> None:
    """A map of text to text; an entry that is null is left out, in both forms."""
    entries = [[("a", "1"), ("b", None)], None, []]
    maps = pa.array(entries, pa.map_(pa.large_string(), pa.string()))
    keys = {"dataset": ["Charts"] * 3, "key": ["1", "2", "3"], "question": ["?"] * 3}
    path = folder.parquet("samples", {**keys, "fields": maps})
    assert [r["fields"] for r in folder.file(path, "samples")] == [[("a", "1")], None, []]
    path = folder.jsonl("samples", [folder.sample(fields={"a": "1", "b": None})])
    assert folder.file(path, "samples")[0]["fields"] == [("a", "1")]


# --- names ----------------------------------------------------------------------------------------------------------------


def test_aliases_and_unknown_names(folder: Any) -> None:
    """An alias becomes the record's name; what the catalog does not know keeps its own."""
    rows = [folder.outcome(model="large-2024", dataset="charts-old"), folder.outcome(model="mine", dataset="Own")]
    for path in folder.both_forms("outcomes", rows):
        assert [(r["dataset"], r["model"]) for r in folder.file(path, "outcomes")] == [
            ("Charts", "large"),
            ("Own", "mine"),
        ]


def test_wanted_rows(folder: Any) -> None:
    """Only what [benchmark] asks for is handed on; rows of others may be anything."""
    folder.jsonl("samples", [folder.sample(), folder.sample("9", dataset="Maths")])
    rows = [
        folder.outcome("1", "small"),
        folder.outcome("1", "large-2024"),
        folder.outcome("9", "large", dataset="Maths", score=7.0),
    ]
    folder.parquet("outcomes", pa.Table.from_pylist(rows))
    catalog = attrs.evolve(folder.catalog, wanted_datasets=frozenset(["Charts"]), wanted_models=frozenset(["large"]))
    assert [r["key"] for r in folder.read("samples", catalog)] == ["1"]
    assert [(r["key"], r["model"]) for r in folder.read("outcomes", catalog)] == [("1", "large")]


def test_what_is_wanted_and_absent(folder: Any) -> None:
    """It is an error that says what is there."""
    folder.jsonl("samples", [folder.sample()])
    folder.jsonl("outcomes", [folder.outcome()])
    catalog = attrs.evolve(folder.catalog, wanted_datasets=frozenset(["Maths"]), wanted_models=frozenset(["small"]))
    with pytest.raises(DataError) as caught:
        folder.read("outcomes", catalog)
    assert [p.message for p in caught.value.problems] == [
        "holds no rows of dataset 'Maths'",
        "holds no rows of model 'small'",
    ]
    assert "known: large" in caught.value.problems[1].fix


# --- files ----------------------------------------------------------------------------------------------------------------


def test_listing(folder: Any) -> None:
    """Two parts, each with its file, whatever stands in them."""
    samples, outcomes = folder.path / "samples.jsonl", folder.path / "outcomes.parquet"
    samples.write_bytes(b"\xff")
    outcomes.write_bytes(b"")
    listing = folder.source().list(folder.catalog)
    assert [(p.kind, p.dataset, p.model, p.files) for p in listing.parts] == [
        ("samples", "", "", (samples,)),
        ("outcomes", "", "", (outcomes,)),
    ]


def test_listing_of_synthetic_data(folder: Any) -> None:
    """A Parquet file may say that its data are synthetic; a broken one is left to the reading."""
    table = pa.Table.from_pylist([folder.sample()])
    folder.parquet("samples", table.replace_schema_metadata({"vlrb.synthetic": "made up"}))
    path = folder.parquet("outcomes", pa.Table.from_pylist([folder.outcome()]))
    assert folder.source().list(folder.catalog).synthetic == "made up"
    path.write_bytes(b"PAR1")
    assert folder.source().list(folder.catalog).synthetic == "made up"
    folder.parquet("samples", table)
    assert folder.source().list(folder.catalog).synthetic == ""


def test_files_of_other_names(folder: Any) -> None:
    """Explicit files win over what lies in the folder."""
    folder.jsonl("samples", [folder.sample("1")])
    mine = folder.jsonl("mine", [folder.sample("2")])
    other = folder.jsonl("other", [folder.outcome("2")])
    assert [r["key"] for r in folder.read("samples", samples=mine, outcomes=other)] == ["2"]
    assert [r["key"] for r in folder.read("outcomes", samples=mine, outcomes=other)] == ["2"]


def test_two_forms_side_by_side(folder: Any) -> None:
    """Which is meant is not known."""
    folder.both_forms("samples", [folder.sample()])
    with pytest.raises(DataError, match=r"holds the samples twice: samples.parquet and samples.jsonl") as caught:
        folder.source().list(folder.catalog)
    assert "has neither outcomes.parquet nor outcomes.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"samples": Path("/nowhere/x.jsonl")}, "/nowhere/x.jsonl: there is no such file"),
        ({"outcomes": Path("x.csv")}, "x.csv: is neither .parquet nor .jsonl"),
        ({"images": Path("/nowhere")}, "/nowhere: is not a folder"),
    ],
)
def test_files_that_are_not_there(folder: Any, params: dict[str, Any], message: str) -> None:
    """Parameters are checked before anything is read."""
    folder.jsonl("samples", [folder.sample()])
    folder.jsonl("outcomes", [folder.outcome()])
    with pytest.raises(DataError, match=message):
        folder.source(**params).list(folder.catalog)


def test_no_folder(folder: Any) -> None:
    """A path that is wrong is told as such, once."""
    folder.path = folder.path / "typo"
    with pytest.raises(DataError, match="typo: is not a folder") as caught:
        folder.source().list(folder.catalog)
    assert len(caught.value.problems) == 1


def test_empty_lines_and_byte_order_mark(folder: Any) -> None:
    """A mark before the first line and empty lines hold nothing."""
    path = folder.path / "samples.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(folder.sample()).encode() + b"\r\n\n \n")
    assert len(folder.file(path, "samples")) == 1


def test_schema_version(folder: Any) -> None:
    """Version 1 and none are read."""
    table = pa.Table.from_pylist([folder.sample()])
    path = folder.parquet("samples", table.replace_schema_metadata({"vlrb.records": "1"}))
    assert len(folder.file(path, "samples")) == 1


def test_blocks_are_bounded(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come in batches, in the order of the file, from both forms."""
    monkeypatch.setattr(jsonl, "BATCH_ROWS", 7)
    monkeypatch.setattr(parquet_files, "BATCH_ROWS", 7)
    for path in folder.both_forms("outcomes", [folder.outcome(str(i)) for i in range(20)]):
        part = attrs.evolve(folder.source(samples=path, outcomes=path).list(folder.catalog).parts[1])
        batches = list(folder.source().read(part, folder.catalog))
        assert [b.num_rows for b in batches] == [7, 7, 6]
        assert [k for b in batches for k in b.column("key").to_pylist()] == [str(i) for i in range(20)]


# --- images ---------------------------------------------------------------------------------------------------------------


def test_images_by_path(folder: Any) -> None:
    """Paths start from the folder of the tables, or from the one that is named."""
    one, two = folder.image("img/1.png", 1), folder.image("other/img/1.png", 2)
    for path in folder.both_forms("samples", [folder.sample("1", images=["img/1.png"] * 2), folder.sample("2")]):
        assert [r["images"] for r in folder.file(path, "samples")] == [[one, one], None]
        path.rename(path.with_name(f"x{path.suffix}"))
    folder.jsonl("samples", [folder.sample(images=["img/1.png"])])
    folder.jsonl("outcomes", [folder.outcome()])
    assert folder.read("samples", images=folder.path / "other")[0]["images"] == [two]


def test_images_as_bytes(folder: Any) -> None:
    """Parquet holds the files themselves, in any of Arrow's binary types."""
    for kind in (pa.binary(), pa.large_binary()):
        columns = {n: [v] for n, v in folder.sample().items()}
        path = folder.parquet(
            "samples", {**columns, "images": pa.array([[folder.png(1), folder.png(2)]], pa.list_(kind))}
        )
        assert folder.file(path, "samples")[0]["images"] == [folder.png(1), folder.png(2)]


def test_images_as_base64(folder: Any) -> None:
    """JSON lines hold them as data URLs."""
    text = "data:image/png;base64," + base64.b64encode(folder.png(3)).decode()
    path = folder.jsonl("samples", [folder.sample(images=[text])])
    assert folder.file(path, "samples")[0]["images"] == [folder.png(3)]
    path = folder.jsonl("samples", [folder.sample(images=[f"{text[:40]}\n{text[40:]}\r\n"])])
    assert folder.file(path, "samples")[0]["images"] == [folder.png(3)], "it may be broken into lines"


def test_images_are_read_in_portions(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch never holds many megabytes of images more than it must."""
    monkeypatch.setattr(source, "BATCH_BYTES", 100)
    files = [folder.image(f"{i}.png", i) for i in range(5)]
    path = folder.jsonl("samples", [folder.sample(str(i), images=[f"{i}.png"], hint=str(i)) for i in range(5)])
    part = folder.source(samples=path, outcomes=path).list(folder.catalog).parts[0]
    batches = list(folder.source().read(part, folder.catalog))
    assert len(batches) > 1
    rows = [r for b in batches for r in b.to_pylist()]
    assert [(r["hint"], r["images"]) for r in rows] == [(str(i), [f]) for i, f in enumerate(files)]


def test_a_link_inside_the_folder(folder: Any) -> None:
    """A symbolic link may lead anywhere below the folder."""
    data = folder.image("a.png", 1)
    (folder.path / "b.png").symlink_to(folder.path / "a.png")
    path = folder.jsonl("samples", [folder.sample(images=["b.png"])])
    assert folder.file(path, "samples")[0]["images"] == [data]


def test_registration() -> None:
    """Both sources are registered with their parameters."""
    assert [s.name for s in vlrb_log_sources()] == ["records", "mmr-bench"]


def test_numbers_survive_exactly(folder: Any) -> None:
    """Costs and scores are not rounded on the way."""
    values = np.random.default_rng(0).random(1000)
    path = folder.parquet(
        "outcomes",
        {
            "dataset": ["Charts"] * 1000,
            "key": [str(i) for i in range(1000)],
            "model": ["small"] * 1000,
            "score": values,
            "cost": values * 1e-5,
        },
    )
    rows = folder.file(path, "outcomes")
    assert [r["score"] for r in rows] == values.tolist()
    assert [r["cost"] for r in rows] == (values * 1e-5).tolist()


def test_batches_name_the_pictures_that_they_were_read_from(folder: Any) -> None:
    """So that a changed picture is read again; the path as the table has it, links not resolved."""
    folder.image("real.png")
    (folder.path / "link.png").symlink_to("real.png")
    for file in folder.both_forms("samples", [folder.sample(images=["link.png"])]):
        (batch,) = folder.source().read(Part("samples", "samples", (file,)), folder.catalog)
        assert json.loads(batch.schema.metadata[b"files"]) == [str(folder.path / "link.png")]
