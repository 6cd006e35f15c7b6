"""The log sources ``lm-eval`` and ``lmms-eval``."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlrb.api.records import Model
from vlrb.errors import DataError
from vlrb_plugins.other_logs.values import MISSING, value_at
from vlrb_plugins.shared.log_tables import json_lines

LM, LMMS = "lm-eval", "lmms-eval"


def test_samples_of_lm_eval(logs: Any) -> None:
    """Texts come from the places that the table names; what is not named is left out."""
    logs.lm_eval([logs.line(7)])
    table = {"options": "doc.choices", "fields": {"figure": "doc.figure", "page": "doc.page"}}
    (sample,) = logs.read(LM, "samples", table=table)
    assert sample == {
        "dataset": "Charts",
        "key": "7",
        "question": "Question 7?",
        "options": [{"letter": "A", "text": "a cat"}, {"letter": "B", "text": "a dog"}],
        "hint": None,
        "answer": "B",
        "images": [],
        "fields": [("figure", "f7")],
    }
    (plain,) = logs.read(LM, "samples", table={"question": "arguments.gen_args_0.arg_0"})
    assert (plain["question"], plain["options"], plain["fields"]) == ("Answer. Question 7?", None, [])


def test_outcomes_of_lm_eval(logs: Any) -> None:
    """The raw answer and the named score; the log has no tokens, so that they are null and the counter counts texts."""
    path = logs.lm_eval([logs.line(7)])
    (batch,) = logs.batches(LM, "outcomes", table={"score": "f1"})
    (outcome,) = batch.to_pylist()
    assert outcome == {
        "dataset": "Charts",
        "key": "7",
        "prediction": "B, of course",
        "score": 0.5,
        "input_tokens": None,
        "output_tokens": None,
        "cost": None,
        "thinking": None,
    }
    assert batch.schema.metadata[b"verdict"].decode() == f"f1 of {path}"


def test_outcomes_of_lmms_eval(logs: Any) -> None:
    """A score inside an object, the raw answer where it differs from the filtered one, and tokens of all requests."""
    two = [{"input_tokens": 10, "output_tokens": 1}, {"input_tokens": 5, "output_tokens": 2, "reasoning_tokens": 1}]
    logs.lmms_eval(
        [
            logs.lmms_line(0),
            logs.lmms_line(1, resps=["B because"], token_counts=two),
            logs.lmms_line(2, resps="<think>x</think>B", token_counts=[None]),
            logs.lmms_line(3, token_counts=[*two, {}]),
        ]
    )
    rows = logs.read(LMMS, "outcomes")
    assert [r["prediction"] for r in rows] == ["B", "B because", "<think>x</think>B", "B"]
    assert [(r["input_tokens"], r["output_tokens"]) for r in rows] == [(310, 2), (15, 3), (None, None), (None, None)]
    assert {r["score"] for r in rows} == {0.25}
    assert [s["question"] for s in logs.read(LMMS, "samples")] == [f"Question {i}?" for i in range(4)]


def test_parts_and_files_passed_over(logs: Any) -> None:
    """A part per dataset and per pair; files of other names and other tasks are listed with the reason."""
    one, two = logs.lm_eval([logs.line()]), logs.lm_eval([logs.line()], model="small")
    other = logs.lm_eval([logs.line()], task="arc_easy")
    odd = logs.jsonl("small/notes.jsonl", [{}])
    listing = logs.source(LM, tasks={"charts*": {}}).list(logs.catalog)
    assert {p.id: p.files for p in listing.parts} == {
        "samples/Charts": (one, two),
        "outcomes/Charts/large": (one,),
        "outcomes/Charts/small": (two,),
    }
    assert set(listing.ignored) == {str(other), str(odd)}
    assert "no table of [logs.tasks] names task 'arc_easy'" in listing.ignored[str(other)]


def test_only_what_is_asked_for(logs: Any) -> None:
    """[benchmark] datasets and models choose; what is asked for and missing is an error with the nearest name."""
    logs.lm_eval([logs.line()])
    logs.lm_eval([logs.line()], model="small")
    wanted = attrs.evolve(logs.catalog, wanted_models=frozenset({"small"}))
    assert {p.model for p in logs.source(LM).list(wanted).parts} == {"", "small"}
    missing = attrs.evolve(logs.catalog, wanted_models=frozenset({"smal"}))
    with pytest.raises(DataError, match=r"(?s)no rows of model 'smal'.*did you mean 'small'"):
        logs.source(LM).list(missing)


def test_models_by_folder(logs: Any) -> None:
    """A folder one level down names the model; any other must be named, and a named one must be there."""
    logs.jsonl("samples_charts_test_2026-09-01T12-00-00.jsonl", [logs.line()])
    logs.jsonl("runs/a/samples_charts_test_2026-09-01T12-00-00.jsonl", [logs.line()])
    message = logs.refused(LM)
    assert '"." = "MODEL"' in message
    assert '"runs/a" = "MODEL"' in message
    named = {".": "small", "runs/a": "org/large"}
    assert {p.model for p in logs.source(LM, models=named).list(logs.catalog).parts} == {"", "small", "large"}
    assert "did you mean 'runs/a'" in logs.refused(LM, models=named | {"runs/b": "x"})


def test_two_files_of_a_model_and_task(logs: Any) -> None:
    """An error, or the newest by the date in its name, regardless of the file system; a tie stays an error."""
    new = logs.lmms_eval([logs.lmms_line()], date="20260902_080000")
    old = logs.lmms_eval([logs.lmms_line(1)], date="20260901_120000")
    message = logs.refused(LMMS)
    assert "2 logs hold the answers of model 'large' to task 'charts_test'" in message
    assert 'runs = "newest"' in message
    listing = logs.source(LMMS, runs="newest").list(logs.catalog)
    assert {f for p in listing.parts for f in p.files} == {new}
    assert listing.ignored == {str(old): f"{new} is newer"}
    logs.lmms_eval([logs.lmms_line()], model="large", date="20260902_080000")
    assert "move all but one away |" not in (tie := logs.refused(LMMS, runs="newest"))
    assert 'runs = "newest"' not in tie


def test_tables_of_tasks(logs: Any) -> None:
    """A name comes before a pattern; two patterns that fit, a table without logs and a shared dataset are errors."""
    logs.lm_eval([logs.line()])
    logs.lm_eval([logs.line()], task="charts_val")
    tables = {"charts_test": {"score": "f1"}, "charts_*": {}}
    assert [r["score"] for r in logs.read(LM, "outcomes", tasks=tables)] == [0.5, 1.0]
    assert "all match task 'charts_test'" in logs.refused(LM, tasks={"*_test": {}, "charts_*": {}})
    assert "did you mean 'charts_test'" in logs.refused(LM, tasks=tables | {"charts_tests": {}})
    assert "are all called dataset 'X'" in logs.refused(LM, tasks={"charts_*": {"dataset": "X"}})


def test_models_must_agree_on_questions(logs: Any) -> None:
    """Samples are those of all logs, each once; other texts are an error unless one model's are asked for."""
    logs.lm_eval([logs.line(0), logs.line(1)])
    logs.lm_eval([logs.line(1), logs.line(2)], model="small")
    assert [s["key"] for s in logs.read(LM, "samples")] == ["0", "1", "2"]
    logs.lm_eval([logs.line(1, target="A")], model="small")
    message = logs.refused(LM, "samples")
    assert "sample '1' has another question, answer, options or fields than in" in message
    assert "questions_of" in message
    assert [s["answer"] for s in logs.read(LM, "samples", table={"questions_of": "small"})] == ["A"]
    assert "did you mean 'small'" in logs.refused(LM, table={"questions_of": "smal"})


def test_filters(logs: Any) -> None:
    """Lines of several filters need one to be named, and it must be there."""
    both = [logs.line(filter="strict", acc=0.0), logs.line(filter="flexible", acc=1.0)]
    logs.lm_eval(both)
    assert "line 2 has filter 'flexible', earlier ones have 'strict'" in logs.refused(LM)
    assert [r["score"] for r in logs.read(LM, "outcomes", table={"filter": "flexible"})] == [1.0]
    assert "there are: 'strict', 'flexible'" in logs.refused(LM, table={"filter": "flexibel"})


@pytest.mark.parametrize(
    ("value", "highest", "score"),
    [(True, 1, 1.0), (False, 5, 0.0), (1, 1, 1.0), ("0.5", 1, 0.5), ("True", 5, 1.0), (80, 100, 0.8), (None, 1, None)],
)
def test_scores(logs: Any, value: Any, highest: float, score: float | None) -> None:
    """Numbers are divided by the highest; true is all of it; the harnesses write numpy's numbers and booleans as texts."""
    logs.lm_eval([logs.line(acc=value)])
    (outcome,) = logs.read(LM, "outcomes", table={"highest": highest})
    assert outcome["score"] == score


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"acc": 1.5}, "'acc' is 1.5, which is not between 0 and 1 | "),
        ({"acc": -0.1}, "not between 0 and 1"),
        ({"acc": float("nan")}, "'acc' is nan, which is not between 0 and 1"),
        ({"acc": float("inf")}, "not between 0 and 1"),
        ({"acc": 10**400}, "not between 0 and 1"),
        ({"acc": "yes"}, "'acc' is 'yes', which is not a score"),
        ({"acc": [1]}, "'acc' is [1], which is not a score"),
        ({"resps": [[["-1.5", "False"]]]}, "has no text at 'resps.0.0'"),
        ({"resps": [["\ud800"]]}, "half of a surrogate pair"),
        ({"doc_id": None}, "'doc_id' is None, which is not a text"),
        ({"doc_id": 1.5}, "'doc_id' is 1.5, which is not a text"),
        ({"doc_id": ""}, "'doc_id' is empty"),
    ],
)
def test_values_that_are_refused(logs: Any, line: dict[str, Any], message: str) -> None:
    """With file, line and the value; nothing is repaired."""
    path = logs.lm_eval([logs.line(0), json.dumps(logs.line(1) | line)])
    shown = logs.refused(LM)
    assert message in shown
    assert f"{path}, line 2" in shown


def test_a_score_that_is_not_there(logs: Any) -> None:
    """The error lists what a line holds, so that the right name can be copied."""
    logs.lm_eval([logs.line()])
    message = logs.refused(LM, table={"score": "accuracy"})
    assert "has no 'accuracy'" in message
    assert "'acc', 'f1'" in message


@pytest.mark.parametrize(
    ("line", "table", "message"),
    [
        ({}, {"question": "doc.text"}, "has no 'doc.text'"),
        ({"doc": {"question": 1.5}}, {}, "'doc.question' is 1.5, which is not a text"),
        ({}, {"answer": "gold"}, "has no 'gold'"),
        ({"target": {"a": 1}}, {}, "'target' is {'a': 1}, which is not a text"),
        ({}, {"options": "doc"}, "is not a list of at most 26 texts"),
        ({}, {"fields": {"x": "doc"}}, "'doc' is"),
        ({"pictures": [3.5]}, {"images": "pictures"}, "'pictures' is 3.5"),
        ({"pictures": "no.png"}, {"images": "pictures"}, "'no.png' is not a file below"),
        ({"pictures": "../x.png"}, {"images": "pictures"}, "is outside the folder"),
        ({"pictures": "https://x/y.png"}, {"images": "pictures"}, "is not a file below"),
    ],
)
def test_samples_that_are_refused(logs: Any, line: dict[str, Any], table: dict[str, Any], message: str) -> None:
    """A question, answer, option, field or image that is not what the table says."""
    path = logs.lm_eval([logs.line(**line)])
    shown = logs.refused(LM, "samples", table=table)
    assert message in shown
    assert f"{path}, line 1" in shown


def test_images(logs: Any) -> None:
    """By a place in the lines, or by a name made of task and doc_id; base64 is decoded."""
    logs.lm_eval([logs.line(3, pictures=["a/1.png", logs.data_uri(2)])])
    for name, number in (("a/1.png", 1), ("a/charts_test-3.png", 3)):
        (logs.path / name).parent.mkdir(exist_ok=True)
        (logs.path / name).write_bytes(logs.png(number))
    (batch,) = logs.batches(LM, "samples", table={"images": "pictures"})
    assert batch.column("images").to_pylist() == [[logs.png(1), logs.png(2)]]
    assert json.loads(batch.schema.metadata[b"files"]) == [str(logs.path / "a/1.png")]
    (named,) = logs.read(LM, "samples", table={"image_name": "{task}-{doc_id}.png"}, image_folder=logs.path / "a")
    assert named["images"] == [logs.png(3)]
    with pytest.raises(ValueError, match="leave one of them out"):
        logs.source(LM, table={"images": "x", "image_name": "y"})


def test_answers_without_a_score(logs: Any) -> None:
    """score = "" leaves the verdict to the dataset's scorer; without an answer either, there is nothing."""
    logs.lm_eval([logs.line()])
    (batch,) = logs.batches(LM, "outcomes", table={"score": ""})
    assert batch.column("score").null_count == 1
    assert batch.schema.metadata[b"verdict"].startswith(b"no score in")
    assert "neither a score nor an answer" in logs.refused(LM, table={"score": "", "prediction": ""})
    (score_only,) = logs.read(LM, "outcomes", table={"prediction": ()})
    assert (score_only["prediction"], score_only["score"]) == (None, 1.0)


@pytest.mark.parametrize("resps", [[["a", "b"]], [["a"], ["b"]]])
def test_several_answers_to_a_sample(logs: Any, resps: Any) -> None:
    """Repeats and rounds are refused: one of the texts would be scored and priced by the values of all."""
    logs.lm_eval([logs.line(resps=resps)])
    assert "holds 2 answers, and the score covers all of them" in logs.refused(LM)
    logs.lmms_eval([logs.lmms_line(resps=["a", "b"])])
    assert "'resps' holds 2 answers" in logs.refused(LMMS)


def test_several_gold_answers(logs: Any) -> None:
    """A list becomes one in JSON notation, as scorers read it; a list of one is its text."""
    logs.lm_eval([logs.line(0, gold=["a", 'b"c']), logs.line(1, gold=["d"]), logs.line(2, gold=4)])
    answers = [s["answer"] for s in logs.read(LM, "samples", table={"answer": "gold"})]
    assert answers == ['["a", "b\\"c"]', "d", "4"]


@pytest.mark.parametrize("part", ["samples", "outcomes"])
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ('{"doc_id": 1, "doc": {"quest', "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"doc_id": 1, "doc_id": 2}', "appears twice"),
        (b"\xff".decode("latin-1"), "is not JSON"),
    ],
)
def test_broken_lines(logs: Any, part: str, last: str, message: str) -> None:
    """A file that was cut off is an error with its line, and no batch is given out."""
    path = logs.lm_eval([logs.line(), last])
    shown = logs.refused(LM, part)
    assert message in shown
    assert f"{path}, line 2" in shown


@pytest.mark.parametrize("part", ["samples", "outcomes"])
def test_a_line_twice(logs: Any, part: str) -> None:
    """Two answers of one model to one sample are an error, which 7 and "7" are too."""
    logs.lm_eval([logs.line(7), logs.line("7")])
    assert "sample '7' is already there" in logs.refused(LM, part)


def test_a_line_beyond_the_limit(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is refused before it is decoded."""
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 1000)
    path = logs.lm_eval([logs.line(), logs.line(1, doc={"question": "x" * 1000})])
    message = logs.refused(LM)
    assert f"{path}, line 2" in message
    assert "longer than 1,000 bytes" in message


def test_bounded_batches(logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches stay small however long the file is, and counts and rows are complete."""
    monkeypatch.setattr("vlrb_plugins.other_logs.reading.BATCH_BYTES", 1500)
    logs.lm_eval([logs.line(i) for i in range(20)])
    for part in ("samples", "outcomes"):
        batches = logs.batches(LM, part)
        assert max(b.num_rows for b in batches) <= 4
        assert [r["key"] for b in batches for r in b.to_pylist()] == [str(i) for i in range(20)]


def test_folders_that_are_not_there(logs: Any) -> None:
    """A wrong path, a wrong folder of images, and a folder without logs."""
    assert "holds no file samples_TASK_DATE.jsonl" in logs.refused(LM)
    logs.lm_eval([logs.line()])
    assert "check [logs] image_folder" in logs.refused(LM, image_folder=logs.path / "no")
    logs.path = logs.path / "none"
    assert "check [logs] path" in logs.refused(LM)


def test_unknown_names_are_kept(logs: Any) -> None:
    """A task or model that nothing declares keeps its name; an alias is resolved."""
    catalog = attrs.evolve(logs.catalog, models=(Model(name="tiny", aliases=("org__tiny",)),))
    logs.lm_eval([logs.line()], model="org__tiny", task="my_task")
    logs.lm_eval([logs.line()], model="org__other", task="my_task")
    assert [p.id for p in logs.source(LM).list(catalog).parts] == [
        "samples/my_task",
        "outcomes/my_task/org__other",
        "outcomes/my_task/tiny",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["doc_id", "doc", "target", "resps", "filter", "acc", "token_counts"]), JSON))
def test_any_values_are_read_or_refused(logs: Any, values: dict[str, Any]) -> None:
    """For any JSON in a line, reading ends with valid rows or with an error that has place and fix."""
    for kind, write, line in ((LM, logs.lm_eval, logs.line()), (LMMS, logs.lmms_eval, logs.lmms_line())):
        write([json.dumps(line | values)])
        for part in ("samples", "outcomes"):
            rows = logs.rows_if_any(kind, part, table={"score": "acc"})
            assert len(rows) <= 1
            assert all(r.get("score") is None or 0 <= r["score"] <= 1 for r in rows)


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4), JSON)
def test_places(keys: list[str], value: Any) -> None:
    """Every value of nested objects is found by its keys, those with dots in them in the last place."""
    row = value
    for key in reversed(keys):
        row = {key: row}
    found = value_at(row, ".".join(keys))
    if not any("." in k for k in keys[:-1]):
        assert found is value
    assert value_at([row], "0") is row
    assert value_at([row], "1") is MISSING
    assert value_at([row], "-1") is MISSING
