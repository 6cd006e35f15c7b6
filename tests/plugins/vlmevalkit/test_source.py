"""Outcomes: predictions, verdicts and token counts from workbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.api.logs import Catalog, Part
from vlrb.api.records import Dataset, Model
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb_plugins.vlmevalkit import vlrb_log_sources
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource

REAL = Path(__file__).parents[3].parent / "shared" / "real-logs" / "mathvision"


def scores(logs: Any, column: str, *cells: object, dataset: str = "MMStar") -> list[float | None]:
    """Write verdicts into a workbook and read the scores."""
    rows = [{"index": i, "prediction": "A", column: cell} for i, cell in enumerate(cells)]
    return [row["score"] for row in logs.outcomes(logs.book("book.xlsx", rows), dataset=dataset)]


def test_the_plugin_registers_the_source(logs: Any) -> None:
    """The log source is found by its name and made from its parameters."""
    (spec,) = vlrb_log_sources()
    assert spec.name == "vlmevalkit"
    assert isinstance(spec.factory(spec.params(path=logs.root)), VlmevalkitSource)


def test_batches_have_the_schemas_of_the_edge(logs: Any) -> None:
    """What the core gets has the agreed columns and types, nulls where the logs say nothing."""
    path = logs.book("book.xlsx", [{"index": 1, "question": "?", "prediction": "A"}])
    (outcomes,) = logs.source().read(Part("o", "outcomes", (path,), "MMStar", "Gemini"), logs.catalog)
    (samples,) = logs.source(images="none").read(Part("s", "samples", (path,), "MMStar"), logs.catalog)
    assert set(OUTCOMES) <= set(outcomes.schema) <= {*OUTCOMES, *OUTCOMES_OPTIONAL}
    assert set(samples.schema) == {*SAMPLES, *SAMPLES_OPTIONAL} - {SAMPLES_OPTIONAL.field("split")}
    nothing = dict.fromkeys(["score", "input_tokens", "output_tokens", "cost", "thinking"])
    assert outcomes.to_pylist() == [
        {"dataset": "MMStar", "key": "1", "prediction": "A", "failed": False, "judge_failed": False} | nothing
    ]


def test_unknown_dataset_of_a_part(logs: Any, refused: Any) -> None:
    """A part of a dataset that is gone from the experiment is an error with the part's name."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A"}])
    with refused("'Unheard' is not known", place="outcomes", fix="[[dataset]]"):
        logs.outcomes(path, dataset="Unheard")


# --- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (True, False),
        (1, 0),
        (1.0, 0.0),
        ("1", "0"),
        ("1.0", "0.0"),
        ("True", "False"),
        ("true", "false"),
        ("TRUE", "FALSE"),
    ],
)
@pytest.mark.parametrize("dataset", ["MMStar", "DocVQA_VAL", "MathVision_MINI"])
def test_is_correct(logs: Any, right: object, wrong: object, dataset: str) -> None:
    """``is_correct`` is a verdict for every dataset, in each of the forms it is met in."""
    assert scores(logs, "is_correct", right, wrong, right, dataset=dataset) == [1, 0, 1]


@pytest.mark.parametrize(
    ("column", "dataset"),
    [
        ("hit", "MMStar"),
        ("hit", "AI2D_TEST"),
        ("hit", "MMBench_DEV_EN_V11"),
        ("score", "HallusionBench"),
        ("score", "MathVerse_MINI"),
    ],
)
def test_verdicts_of_vlmevalkit(logs: Any, column: str, dataset: str) -> None:
    """VLMEvalKit's own verdict columns are read for the datasets where they mean correctness."""
    assert scores(logs, column, 1, 0, True, dataset=dataset) == [1, 0, 1]


def test_hit_of_mmmu(logs: Any) -> None:
    """MMMU's samples are named by ``id``; files are still joined by ``index``."""
    answers = logs.book("answers.xlsx", [{"index": i, "id": f"validation_{i}", "prediction": "A"} for i in (1, 2)])
    scored = logs.book("scored.xlsx", [{"index": i, "hit": i - 1} for i in (2, 1)])
    rows = logs.outcomes(answers, scored, dataset="MMMU_DEV_VAL")
    assert [(row["key"], row["score"]) for row in rows] == [("validation_1", 0), ("validation_2", 1)]


@pytest.mark.parametrize(
    ("ids", "word"), [(["a", "b", "a"], "id 'a' stands in row 2"), (["a", "b", ""], "id is empty")]
)
def test_ids_of_mmmu_are_checked(logs: Any, refused: Any, ids: list[str], word: str) -> None:
    """A repeated or empty id would join an answer to the wrong sample."""
    path = logs.book("book.xlsx", [{"index": i, "id": name, "prediction": "A"} for i, name in enumerate(ids)])
    with refused(word, place=f"{path}, sheet 'Sheet1', row 4", fix="row"):
        logs.outcomes(path, dataset="MMMU_DEV_VAL")


def test_is_correct_comes_before_hit(logs: Any) -> None:
    """The published archive keeps left-overs of VLMEvalKit's scoring beside its own verdicts."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "hit": 0, "is_correct": 1}])
    assert logs.outcomes(path)[0]["score"] == 1
    assert logs.verdict(path) == f"is_correct of {path}, sheet 'Sheet1'"


@pytest.mark.parametrize(
    ("column", "dataset"),
    [
        ("eval_score", "DocVQA_VAL"),
        ("eval_score", "InfoVQA_VAL"),
        ("eval_score", "TextVQA_VAL"),
        ("eval_match", "MMStar"),
        ("score", "DocVQA_VAL"),
        ("score", "MMStar"),
        ("score", "MathVista_MINI"),
        ("hit", "HallusionBench"),
        ("hit", "MathVision_MINI"),
        ("hit", "OCRBench"),
        ("res", "MathVision_MINI"),
        ("log", "MMStar"),
        ("extracted", "HallusionBench"),
    ],
)
def test_other_columns_are_no_verdicts(logs: Any, column: str, dataset: str) -> None:
    """A column whose meaning is not sure is never read as correctness: DocVQA's eval_score is a distance, 0 is perfect."""
    assert scores(logs, column, 1, 0, 1, dataset=dataset) == [None, None, None]
    path = logs.root / "book.xlsx"
    verdict = logs.verdict(path, dataset=dataset)
    assert str(path) in verdict
    assert "no column whose meaning is correctness" in verdict
    assert column in verdict


def test_own_datasets_have_is_correct_only(logs: Any) -> None:
    """``hit`` and ``score`` of a dataset without a scorer mean nothing that is known."""
    logs.known(Dataset("Charts", "general"))
    assert scores(logs, "hit", 1, dataset="Charts") == [None]
    assert scores(logs, "score", 1, dataset="Charts") == [None]
    assert scores(logs, "is_correct", 1, dataset="Charts") == [1]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (2, "2.0"),
        (0.5, "0.5"),
        (-1, "-1.0"),
        ("", "empty"),
        (None, "empty"),
        ("nan", "'nan'"),
        ("NaN", "'NaN'"),
        ("yes", "'yes'"),
        (" 1", "' 1'"),
    ],
)
@pytest.mark.parametrize("column", ["is_correct", "hit"])
def test_what_is_neither_right_nor_wrong(logs: Any, refused: Any, column: str, cell: object, shown: str) -> None:
    """A verdict that is no verdict is an error with its row, never cut to 0 or 1."""
    path = logs.root / "book.xlsx"
    with refused(f"{column} of index '1' is {shown}", place=f"{path}, sheet 'Sheet1', row 3", fix="write 0 or 1"):
        scores(logs, column, 1, cell, 0)


def test_many_wrong_verdicts_are_counted(logs: Any, refused: Any) -> None:
    """A column full of scores gives five rows and a count, not thousands of lines."""
    with refused("of index '0'", "of index '4'", "3 more rows", place="row 2", fix="write 0 or 1"):
        scores(logs, "is_correct", *[0.25] * 8)


def test_verdicts_join_by_index(logs: Any) -> None:
    """Verdicts belong to the index, not to the position: scored files are sorted otherwise, and may lack rows."""
    answers = logs.book("answers.xlsx", [{"index": i, "prediction": p} for i, p in ((3, "c"), (1, "a"), (2, "b"))])
    scored = logs.book("scored.xlsx", [{"index": "1", "hit": 0}, {"index": 3.0, "hit": 1}])
    rows = logs.outcomes(answers, scored)
    assert [(r["key"], r["prediction"], r["score"]) for r in rows] == [("3", "c", 1), ("1", "a", 0), ("2", "b", None)]
    assert logs.verdict(answers, scored) == f"hit of {scored}, sheet 'Sheet1'"


def test_predictions_come_from_the_workbook_of_predictions(logs: Any) -> None:
    """Scoring rewrites texts (None becomes a gap), so the scored file's copy is not the answer."""
    answers = logs.book("answers.xlsx", [{"index": 1, "prediction": "None"}])
    scored = logs.book("scored.xlsx", [{"index": 1, "prediction": "", "is_correct": 1}])
    assert logs.outcomes(answers, scored)[0]["prediction"] == "None"


def test_scored_rows_without_prediction(logs: Any, refused: Any) -> None:
    """Verdicts of another run than the predictions are refused."""
    answers = logs.book("answers.xlsx", [{"index": 1, "prediction": "A"}])
    scored = logs.book("scored.xlsx", [{"index": i, "is_correct": 1} for i in (1, 7, 8)])
    with refused("2 scored rows", str(answers), "'7', '8'", place=f"{scored}, sheet 'Sheet1', row 3", fix="one run"):
        logs.outcomes(answers, scored)


def test_rotations_of_mmbench(logs: Any) -> None:
    """The outcome of a MMBench question is that of its base pass; verdicts stand in base rows only."""
    indices = (5, 1_000_005, 2_000_005, 6, 1_000_006)
    answers = logs.book("answers.xlsx", [{"index": i, "prediction": f"p{i}"} for i in indices])
    scored = logs.book("scored.xlsx", [{"index": 5, "hit": 1}, {"index": 6, "hit": 0}])
    rows = logs.outcomes(answers, scored, dataset="MMBench_DEV_EN_V11")
    assert [(row["key"], row["prediction"], row["score"]) for row in rows] == [("5", "p5", 1), ("6", "p6", 0)]


def test_large_indices_of_other_datasets(logs: Any) -> None:
    """Only circular datasets have rotations: elsewhere an index above a million is an index."""
    path = logs.book("book.xlsx", [{"index": 1_000_005, "prediction": "A"}])
    assert [row["key"] for row in logs.outcomes(path)] == ["1000005"]


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens"), ("input_tokens", "completion_tokens")],
)
def test_usage_columns(logs: Any, names: tuple[str, str]) -> None:
    """Token counts that an API reported are read under either pair of names."""
    rows = [{"index": i, "prediction": "A", names[0]: 100 + i, names[1]: i} for i in (0, 1)]
    got = logs.outcomes(logs.book("book.xlsx", rows))
    assert [(row["input_tokens"], row["output_tokens"]) for row in got] == [(100, 0), (101, 1)]


def test_one_usage_column(logs: Any) -> None:
    """A column that is not there leaves its counts unknown."""
    rows = logs.outcomes(logs.book("book.xlsx", [{"index": 1, "prediction": "A", "output_tokens": 3}]))
    assert (rows[0]["input_tokens"], rows[0]["output_tokens"]) == (None, 3)


def test_token_counts_as_text(logs: Any) -> None:
    """TSV files hold numbers as texts."""
    path = logs.tsv("x.tsv", [{"index": "1", "prediction": "A", "input_tokens": "12", "output_tokens": "3.0"}])
    (row,) = logs.outcomes(path)
    assert (row["input_tokens"], row["output_tokens"]) == (12, 3)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(1.5, "1.5"), (-1, "-1.0"), ("1.5", "'1.5'"), ("", "empty"), (True, "True"), (1e300, "1e+300"), ("nan", "'nan'")],
)
@pytest.mark.parametrize("column", ["input_tokens", "completion_tokens"])
def test_what_is_no_number_of_tokens(logs: Any, refused: Any, column: str, cell: object, shown: str) -> None:
    """A count that is no whole number is an error with its row: it would become a cost."""
    path = logs.book("book.xlsx", [{"index": i, "prediction": "A", column: c} for i, c in ((8, 3), (9, cell))])
    with refused(f"{column} of index '9' is {shown}", place=f"{path}, sheet 'Sheet1', row 3", fix='counter = "cl100k"'):
        logs.outcomes(path)


def test_infinite_token_counts(logs: Any, refused: Any) -> None:
    """A number beyond all bounds in the file is an error with its row too."""
    path = logs.book("book.xlsx", [{"index": 9, "prediction": "A", "input_tokens": 77}])
    logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"<v>77</v>", b"<v>1e999</v>"))
    with refused("input_tokens of index '9'", place=f"{path}, sheet 'Sheet1', row 2", fix="whole number"):
        logs.outcomes(path)


# --- questions from workbooks -----------------------------------------------------------------------------------------


def test_questions_from_workbooks(logs: Any) -> None:
    """Without TSV files the questions come from the workbook of predictions, without images."""
    row = {
        "index": 1,
        "question": " What? ",
        "A": "cat",
        "B": 3,
        "C": None,
        "hint": "h",
        "answer": "B",
        "prediction": "A",
    }
    logs.book("Gemini/Gemini_MMStar.xlsx", [row])
    logs.book("Gemini-Pro/Gemini-Pro_MMStar.xlsx", [row])
    (part,) = (p for p in logs.list().parts if p.kind == "samples")
    assert logs.read(part, images="none") == [
        {
            "dataset": "MMStar",
            "key": "1",
            "question": " What? ",
            "options": [{"letter": "A", "text": "cat"}, {"letter": "B", "text": "3"}],
            "hint": "h",
            "answer": "B",
            "images": [],
            "fields": [],
            "rotations": None,
            "groups": None,
        }
    ]


def test_choices_and_ids_from_workbooks(logs: Any) -> None:
    """Options in a list literal and keys in another column are read from workbooks as from TSV files."""
    rows = [{"index": 1, "id": "dev_1", "question": "?", "choices": "['x', 'y']", "prediction": "A"}]
    samples = logs.samples(logs.book("book.xlsx", rows), "MMMU_DEV_VAL")
    assert samples["dev_1"]["options"] == [{"letter": "A", "text": "x"}, {"letter": "B", "text": "y"}]


def test_rotations_are_no_samples_in_workbooks(logs: Any) -> None:
    """Rotations of a MMBench question are the same sample."""
    rows = [{"index": i, "question": "?", "prediction": "A"} for i in (5, 1_000_005)]
    assert list(logs.samples(logs.book("book.xlsx", rows), "MMBench_DEV_EN_V11")) == ["5"]


@pytest.mark.parametrize("column", ["index", "question"])
def test_workbooks_without_questions(logs: Any, refused: Any, column: str) -> None:
    """A workbook that lacks what a sample needs is named with the column."""
    row = {"index": 1, "question": "?", "prediction": "A"}
    del row[column]
    path = logs.book("book.xlsx", [row])
    with refused(f"no column {column!r}", place=path, fix=repr(column)):
        logs.samples(path)


@pytest.mark.parametrize("column", ["question", "A", "answer", "hint"])
def test_lost_texts_of_questions(logs: Any, refused: Any, column: str) -> None:
    """A question or option that a writer turned into a formula is lost; it does not become a number."""
    row = {"index": 1, "question": "?", "A": "x", "answer": "A", "hint": "", "prediction": "A"}
    path = logs.book("book.xlsx", [row | {column: logs.formula("=1+1", 2)}])
    with refused(repr(column), "row 2 is a formula", "=1+1", place=path, fix="plain values"):
        logs.samples(path)


def test_repeated_questions(logs: Any, refused: Any) -> None:
    """A sample that appears twice is refused with both rows."""
    path = logs.book("book.xlsx", [{"index": 1, "question": q, "prediction": "A"} for q in ("a", "b")])
    with refused("index '1' stands in row 2", place=f"{path}, sheet 'Sheet1', row 3", fix="remove one"):
        logs.samples(path)


def test_broken_choices_in_a_workbook(logs: Any, refused: Any) -> None:
    """A list literal that is none is an error with sheet and row; it is never evaluated as code."""
    rows = [{"index": 1, "question": "?", "choices": "[__import__('os').getcwd()]", "prediction": "A"}]
    path = logs.book("book.xlsx", rows)
    with refused("not a list literal", "__import__", place=f"{path}, sheet 'Sheet1', row 2", fix="['...', '...']"):
        logs.samples(path)


# --- real logs --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not here")
def test_real_logs() -> None:
    """The real answers of 13 models on MathVision give the numbers of correct answers that are known of them."""
    expected = json.loads((REAL / "expected.json").read_text(encoding="utf-8"))["datasets"]
    models = sorted({model for dataset in expected.values() for model in dataset["models"]})
    catalog = Catalog(tuple(Dataset(name, "stem") for name in expected), tuple(Model(name) for name in models))
    source = VlmevalkitSource(VlmevalkitParams(path=REAL))
    parts = [p for p in source.list(catalog).parts if p.kind == "outcomes"]
    assert len(parts) == 26
    for part in parts:
        (batch,) = source.read(part, catalog)
        dataset = expected[part.dataset]
        assert batch.num_rows == dataset["samples"]
        assert sum(batch["score"].to_pylist()) == dataset["models"][part.model]["correct"], part.id
