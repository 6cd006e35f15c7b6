"""The log source ``records``: what is said of files that are broken."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb.api.schemas import TEXTS
from vlrb.errors import DataError
from vlrb_plugins.records import checks, jsonl
from vlrb_plugins.shared.log_tables import image_files, json_lines

LINES: dict[str, tuple[str, Any, list[str]]] = {
    "cut off": ("samples", '{"dataset": "Charts", "key": "1', ["line 2", "is not JSON", "cut off"]),
    "no object": ("samples", "[1, 2]", ["line 2", "is not a JSON object but [1, 2]", "write an object"]),
    "a number": ("samples", "7", ["line 2", "is not a JSON object but 7"]),
    "deep": ("samples", "[" * 100_000, ["line 2", "is not JSON"]),
    "twice": ("samples", '{"key": "1", "key": "2"}', ["line 2", "'key' appears twice in one object"]),
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
    "split": ("samples", {"split": "val"}, ["line 2, column split", "'val' is not a split", "write 'dev'"]),
    "other split": ("samples", {"split": "trian"}, ["'trian' is not a split", "did you mean 'train'?"]),
    "image leaves": (
        "samples",
        {"images": ["../x.png"]},
        ["line 2, column images", "'../x.png' is outside the folder"],
    ),
    "image is absolute": ("samples", {"images": ["/etc/passwd"]}, ["'/etc/passwd' is outside the folder"]),
    "image by link": ("samples", {"images": ["link.png"]}, ["'link.png' is outside the folder", "keep images below"]),
    "image is absent": ("samples", {"images": ["no.png"]}, ["line 2, column images", "'no.png' is not a file below"]),
    "image is a folder": ("samples", {"images": ["."]}, ["'.' is not a file below"]),
    "image with NUL": ("samples", {"images": ["a\0b"]}, ["is not a path: embedded null byte"]),
    "image too long": ("samples", {"images": ["a" * 5000]}, ["is not a path", "File name too long"]),
    "image in a circle": ("samples", {"images": ["circle.png"]}, ["line 2, column images", "circle.png"]),
    "broken base64": ("samples", {"images": ["data:image/png;base64,@@"]}, ["is not valid base64"]),
    "empty base64": ("samples", {"images": ["data:image/png;base64,"]}, ["the image is empty"]),
    "data without base64": ("samples", {"images": ["data:text/plain,x"]}, ["is not base64 data"]),
    "images is a text": ("samples", {"images": "a.png"}, ["column images", "'a.png' is not a list of paths"]),
    "no model": ("outcomes", {"model": None}, ["line 2, column model", "is null", "give every row its model"]),
    "score 85": ("outcomes", {"score": 85}, ["85.0 is not in [0, 1]", "divide all of them by 100"]),
    "key 7": ("outcomes", {"key": 7}, ["line 2, column key", "7 is not text", 'in quotation marks: "7"']),
    "score 1.5": ("outcomes", {"score": 1.5}, ["line 2, column score", "1.5 is not in [0, 1]"]),
    "score -0.1": ("outcomes", {"score": -0.1}, ["line 2, column score", "-0.1 is not in [0, 1]"]),
    "score NaN": ("outcomes", {"score": float("nan")}, ["line 2, column score", "nan is not in [0, 1]", "write null"]),
    "score text": ("outcomes", {"score": "1"}, ["column score", "'1' is not a number in [0, 1], or true or false"]),
    "cost": ("outcomes", {"cost": -1}, ["line 2, column cost", "-1.0 is not between 0 and 1,000,000,000 US dollars"]),
    "cost inf": ("outcomes", {"cost": float("inf")}, ["inf is not between 0 and"]),
    "cost 1e308": ("outcomes", {"cost": 1e308}, ["line 2, column cost", "1e+308 is not between 0 and"]),
    "tokens 2**53": ("outcomes", {"input_tokens": 2**53}, ["line 2, column input_tokens", "is not a number of tokens"]),
    "cost true": ("outcomes", {"cost": True}, ["column cost", "True is not a number"]),
    "cost too large": ("outcomes", {"cost": 10**400}, ["column cost", "is not a finite number"]),
    "tokens -1": ("outcomes", {"input_tokens": -1}, ["column input_tokens", "-1 is not a number of tokens"]),
    "tokens 1.5": ("outcomes", {"output_tokens": 1.5}, ["column output_tokens", "1.5 is not a whole number"]),
    "tokens NaN": ("outcomes", {"output_tokens": float("nan")}, ["column output_tokens", "nan is not"]),
    "tokens too many": ("outcomes", {"output_tokens": 2**60}, ["column output_tokens", "is not a number of tokens"]),
    "failed": ("outcomes", {"failed": 1}, ["column failed", "1 is not true or false"]),
    "nothing said": ("outcomes", {"score": None}, ["line 2, column score", "neither a score nor a prediction"]),
    "judged": ("outcomes", {"judged": ["a"]}, ["column judged", "is not a map of text to text"]),
    "rotation key": (
        "outcomes",
        {"rotations": [{"key": "", "prediction": "A"}]},
        ["line 2, column rotations", "a rotation lacks its key or its prediction"],
    ),
    "rotation twice": (
        "outcomes",
        {"rotations": [{"key": "1", "prediction": "A"}, {"key": "1", "prediction": "B"}]},
        ["line 2, column rotations", "two rotations have one key"],
    ),
    "rotation": ("outcomes", {"rotations": [{"key": "1"}]}, ["column rotations", "{key, prediction}"]),
}


@pytest.mark.parametrize("case", LINES, ids=str)
def test_broken_lines(folder: Any, case: str) -> None:
    """Each is named with file, line, column and value, and a fix; it is the second of three lines."""
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


OPTIONS = [{"letter": "A", "text": "x"}]
ROTATION = [{"key": "1", "options": OPTIONS, "answer": "A"}]
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
    "split": ("samples", {"split": ["dev", "tset", None]}, ["row 2, column split: 'tset' is not a split", "'test'?"]),
    "empty image": ("samples", {"images": [[b"x"], [b""], None]}, ["row 2, column images: an image is empty"]),
    "null image": ("samples", {"images": [[b"x"], [None], None]}, ["row 2, column images: the list holds a null"]),
    "no image": ("samples", {"images": [None, ["x.png"], None]}, ["row 2, column images: 'x.png' is not a file below"]),
    "name twice": (
        "samples",
        {"fields": pa.array([[], [("a", "1"), ("b", "1"), ("a", "2")], [("a", "1")]], TEXTS)},
        ["row 2, column fields: a name stands twice in the map"],
    ),
    "judged twice": (
        "outcomes",
        {"judged": pa.array([None, [("a", "1"), ("a", "1")], [("a", "1")]], TEXTS)},
        ["row 2, column judged: a name stands twice in the map"],
    ),
    "rotation without answer": (
        "samples",
        {"rotations": [None, [{"key": "1", "options": [], "answer": None}], ROTATION]},
        ["row 2, column rotations: a rotation lacks its key or its options or its answer"],
    ),
    "rotation without options": (
        "samples",
        {"rotations": [ROTATION, [{"key": "1", "options": None, "answer": "A"}], ROTATION]},
        ["row 2, column rotations: a rotation lacks its key or its options or its answer"],
    ),
    "rotation with a letter twice": (
        "samples",
        {"rotations": [ROTATION, [*ROTATION, {"key": "2", "options": OPTIONS * 2, "answer": "A"}], ROTATION]},
        ["row 2, column rotations: two options have one letter"],
    ),
    "null rotation": (
        "samples",
        {"rotations": [ROTATION, [None], None]},
        ["row 2, column rotations: the list holds a null"],
    ),
    "rotation without prediction": (
        "outcomes",
        {"rotations": [[{"key": "1", "prediction": ""}], [{"key": "1", "prediction": None}], None]},
        ["row 2, column rotations: a rotation lacks its key or its prediction"],
    ),
    "null model": ("outcomes", {"model": ["a", None, "b"]}, ["row 2, column model: is null"]),
    "NaN score": ("outcomes", {"score": [0.0, float("nan"), 1.0]}, ["row 2, column score: nan is not in [0, 1]"]),
    "score 100": ("outcomes", {"score": [0, 100, 1]}, ["row 2, column score: 100.0 is not in [0, 1]"]),
    "cost": ("outcomes", {"cost": [0.0, -0.5, None]}, ["row 2, column cost: -0.5 is not between 0 and"]),
    "cost 1e308": ("outcomes", {"cost": [0.0, 1e308, None]}, ["row 2, column cost: 1e+308 is not between 0 and"]),
    "tokens 2**53": (
        "outcomes",
        {"input_tokens": [1, 2**53, None]},
        ["row 2, column input_tokens: 9007199254740992 is no"],
    ),
    "infinite cost": ("outcomes", {"cost": [0.0, float("inf"), None]}, ["row 2, column cost: inf is not"]),
    "tokens": (
        "outcomes",
        {"input_tokens": [1, -5, None]},
        ["row 2, column input_tokens: -5 is not a number of tokens"],
    ),
    "half a token": ("outcomes", {"output_tokens": [1.0, 2.5, None]}, ["column output_tokens: 2.5 is not a number"]),
    "NaN tokens": (
        "outcomes",
        {"output_tokens": [1.0, float("nan"), 3.0]},
        ["column output_tokens: nan is not a number"],
    ),
    "too many": (
        "outcomes",
        {"output_tokens": pa.array([1, 2**64 - 1, 3], pa.uint64())},
        ["row 2, column output_tokens: 18446744073709551615 is not a number of tokens"],
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
        "cut": (whole[:-20], ["is not a readable Parquet file", "write or copy the file again"]),
        "empty": (b"", ["is not a readable Parquet file"]),
        "other": (b"PK\x03\x04 not Parquet", ["is not a readable Parquet file"]),
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
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 100)
    path = folder.jsonl("samples", [folder.sample(hint="x" * 200)])
    assert "line 1: is longer than 100 bytes" in str(folder.refused(path, "samples"))


def test_an_image_that_is_too_large(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is looked at before it is read."""
    monkeypatch.setattr(image_files, "LARGEST_IMAGE_FILE", 10)
    folder.image("a.png")
    path = folder.jsonl("samples", [folder.sample(images=["a.png"])])
    assert "'a.png' is larger than 10 bytes" in str(folder.refused(path, "samples"))
