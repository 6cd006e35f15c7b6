"""Tables as text: TSV files and JSON lists of results."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlrb.errors import DataError
from vlrb_plugins.shared.log_tables.texts import python_literal
from vlrb_plugins.vlmevalkit import texts

TEXTS = [
    "None",
    "NA",
    "nan",
    "007",
    "3.0",
    "1e3",
    "True",
    " A ",
    "a\nb",
    "a\r\nb",
    "a\tb",
    'say "a"',
    "\0",
    "=1+1",
    "_x000D_",
]


@pytest.mark.parametrize("said", TEXTS)
@pytest.mark.parametrize("extension", [".tsv", ".json"])
def test_texts_are_kept(logs: Any, said: str, extension: str) -> None:
    """What a reader that guesses types would change is an answer as it stands, in either format."""
    if extension == ".tsv":
        path = logs.tsv("x.tsv", [{"index": "1", "prediction": said}])
    else:
        path = logs.text("x.json", json.dumps([{"index": 1, "prediction": said}]))
    assert [row["prediction"] for row in logs.outcomes(path)] == [said]


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_empty_cells_of_json(logs: Any) -> None:
    """VLMEvalKit writes gaps as bare NaN, which is not JSON: they are empty texts, as null is."""
    path = logs.text("x.json", '[{"index": 1, "prediction": NaN}, {"index": 2, "prediction": null}]')
    assert [row["prediction"] for row in logs.outcomes(path)] == ["", ""]


@pytest.mark.parametrize(
    ("index", "key"), [("12", "12"), ("12.0", "12"), ('"12.0"', "12"), ('"a b"', "a b"), ("1e2", "100")]
)
def test_indices_of_json(logs: Any, index: str, key: str) -> None:
    """An index names the same sample whatever type it is written in."""
    path = logs.text("x.json", f'[{{"index": {index}, "prediction": "A"}}]')
    assert [row["key"] for row in logs.outcomes(path)] == [key]


def test_lists_in_json(logs: Any) -> None:
    """Gold answers and choices may be lists: they are what their literals in a TSV file are."""
    row = {"index": 1, "question": "?", "choices": ["x", "y"], "answer": ["a", "b"], "prediction": "A"}
    sample = logs.samples(logs.text("x.json", json.dumps([row])))["1"]
    assert sample["answer"] == "['a', 'b']"
    assert [option["text"] for option in sample["options"]] == ["x", "y"]


def test_halves_of_characters(logs: Any) -> None:
    """A lone surrogate, at which VLMEvalKit's own writers fail, becomes U+FFFD and is counted; a pair is a character."""
    path = logs.text("x.json", '[{"index": 1, "prediction": "a\\ud83d"}, {"index": 2, "prediction": "\\ud83d\\ude00"}]')
    assert [row["prediction"] for row in logs.outcomes(path)] == ["a\ufffd", "\U0001f600"]
    assert logs.counts(path) == {"texts with half of a character (a lone surrogate), which became U+FFFD": 1}


def test_objects_that_lack_a_key(logs: Any, refused: Any) -> None:
    """A key that other objects have is missed when its column is read, and not before."""
    path = logs.text("x.json", '[{"index": 1, "prediction": "A", "log": "x"}, {"index": 2, "prediction": "B"}]')
    assert len(logs.outcomes(path)) == 2
    path = logs.text("x.json", '[{"index": 1, "prediction": "A"}, {"index": 2}]')
    with refused("'prediction'", "object 2 does not have it", place=path, fix="plain values"):
        logs.outcomes(path)


def test_a_key_that_stands_twice(logs: Any, refused: Any) -> None:
    """Of two values under one key none wins."""
    path = logs.text("x.json", '[{"index": 1, "prediction": "A", "prediction": "B"}]')
    with refused("one key twice", "index, prediction, prediction", place=path, fix="again"):
        logs.outcomes(path)


# --- TSV --------------------------------------------------------------------------------------------------------------


def test_blank_lines_are_no_rows(logs: Any) -> None:
    """A blank line, at the end or between rows, holds nothing; lines are counted with it."""
    path = logs.text("x.tsv", "index\tprediction\n\n1\tA\n\n2\tB\n\n")
    assert [row["key"] for row in logs.outcomes(path)] == ["1", "2"]
    assert texts.read_tsv_table(path).where(1) == f"{path}, line 5"


@given(
    text=st.lists(
        st.sampled_from(["a", "b", '"', '""', "\t", "\n", "\r", "\r\n", "\0", "\x0b", "\x1c", "\u2028", "é"]),
        max_size=25,
    ).map("".join)
)
@example(text='h1\th2\n""\n')
@example(text='"a\nb"\tc\r\n\r\nd\te')
def test_lines_are_those_of_the_csv_module(text: str) -> None:
    """Lines that are split directly, and those that need more, come as Python's own reader gives them, blank lines aside."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.tsv"
        path.write_text(text, encoding="utf-8", newline="")
        expected: list[Any] = []
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.reader(file, delimiter="\t", strict=True)
                expected = [(cells, reader.line_num) for cells in reader if cells]
        except csv.Error:
            with pytest.raises(DataError, match="broken or cut off"):
                list(texts.tsv_lines(path))
            return
        assert list(texts.tsv_lines(path)) == expected


def test_a_byte_order_mark(logs: Any) -> None:
    """A mark before the first name is not part of it, in either format."""
    for name, text in (("x.tsv", "index\tprediction\n1\tA\n"), ("x.json", '[{"index": 1, "prediction": "A"}]')):
        assert logs.outcomes(logs.text(name, "\ufeff" + text))[0]["prediction"] == "A"


@pytest.mark.parametrize("extension", [".tsv", ".json"])
def test_large_files(logs: Any, refused: Any, monkeypatch: Any, extension: str) -> None:
    """A file that is too large for memory is refused before it is read."""
    path = logs.text(f"x{extension}", "index\tprediction\n1\tA\n")
    monkeypatch.setattr(texts, "MAX_BYTES", 10)
    with refused("21 bytes", "limit of 10", place=path, fix="split it"):
        logs.outcomes(path)


# --- literals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "",
        "[",
        "a",
        "f()",
        "__import__('os')",
        "{[]}",
        "[{[]: 1}]",
        "(" * 9999,
        "9" * 9999,
        "\0",
        "\ud800",
        "[1 2]",
        "1or 2",
    ],
)
def test_what_is_no_literal(source: str) -> None:
    """Whatever is wrong with a literal is one error; nothing runs, and nothing warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError):
            python_literal(source)


@pytest.mark.parametrize(
    ("source", "value"), [(r"['\d', '\\frac']", [r"\d", r"\frac"]), ("[0.0, 1]", [0.0, 1]), ("1", 1)]
)
def test_literals(source: str, value: object) -> None:
    """LaTeX in a list literal needs no doubled backslashes, and warns of nothing."""
    assert python_literal(source) == value
