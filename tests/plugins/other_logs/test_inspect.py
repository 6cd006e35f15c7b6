"""The log source ``inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlrb.errors import DataError
from vlrb_plugins.other_logs import json_object
from vlrb_plugins.other_logs.json_object import json_members

USER = {"role": "user", "source": "input"}


def test_samples(logs: Any) -> None:
    """Question, choices, gold answer, and the fields that the table names."""
    logs.inspect([logs.sample(1, choices=["a cat", "a dog"]), logs.sample("x", target=["a", "b"])])
    first, second = logs.read("inspect", "samples", table={"fields": {"figure": "metadata.figure"}})
    assert first == {
        "dataset": "Charts",
        "key": "1",
        "question": "Question 1?",
        "options": [{"letter": "A", "text": "a cat"}, {"letter": "B", "text": "a dog"}],
        "hint": None,
        "answer": "B",
        "images": [],
        "fields": [("figure", "f1")],
    }
    assert (second["key"], second["answer"], second["options"]) == ("x", '["a", "b"]', None)


def test_outcomes(logs: Any) -> None:
    """Answer, verdict and tokens, those read from a cache included."""
    path = logs.inspect([logs.sample()])
    (batch,) = logs.batches("inspect", "outcomes")
    assert batch.to_pylist() == [
        {
            "dataset": "Charts",
            "key": "1",
            "prediction": "B, of course",
            "score": 1.0,
            "input_tokens": 310,
            "output_tokens": 7,
            "cost": None,
            "thinking": None,
        }
    ]
    assert batch.schema.metadata[b"verdict"].decode() == f"score match of {path}"


@pytest.mark.parametrize(
    ("value", "score"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), ("Yes", 1.0), ("FALSE", 0.0), (True, 1.0), (0.25, 0.25), (1, 1.0)],
)
def test_verdicts(logs: Any, value: Any, score: float) -> None:
    """What inspect_ai's own metrics make of a value."""
    logs.inspect([logs.sample(scores={"match": {"value": value}})])
    assert [r["score"] for r in logs.read("inspect", "outcomes")] == [score]


def test_values_of_several(logs: Any) -> None:
    """A score of several values needs one to be named, and may be divided by its highest."""
    logs.inspect([logs.sample()])
    table = {"score": "rubric", "value": "style", "highest": 4}
    assert [r["score"] for r in logs.read("inspect", "outcomes", table=table)] == [0.75]
    assert "'right', 'style'" in logs.refused("inspect", table={"score": "rubric"})
    assert "not several values" in logs.refused("inspect", table={"value": "style"})
    assert "not between 0 and 1" in logs.refused("inspect", table={"score": "rubric", "value": "style"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": {"match": {"value": "c"}}}, "'scores.match.value' is 'c', which is not a score"),
        ({"scores": {"match": {"value": float("inf")}}}, "not between 0 and 1"),
        ({"scores": {"match": {"value": ["C"]}}}, "which is not a score"),
        ({"scores": {"other": {"value": "C"}}}, "has no score 'match'"),
        ({"scores": None}, "has no score 'match'"),
        ({"id": None}, "'id' is None"),
        ({"output": {"choices": [{"message": {"content": [3]}}]}}, "is not a list of parts"),
        ({"model_usage": {"org/large": {"input_tokens": 1.5}}}, "is 1.5, which is not a number of tokens"),
    ],
)
def test_answers_that_are_refused(logs: Any, changes: dict[str, Any], message: str) -> None:
    """With file and number of the sample."""
    path = logs.inspect([logs.sample(0), logs.sample(1, **changes)])
    shown = logs.refused("inspect")
    assert message in shown
    assert f"{path}, sample 2" in shown


def test_samples_that_failed_or_were_not_scored(logs: Any) -> None:
    """A failed sample has no answer, one that its scorer left unscored has no verdict; both are counted."""
    unscored = logs.sample(2, scores={"match": {"value": float("nan")}})
    logs.inspect([logs.sample(1, error={"message": "timeout"}, scores=None), unscored])
    (outcome,) = logs.read("inspect", "outcomes")
    assert (outcome["key"], outcome["score"]) == ("2", None)
    assert logs.counts("inspect", "outcomes") == {
        "samples that ended with an error, left out": 1,
        "answers that their scorer left unscored": 1,
    }
    assert len(logs.read("inspect", "samples")) == 2


def test_reasoning_and_several_parts(logs: Any) -> None:
    """Reasoning costs tokens and is not the answer; an output without a message is not an answer."""
    parts = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "B"}, {"type": "text", "text": "!"}]
    redacted = [{"type": "reasoning", "reasoning": "xyz", "redacted": True, "summary": "It is B."}]
    contents = [parts, redacted, None]
    outputs = [{"choices": [{"message": {"content": c}}] if c else []} for c in contents]
    logs.inspect([logs.sample(i, output=o) for i, o in enumerate([*outputs, {"completion": "whole", "choices": []}])])
    rows = logs.read("inspect", "outcomes")
    assert [(r["prediction"], r["thinking"]) for r in rows] == [
        ("B\n!", "Hm."),
        ("", "It is B."),
        (None, None),
        ("whole", None),
    ]


def test_usage(logs: Any) -> None:
    """Where the last output and the sample took other tokens, the table says which count."""
    calls = {"org/large": {"input_tokens": 900, "output_tokens": 50}, "org/judge": {"input_tokens": 1}}
    logs.inspect([logs.sample(model_usage=calls)])
    assert "the last output took 310 and 7 tokens, all calls 900 and 50" in logs.refused("inspect")
    for usage, tokens in (("output", (310, 7)), ("sample", (900, 50))):
        (row,) = logs.read("inspect", "outcomes", table={"usage": usage})
        assert (row["input_tokens"], row["output_tokens"]) == tokens
    logs.inspect([logs.sample(model_usage={}, output={"completion": "B"})])
    (row,) = logs.read("inspect", "outcomes")
    assert (row["input_tokens"], row["output_tokens"]) == (None, None)


def test_messages(logs: Any) -> None:
    """One message is the question; of several, the table says which are."""
    several = [{"role": "system", "content": "Be brief."}, USER | {"content": "Q1"}, USER | {"content": "Q2"}]
    logs.inspect([logs.sample(input=several)])
    assert "'input' has 3 messages: system, user, user" in logs.refused("inspect", "samples")
    for wanted, question in (("user", "Q1\nQ2"), ("last", "Q2"), ("all", "Be brief.\nQ1\nQ2")):
        (sample,) = logs.read("inspect", "samples", table={"messages": wanted})
        assert sample["question"] == question


def test_images(logs: Any) -> None:
    """As base64, as an attachment, and as a path below the folder; other parts are counted."""
    (logs.path / "figures").mkdir()
    (logs.path / "figures" / "2.png").write_bytes(logs.png(2))
    images = [logs.data_uri(0), "attachment://abc", "2.png"]
    parts = [{"type": "text", "text": "What?"}, *({"type": "image", "image": i} for i in images), {"type": "audio"}]
    logs.inspect([logs.sample(input=[USER | {"content": parts}], attachments={"abc": logs.data_uri(1)})])
    params = {"image_folder": logs.path / "figures"}
    (batch,) = logs.batches("inspect", "samples", **params)
    assert batch.column("images").to_pylist() == [[logs.png(0), logs.png(1), logs.png(2)]]
    assert json.loads(batch.schema.metadata[b"files"]) == [str(logs.path / "figures" / "2.png")]
    assert logs.counts("inspect", "samples", **params) == {
        "parts of questions that are neither text nor image, left out": 1
    }
    (without,) = logs.read("inspect", "samples", images="none")
    assert (without["images"], without["question"]) == ([], "What?")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("<base64-data-removed>", "the image was not logged"),
        ("https://example.org/a.png", "nothing is downloaded"),
        ("attachment://no", "'attachments.no' is"),
        ("data:image/png;base64,@@", "not valid base64"),
        ("data:image/png,x", "is not base64 data"),
        ("../a.png", "is outside the folder"),
        (3.5, "'image' is 3.5"),
    ],
)
def test_images_that_are_refused(logs: Any, image: Any, message: str) -> None:
    """With the way out, which is another log or images = "none"."""
    logs.inspect([logs.sample(input=[USER | {"content": [{"type": "image", "image": image}]}])])
    assert message in logs.refused("inspect", "samples")


@pytest.mark.parametrize(
    "given", [None, [], [3], [{"role": "user"}], [USER | {"content": [3]}], [USER | {"content": [{"type": "text"}]}]]
)
def test_questions_that_are_refused(logs: Any, given: Any) -> None:
    """An input that is neither a text nor messages as inspect_ai writes them."""
    logs.inspect([logs.sample(input=given)])
    assert ", sample 1 | " in logs.refused("inspect", "samples")


def test_epochs(logs: Any) -> None:
    """Several answers of a model to one sample: the table names an epoch, which must be there."""
    logs.inspect([logs.sample(), logs.sample(epoch=2, scores={"match": {"value": "I"}})])
    assert "the samples have several epochs: 1, 2" in logs.refused("inspect")
    assert [r["score"] for r in logs.read("inspect", "outcomes", table={"epoch": 2})] == [0.0]
    assert "has no sample of epoch 3" in logs.refused("inspect", table={"epoch": 3})


def test_files_passed_over(logs: Any) -> None:
    """Unfinished and invalidated logs, other JSON files and the binary form, with the reason; only these is an error."""
    logs.inspect([], name="failed.json", status="error")
    logs.inspect([], name="bad.json", invalidated=True)
    (logs.path / "listing.json").write_text('{"a.eval": {}}', encoding="utf-8")
    (logs.path / "list.json").write_text("[1]", encoding="utf-8")
    (logs.path / "a.eval").write_bytes(b"PK")
    assert "inspect log convert" in logs.refused("inspect")
    logs.inspect([logs.sample()])
    listing = logs.source("inspect").list(logs.catalog)
    reasons = {Path(p).name: why for p, why in listing.ignored.items()}
    assert reasons["failed.json"] == "its status is 'error'"
    assert reasons["bad.json"] == "it was invalidated"
    assert set(reasons) == {"failed.json", "bad.json", "listing.json", "list.json", "a.eval"}
    assert [p.model for p in listing.parts] == ["", "large"]


def test_two_logs_of_a_model_and_task(logs: Any) -> None:
    """The newest is that of the latest time, whatever its offset from UTC."""
    new = logs.inspect([logs.sample()], name="a.json", head={"created": "2026-09-01T11:00:00+00:00"})
    logs.inspect([logs.sample()], name="b.json", head={"created": "2026-09-01T12:00:00+02:00"})
    assert "2 logs hold the answers" in logs.refused("inspect")
    parts = logs.source("inspect", runs="newest").list(logs.catalog).parts
    assert {f for p in parts for f in p.files} == {new}
    logs.inspect([], name="c.json", head={"created": "yesterday"})
    assert "'yesterday', which is not a time" in logs.refused("inspect")


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.9, 0.999])
def test_a_log_that_was_cut_off(logs: Any, cut: float) -> None:
    """Whether in its head or in its samples, it is an error with the place, never fewer samples."""
    path = logs.inspect([logs.sample(i) for i in range(5)])
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: int(len(text) * cut)], encoding="utf-8")
    message = logs.refused("inspect")
    assert "is not JSON" in message
    assert f"{path}, character" in message


def test_a_sample_beyond_the_limit(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log may be of any size, a sample of it may not."""
    monkeypatch.setattr(json_object, "LONGEST_LINE", 3000)
    monkeypatch.setattr(json_object, "_PIECE", 64)
    logs.inspect([logs.sample(i) for i in range(9)])
    assert len(logs.read("inspect", "outcomes")) == 9
    logs.inspect([logs.sample(), logs.sample(2, input="x" * 3000)])
    assert "a value is longer than 3,000 characters" in logs.refused("inspect")


def test_odd_members(logs: Any) -> None:
    """Members in another order, repeated samples, samples that are not objects."""
    logs.inspect([logs.sample(), logs.sample()])
    assert "sample '1' is already there" in logs.refused("inspect")
    logs.inspect([logs.sample(), 3])
    assert "is not a JSON object but 3" in logs.refused("inspect")
    path = logs.inspect([logs.sample()])
    members = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({"samples": members.pop("samples")} | members), encoding="utf-8")
    assert "holds no finished log" in logs.refused("inspect")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.dictionaries(st.text(max_size=5), JSON, max_size=5),
    elements=st.lists(JSON, max_size=5),
    piece=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_members_are_those_of_the_object(
    tmp_path: Path, members: dict[str, Any], elements: list[Any], piece: int, indent: int | None, ascii_only: bool
) -> None:
    """However the text is cut into pieces, the same values come out as by decoding it as a whole; a cut-off text is an error."""
    path = tmp_path / "a.json"
    whole = {**members, "samples": elements, "z": 12}
    try:
        text = json.dumps(whole, indent=indent, ensure_ascii=ascii_only)
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_object, "_PIECE", piece)
        found = list(json_members(path, "samples"))
        assert [v for n, _, v in found if n == "samples"] == elements
        assert {n: v for n, _, v in found if n != "samples"} == {n: v for n, v in whole.items() if n != "samples"}
        path.write_text(text[: max(1, len(text) * piece // 41)], encoding="utf-8")
        with pytest.raises(DataError, match="not JSON"):
            list(json_members(path, "samples"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["id", "epoch", "input", "choices", "target", "output", "scores", "error"]), JSON)
)
def test_any_values_are_read_or_refused(logs: Any, values: dict[str, Any]) -> None:
    """For any JSON in a sample, reading ends with valid rows or with an error that has place and fix."""
    logs.inspect([logs.sample(**values)])
    for part in ("samples", "outcomes"):
        assert len(logs.rows_if_any("inspect", part)) <= 1


def test_a_long_string_is_not_decoded_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is decoded a bounded number of times: pieces grow with what waits."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"samples": ["x" * 100_000]}), encoding="utf-8")
    monkeypatch.setattr(json_object, "_PIECE", 100)
    decoded = []

    class Decoder:
        @staticmethod
        def raw_decode(text: str, at: int) -> Any:
            decoded.append(len(text) - at)
            return json.JSONDecoder().raw_decode(text, at)

    monkeypatch.setattr(json_object, "DECODER", Decoder)
    assert [len(v) for _, _, v in json_members(path, "samples")] == [100_000]
    assert sum(decoded) < 4 * 100_000


def test_other_encodings_are_refused(logs: Any) -> None:
    """UTF-16 and Latin-1 are an error with the file."""
    path = logs.inspect([logs.sample(input="für")])
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    assert "is not encoded as UTF-8: 'utf-8' codec can't decode byte 0xfc in position" in logs.refused("inspect")


def test_a_broken_value_far_from_the_end_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a large file is not read for it."""
    path = tmp_path / "a.json"
    path.write_text('{"a": ?' + " " * 5000 + "}", encoding="utf-8")
    monkeypatch.setattr(json_object, "_PIECE", 100)
    with pytest.raises(DataError, match="not JSON") as caught:
        list(json_members(path, "samples"))
    assert "character 7" in str(caught.value)
