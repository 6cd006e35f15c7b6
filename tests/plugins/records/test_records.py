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

from vlrb.errors import DataError
from vlrb_plugins.records import checks, jsonl, parquet, source, vlrb_log_sources

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


def both_forms(folder: Any, name: str, rows: list[dict[str, Any]]) -> list[Path]:
    """Write rows as JSON lines and as Parquet by way of pyarrow's own guess of types."""
    return [folder.jsonl(name, rows), folder.parquet(name, pa.Table.from_pylist(rows))]


# --- rows -----------------------------------------------------------------------------------------------------------------


def test_a_full_sample(folder: Any) -> None:
    """Every column arrives, from both forms; fields as a struct, which pyarrow makes of a dictionary, too."""
    for path in both_forms(folder, "samples", [FULL_SAMPLE, folder.sample("2")]):
        first, second = folder.file(path, "samples")
        assert plain(first) == FULL_SAMPLE
        assert plain(second) == folder.sample("2")


def test_a_full_outcome(folder: Any) -> None:
    """Every column arrives, from both forms."""
    for path in both_forms(folder, "outcomes", [FULL_OUTCOME, folder.outcome("2", "small")]):
        first, second = folder.file(path, "outcomes")
        assert plain(first) == FULL_OUTCOME
        assert plain(second) == folder.outcome("2", "small")


def test_rotations(folder: Any) -> None:
    """The rotations of a question, and the answers to them, by key."""
    asked = [{"key": "1000001", "options": [{"letter": "A", "text": "dog"}], "answer": "A"}]
    for path in both_forms(folder, "samples", [folder.sample(rotations=asked)]):
        assert folder.file(path, "samples")[0]["rotations"] == asked
    said = [{"key": "1000001", "prediction": "A"}]
    for path in both_forms(folder, "outcomes", [folder.outcome(rotations=said)]):
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
    for path in both_forms(folder, "samples", rows):
        found = [r["options"] for r in folder.file(path, "samples")]
        assert [o if o is None else [(p["letter"], p["text"]) for p in o] for o in found] == expected


@pytest.mark.parametrize("text", ["None", "NA", "nan", "007", " A ", "a\r\nb\tc", "ü\u2028\x00", "", "=1"])
def test_texts_are_kept(folder: Any, text: str) -> None:
    """No text is a gap or a number."""
    for path in both_forms(folder, "samples", [folder.sample(hint=text, answer=text)]):
        row = folder.file(path, "samples")[0]
        assert (row["hint"], row["answer"]) == (text, text)


def test_absent_columns_are_null(folder: Any) -> None:
    """An absent prediction is not an empty one: nothing may score it."""
    for path in both_forms(folder, "outcomes", [folder.outcome()]):
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
    for path in both_forms(folder, "outcomes", rows):
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
    """Two parts, each with its file; nothing is opened."""
    samples, outcomes = folder.path / "samples.jsonl", folder.path / "outcomes.parquet"
    samples.write_bytes(b"\xff")
    outcomes.write_bytes(b"")
    listing = folder.source().list(folder.catalog)
    assert [(p.kind, p.dataset, p.model, p.files) for p in listing.parts] == [
        ("samples", "", "", (samples,)),
        ("outcomes", "", "", (outcomes,)),
    ]


def test_files_of_other_names(folder: Any) -> None:
    """Explicit files win over what lies in the folder."""
    folder.jsonl("samples", [folder.sample("1")])
    mine = folder.jsonl("mine", [folder.sample("2")])
    other = folder.jsonl("other", [folder.outcome("2")])
    assert [r["key"] for r in folder.read("samples", samples=mine, outcomes=other)] == ["2"]
    assert [r["key"] for r in folder.read("outcomes", samples=mine, outcomes=other)] == ["2"]


def test_two_forms_side_by_side(folder: Any) -> None:
    """Which is meant is not known."""
    both_forms(folder, "samples", [folder.sample()])
    with pytest.raises(DataError, match=r"holds the samples twice: samples.parquet and samples.jsonl") as caught:
        folder.source().list(folder.catalog)
    assert "has neither outcomes.parquet nor outcomes.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"samples": Path("/nowhere/x.jsonl")}, "/nowhere/x.jsonl: there is no such file"),
        ({"outcomes": Path("x.csv")}, "x.csv: is neither .parquet nor .jsonl"),
        ({"images": Path("/nowhere")}, "/nowhere: is no folder"),
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
    with pytest.raises(DataError, match="typo: is no folder") as caught:
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
    monkeypatch.setattr(parquet, "BATCH_ROWS", 7)
    for path in both_forms(folder, "outcomes", [folder.outcome(str(i)) for i in range(20)]):
        part = attrs.evolve(folder.source(samples=path, outcomes=path).list(folder.catalog).parts[1])
        batches = list(folder.source().read(part, folder.catalog))
        assert [b.num_rows for b in batches] == [7, 7, 6]
        assert [k for b in batches for k in b.column("key").to_pylist()] == [str(i) for i in range(20)]


# --- images ---------------------------------------------------------------------------------------------------------------


def test_images_by_path(folder: Any) -> None:
    """Paths start from the folder of the tables, or from the one that is named."""
    one, two = folder.image("img/1.png", 1), folder.image("other/img/1.png", 2)
    for path in both_forms(folder, "samples", [folder.sample("1", images=["img/1.png"] * 2), folder.sample("2")]):
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


# --- broken files ---------------------------------------------------------------------------------------------------------

LINES: dict[str, tuple[str, Any, list[str]]] = {
    "cut off": ("samples", '{"dataset": "Charts", "key": "1', ["line 2", "is no JSON", "cut off"]),
    "no object": ("samples", "[1, 2]", ["line 2", "is no JSON object but [1, 2]", "write an object"]),
    "a number": ("samples", "7", ["line 2", "is no JSON object but 7"]),
    "deep": ("samples", "[" * 100_000, ["line 2", "is no JSON"]),
    "twice": ("samples", '{"key": "1", "key": "2"}', ["line 2", "'key' stands twice in one object"]),
    "unknown": (
        "samples",
        {"quetsion": "?"},
        ["line 2", "unknown key 'quetsion'", "did you mean 'question'?", "fields"],
    ),
    "no key": ("samples", {"key": None}, ["line 2, column key", "is null", "give every row its key"]),
    "empty key": ("samples", {"key": ""}, ["line 2, column key", "is empty"]),
    "no dataset": ("samples", {"dataset": None}, ["line 2, column dataset", "is null"]),
    "no question": ("samples", {"question": None}, ["line 2, column question", "is null"]),
    "key is a number": ("samples", {"key": 7}, ["line 2, column key", "7 is not text"]),
    "surrogate": (
        "samples",
        '{"dataset": "Charts", "key": "\\ud800", "question": ""}',
        ["line 2, column key", "surrogate"],
    ),
    "options": ("samples", {"options": "A"}, ["column options", "'A' is not a list of texts or of {letter, text}"]),
    "mixed options": ("samples", {"options": ["a", {"letter": "B", "text": "b"}]}, ["column options", "is not a list"]),
    "option without text": ("samples", {"options": [{"letter": "A"}]}, ["column options", "is not a list"]),
    "many options": ("samples", {"options": ["x"] * 27}, ["column options", "more than 26"]),
    "one letter": (
        "samples",
        {"options": [{"letter": "A", "text": "x"}, {"letter": "A", "text": "y"}]},
        ["line 2, column options", "two options have one letter"],
    ),
    "no letter": ("samples", {"options": [{"letter": "", "text": "x"}]}, ["an option has no letter or no text"]),
    "fields": ("samples", {"fields": {"level": 3}}, ["column fields", "is not a map of text to text"]),
    "groups": ("samples", {"groups": "a"}, ["column groups", "'a' is not a list of texts"]),
    "split": ("samples", {"split": "val"}, ["line 2, column split", "'val' is no split", "write 'dev'"]),
    "other split": ("samples", {"split": "trian"}, ["'trian' is no split", "did you mean 'train'?"]),
    "image leaves": (
        "samples",
        {"images": ["../x.png"]},
        ["line 2, column images", "'../x.png' is outside the folder"],
    ),
    "image is absolute": ("samples", {"images": ["/etc/passwd"]}, ["'/etc/passwd' is outside the folder"]),
    "image by link": ("samples", {"images": ["link.png"]}, ["'link.png' is outside the folder", "keep images below"]),
    "image is absent": ("samples", {"images": ["no.png"]}, ["line 2, column images", "'no.png' is no file below"]),
    "image is a folder": ("samples", {"images": ["."]}, ["'.' is no file below"]),
    "image with NUL": ("samples", {"images": ["a\0b"]}, ["is no path: embedded null byte"]),
    "image too long": ("samples", {"images": ["a" * 5000]}, ["is no path", "File name too long"]),
    "image in a circle": ("samples", {"images": ["circle.png"]}, ["line 2, column images", "circle.png"]),
    "broken base64": ("samples", {"images": ["data:image/png;base64,@@"]}, ["is no valid base64"]),
    "empty base64": ("samples", {"images": ["data:image/png;base64,"]}, ["the image is empty"]),
    "data without base64": ("samples", {"images": ["data:text/plain,x"]}, ["is no data of base64"]),
    "images is a text": ("samples", {"images": "a.png"}, ["column images", "'a.png' is not a list of paths"]),
    "no model": ("outcomes", {"model": None}, ["line 2, column model", "is null", "give every row its model"]),
    "score 1.5": ("outcomes", {"score": 1.5}, ["line 2, column score", "1.5 is not in [0, 1]"]),
    "score -0.1": ("outcomes", {"score": -0.1}, ["line 2, column score", "-0.1 is not in [0, 1]"]),
    "score NaN": ("outcomes", {"score": float("nan")}, ["line 2, column score", "nan is not in [0, 1]", "write null"]),
    "score text": ("outcomes", {"score": "1"}, ["column score", "'1' is not a number in [0, 1], or true or false"]),
    "cost": ("outcomes", {"cost": -1}, ["line 2, column cost", "-1.0 is not a finite number of US dollars"]),
    "cost inf": ("outcomes", {"cost": float("inf")}, ["inf is not a finite number"]),
    "cost true": ("outcomes", {"cost": True}, ["column cost", "True is not a number"]),
    "cost too large": ("outcomes", {"cost": 10**400}, ["column cost", "is not a finite number"]),
    "tokens -1": ("outcomes", {"input_tokens": -1}, ["column input_tokens", "-1 is not a number of tokens"]),
    "tokens 1.5": ("outcomes", {"output_tokens": 1.5}, ["column output_tokens", "1.5 is not a whole number"]),
    "tokens NaN": ("outcomes", {"output_tokens": float("nan")}, ["column output_tokens", "nan is not"]),
    "tokens too many": ("outcomes", {"output_tokens": 2**60}, ["column output_tokens", "is not a number of tokens"]),
    "failed": ("outcomes", {"failed": 1}, ["column failed", "1 is not true or false"]),
    "nothing said": ("outcomes", {"score": None}, ["line 2, column score", "neither a score nor a prediction"]),
    "judged": ("outcomes", {"judged": ["a"]}, ["column judged", "is not a map of text to text"]),
    "rotation": ("outcomes", {"rotations": [{"key": "1"}]}, ["column rotations", "{key, prediction}"]),
}


@pytest.mark.parametrize("case", LINES, ids=str)
def test_broken_lines(folder: Any, case: str) -> None:
    """Each is named with file, line, column and value, and how to mend it; it is the second of three lines."""
    kind, change, pieces = LINES[case]
    (folder.path / "link.png").symlink_to("/etc/passwd")
    (folder.path / "circle.png").symlink_to(folder.path / "circle.png")
    make = folder.sample if kind == "samples" else folder.outcome
    middle = change if isinstance(change, str) else make("2") | change
    path = folder.jsonl(kind, [make("1"), middle, make("3")])
    error = folder.refused(path, kind)
    assert len(error.problems) == 1
    for piece in [str(path), *pieces, "fix: "]:
        assert piece in str(error)


TYPES: dict[str, tuple[str, str, Any, str]] = {
    "dataset": ("samples", "dataset", [1], "holds int64, must hold text"),
    "key": ("samples", "key", [1.5], "holds double, must hold text"),
    "question": ("samples", "question", pa.array([b"x"]), "holds binary, must hold text"),
    "options": ("samples", "options", [[1]], "must hold a list of texts or of {letter, text}"),
    "struct": ("samples", "options", [[{"letter": "A", "txt": "x"}]], "must hold a list of texts or of {letter, text}"),
    "images": ("samples", "images", ["a.png"], "holds string, must hold a list of paths (texts) or of image files"),
    "image structs": ("samples", "images", [[{"bytes": b"x"}]], "must hold a list of paths"),
    "fields": ("samples", "fields", [{"a": 1}], "must hold a map of text to text"),
    "map": ("samples", "fields", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "a map of text to text"),
    "groups": ("samples", "groups", [[1]], "must hold a list of texts"),
    "split": ("samples", "split", [True], "holds bool, must hold text: train, dev or test"),
    "rotations": ("samples", "rotations", [[{"key": "1"}]], "must hold a list of {key, options, answer}"),
    "model": ("outcomes", "model", [1], "holds int64, must hold text"),
    "score": ("outcomes", "score", ["1"], "holds string, must hold a number in [0, 1], or true or false"),
    "cost": ("outcomes", "cost", [True], "holds bool, must hold a number"),
    "tokens": ("outcomes", "input_tokens", ["7"], "holds string, must hold a whole number"),
    "failed": ("outcomes", "failed", [1], "holds int64, must hold true or false"),
}


@pytest.mark.parametrize("case", TYPES, ids=str)
def test_wrong_types(folder: Any, case: str) -> None:
    """A Parquet column of a wrong type is named with the type it has and the one it must have."""
    kind, column, values, message = TYPES[case]
    row = folder.sample() if kind == "samples" else folder.outcome(prediction="")
    path = folder.parquet(kind, {n: [v] for n, v in row.items()} | {column: values})
    error = folder.refused(path, kind)
    assert f"{path}, column {column}: " in str(error)
    assert message in str(error)
    assert "fix: write the column with another type" in str(error)


VALUES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "null key": ("samples", {"key": ["1", None, "3"]}, ["row 2, column key: is null"]),
    "empty dataset": ("samples", {"dataset": ["Charts", "", "Charts"]}, ["row 2, column dataset: is empty"]),
    "null question": ("samples", {"question": ["?", None, "?"]}, ["row 2, column question: is null"]),
    "null option": (
        "samples",
        {"options": [["a"], [None], ["b"]]},
        ["row 2, column options: an option has no letter or no text"],
    ),
    "many options": (
        "samples",
        {"options": [["a"], ["b"] * 27, []]},
        ["row 2, column options: there are more than 26"],
    ),
    "null letter": (
        "samples",
        {"options": [[], [{"letter": "A", "text": None}], [{"letter": "A", "text": "x"}]]},
        ["row 2, column options: an option has no letter or no text"],
    ),
    "letters": (
        "samples",
        {"options": [[], [{"letter": "A", "text": "x"}, {"letter": "A", "text": "y"}], None]},
        ["row 2, column options: two options have one letter"],
    ),
    "null group": ("samples", {"groups": [["a"], ["b", None], []]}, ["row 2, column groups: the list holds a null"]),
    "split": ("samples", {"split": ["dev", "tset", None]}, ["row 2, column split: 'tset' is no split", "'test'?"]),
    "empty image": ("samples", {"images": [[b"x"], [b""], None]}, ["row 2, column images: an image is empty"]),
    "null image": ("samples", {"images": [[b"x"], [None], None]}, ["row 2, column images: the list holds a null"]),
    "no image": ("samples", {"images": [None, ["x.png"], None]}, ["row 2, column images: 'x.png' is no file below"]),
    "null model": ("outcomes", {"model": ["a", None, "b"]}, ["row 2, column model: is null"]),
    "NaN score": ("outcomes", {"score": [0.0, float("nan"), 1.0]}, ["row 2, column score: nan is not in [0, 1]"]),
    "score 100": ("outcomes", {"score": [0, 100, 1]}, ["row 2, column score: 100.0 is not in [0, 1]"]),
    "cost": ("outcomes", {"cost": [0.0, -0.5, None]}, ["row 2, column cost: -0.5 is not a finite number"]),
    "infinite cost": ("outcomes", {"cost": [0.0, float("inf"), None]}, ["row 2, column cost: inf is not"]),
    "tokens": ("outcomes", {"input_tokens": [1, -5, None]}, ["row 2, column input_tokens: -5 is no number of tokens"]),
    "half a token": ("outcomes", {"output_tokens": [1.0, 2.5, None]}, ["column output_tokens: 2.5 is no number"]),
    "NaN tokens": ("outcomes", {"output_tokens": [1.0, float("nan"), 3.0]}, ["column output_tokens: nan is no number"]),
    "too many": (
        "outcomes",
        {"output_tokens": pa.array([1, 2**64 - 1, 3], pa.uint64())},
        ["row 2, column output_tokens: 18446744073709551615 is no number of tokens"],
    ),
    "nothing": (
        "outcomes",
        {"score": [1.0, None, None], "prediction": ["", None, "x"]},
        ["row 2, column score: there is neither a score nor a prediction"],
    ),
}


@pytest.mark.parametrize("case", VALUES, ids=str)
def test_broken_rows(folder: Any, case: str) -> None:
    """Each is named with file, row, column and value."""
    kind, change, pieces = VALUES[case]
    rows = [folder.sample(k) if kind == "samples" else folder.outcome(k) for k in "123"]
    columns = {n: [r[n] for r in rows] for n in rows[0]}
    path = folder.parquet(kind, columns | change)
    error = folder.refused(path, kind)
    assert len(error.problems) == 1
    for piece in pieces:
        assert piece in str(error)
    assert str(path) in str(error)
    assert "fix: " in str(error)


def parquet_faults(folder: Any) -> dict[str, tuple[Any, list[str]]]:
    """Return files of outcomes that are wrong as a whole, and what is said of them."""
    rows = pa.Table.from_pylist([folder.outcome()])
    whole = folder.parquet("whole", pa.Table.from_pylist([folder.outcome(str(i)) for i in range(5000)])).read_bytes()
    damaged = whole[:40] + bytes(200) + whole[240:]
    bad = pa.array([b"\xff"]).view(pa.string())
    return {
        "version": (rows.replace_schema_metadata({"vlrb.records": "2"}), ["follows version '2'", "reads '1'"]),
        "unknown": (rows.append_column("scroe", [[1.0]]), ["unknown column 'scroe'", "did you mean 'score'?"]),
        "index": (rows.append_column("__index_level_0__", [[1]]), ["unknown column '__index_level_0__'"]),
        "missing": (rows.drop_columns(["model", "key"]), ["has no column 'model'", "has no column 'key'"]),
        "no verdict": (rows.drop_columns(["score"]), ["neither a column 'score' nor a column 'prediction'"]),
        "no rows": (rows.slice(0, 0), ["holds no rows"]),
        "twice": (rows.append_column("key", [["1"]]), ["has several columns 'key'"]),
        "cut": (whole[:-20], ["is no readable Parquet file", "write or copy the file again"]),
        "empty": (b"", ["is no readable Parquet file"]),
        "other": (b"PK\x03\x04 not Parquet", ["is no readable Parquet file"]),
        "damaged": (damaged, ["fix: "]),
        "encoding": (
            rows.append_column("prediction", [bad]),
            ["column prediction: cannot be read", "UTF8", "rows 1 to 1"],
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "version",
        "unknown",
        "index",
        "missing",
        "no verdict",
        "no rows",
        "twice",
        "cut",
        "empty",
        "other",
        "damaged",
        "encoding",
    ],
)
def test_broken_parquet_files(folder: Any, case: str) -> None:
    """What is wrong with the file as a whole is told before any row is handed on."""
    content, pieces = parquet_faults(folder)[case]
    path = folder.path / "outcomes.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    error = folder.refused(path, "outcomes")
    for piece in [str(path), *pieces]:
        assert piece in str(error)


def test_several_problems_are_told_together(folder: Any) -> None:
    """Up to a limit, after which reading stops; of one fault in one column, the first rows and their number."""
    path = folder.parquet("outcomes", pa.Table.from_pylist([folder.outcome(str(i), score=float(i)) for i in range(40)]))
    error = folder.refused(path, "outcomes")
    assert len(error.problems) == checks.SHOWN_ROWS + 1
    assert "35 more rows up to row 40 are like this" in str(error)
    path = folder.jsonl("outcomes", ["{"] * 50)
    error = folder.refused(path, "outcomes")
    assert len(error.problems) == 21
    assert "reading stopped after 20 problems" in str(error)


def test_nothing_is_handed_on_after_a_problem(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later blocks are looked at only for further problems."""
    monkeypatch.setattr(jsonl, "BATCH_ROWS", 2)
    rows = [folder.outcome(str(i)) for i in range(6)]
    rows[2]["score"], rows[4]["cost"] = 2.0, -1.0
    path = folder.jsonl("outcomes", rows)
    part = folder.source(samples=path, outcomes=path).list(folder.catalog).parts[1]
    got = []
    with pytest.raises(DataError) as caught:
        for batch in folder.source().read(part, folder.catalog):
            got.append(batch.num_rows)  # noqa: PERF401
    assert got == [2]
    assert len(caught.value.problems) == 2


def test_a_line_that_is_too_long(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without line breaks is not taken into memory."""
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 100)
    path = folder.jsonl("samples", [folder.sample(hint="x" * 200)])
    assert "line 1: is longer than 100 bytes" in str(folder.refused(path, "samples"))


def test_an_image_that_is_too_large(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is looked at before it is read."""
    from vlrb_plugins.records import images

    monkeypatch.setattr(images, "LARGEST_IMAGE", 10)
    folder.image("a.png")
    path = folder.jsonl("samples", [folder.sample(images=["a.png"])])
    assert "'a.png' is larger than 10 bytes" in str(folder.refused(path, "samples"))


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
