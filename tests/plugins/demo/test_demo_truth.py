"""What was simulated is what comes back: through the reader where a verdict is stored, through the scorers everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vlrb.api.logs import Case, Catalog, Rotation, Score
from vlrb_plugins.demo.generate import sample_counts, write_tree
from vlrb_plugins.models import MODELS
from vlrb_plugins.scorers import vlrb_scorers
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource

if TYPE_CHECKING:
    from .conftest import Output

DATASET_NAMES = [d.name for d in DATASETS]
MODEL_NAMES = [m.name for m in MODELS]
NO_VERDICTS = ("MathVista_MINI", "MathVision_MINI", "OCRBench")
"""Datasets of which VLMEvalKit stores no verdict per sample."""

PREDICTIONS_ONLY = "Phi-3.5-Vision"
JUDGED = {"MathVista_MINI": "res", "MathVision_MINI": "res", "MathVerse_MINI": "extract"}


@pytest.mark.parametrize("dataset", DATASET_NAMES)
def test_reader_finds_what_was_simulated(output: Output, dataset: str) -> None:
    """Every stored verdict is read as what is true, and none is made up where VLMEvalKit stores none."""
    for model in MODEL_NAMES:
        for row in output.outcomes[dataset, model]:
            truth = output.truth[dataset, row["key"], model]
            unjudged = dataset in NO_VERDICTS or (model == PREDICTIONS_ONLY and dataset not in JUDGED)
            assert row["score"] == (None if unjudged else pytest.approx(truth.score, abs=1e-12)), (model, row["key"])
            assert row["failed"] == truth.failed


def test_every_sample_and_pair_is_there(output: Output) -> None:
    """Nothing gets lost: each question once, with its picture, and an answer of each model to each question."""
    assert {d: len(rows) for d, rows in output.samples.items()} == sample_counts(300)
    assert len(output.truth) == 300 * len(MODELS)
    assert {(d, r["key"], m) for (d, m), rows in output.outcomes.items() for r in rows} == set(output.truth)
    for dataset, samples in output.samples.items():
        assert all(s["question"] and s["answer"] and len(s["images"]) == 1 for s in samples.values()), dataset
    assert all(r["prediction"] for rows in output.outcomes.values() for r in rows)


def test_no_file_is_passed_over_in_silence(output: Output) -> None:
    """Each file is read, or listed with a reason; links are the files that they lead to."""
    read = {f.resolve() for part in output.listing.parts for f in part.files}
    listed = {Path(p).resolve(): why for p, why in output.listing.ignored.items()}
    assert not read & set(listed)
    assert all(listed.values())
    every = {p.resolve() for p in output.root.rglob("*") if p.is_file()}
    assert every - read - set(listed) == {(output.root / "SYNTHETIC.txt").resolve()}
    # questions, predictions and verdicts; OCRBench has none of these, and ten datasets of which there is only JSON
    assert len(read) == 14 + 17 * 14 + 17 * 13 - 10


def test_reasons_say_why(output: Output) -> None:
    """Summaries, left-overs, pickles, first stages and other runs: each is passed over for what it is."""
    reasons: Counter[str] = Counter()
    for path, why in output.listing.ignored.items():
        name = Path(path).name
        kind = "other run" if Path(path).parent.name in ("T20260802-090000", "T20260915-180000") else "this run"
        reasons[kind if Path(path).suffix == ".xlsx" and not name.startswith("~$") else Path(path).suffix, why] += 1
    assert reasons.pop(("this run", "a judge's intermediate file")) == 15
    assert reasons.pop((".tsv", "a judge's intermediate file")) == 2
    # predictions and verdicts of four and two datasets, OCRBench has none and the unfinished run neither
    assert sum(reasons.pop(key) for key in list(reasons) if key[0] == "other run") == 9
    assert {why for kind, why in reasons if kind == ".csv"} == {"a summary of scores"}
    assert {kind for kind, _ in reasons} == {".csv", ".json", ".lock", ".pkl", ".xlsx"}


def test_thoughts_and_extracts_are_read(output: Output) -> None:
    """Thoughts are kept apart from answers, whichever way they were stored; what a judge extracted is handed on."""
    for (dataset, model), rows in output.outcomes.items():
        thinks = model == "MiMo-VL-7B-RL" or (model == "Kimi-VL-A3B-Thinking-2506" and dataset == "MMStar")
        assert not any("think>" in r["prediction"] for r in rows)
        if thinks:
            assert all(r["thinking"] for r in rows)
        assert all(bool(r.get("judged")) == (dataset in JUDGED) for r in rows), (dataset, model)
        assert all(r["input_tokens"] is None and r["output_tokens"] is None for r in rows)


def test_both_forms_tell_the_same(output: Output, tmp_path: Path) -> None:
    """Who is right on what does not depend on the form, failed calls aside; nor do keys, questions and pictures."""
    write_tree(tmp_path, 300, 0)
    source = VlmevalkitSource(VlmevalkitParams(path=tmp_path))
    catalog = Catalog(datasets=DATASETS, models=MODELS)
    for part in source.list(catalog).parts:
        for row in (r for batch in source.read(part, catalog) for r in batch.to_pylist()):
            if part.kind == "samples":
                other = output.samples[part.dataset][row["key"]]
                assert {n: row[n] for n in ("question", "images")} == {n: other[n] for n in ("question", "images")}
            else:
                truth = output.truth[part.dataset, row["key"], part.model]
                assert (truth.score == 1) == (row["score"] == 1 and not truth.failed)


def case(row: Mapping[str, Any], sample: Mapping[str, Any]) -> Case:
    """Return what a scorer is given, as the core gives it."""

    def options(listed: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
        return tuple((o["letter"], o["text"]) for o in listed or ())

    said = {r["key"]: r["prediction"] for r in row.get("rotations") or ()}
    turned = [Rotation(options(r["options"]), r["answer"], said.get(r["key"])) for r in sample["rotations"] or ()]
    return Case(
        id=row["key"],
        question=sample["question"],
        options=options(sample["options"]),
        answer=sample["answer"],
        prediction=row["prediction"],
        fields=dict(sample["fields"] or ()),
        judged=dict(row.get("judged") or ()),
        rotations=tuple(turned),
    )


def own_scores(output: Output, dataset: str, model: str) -> dict[str, Score]:
    """Return key -> what the dataset's own scorer says of a model's raw answer, or of what a judge extracted from it."""
    name = next(d.scorer for d in DATASETS if d.name == dataset).rpartition("/")[2]
    spec = next(s for s in vlrb_scorers() if s.name == name)
    cases = [case(row, output.samples[dataset][row["key"]]) for row in output.outcomes[dataset, model]]
    return {c.id: s for c, s in zip(cases, spec.factory(spec.params()).score(cases), strict=True)}


@pytest.mark.parametrize("dataset", DATASET_NAMES)
def test_own_scorers_find_what_was_simulated(output: Output, dataset: str) -> None:
    """The rules alone recover the truth, but for failed calls and unequal extracts, which only a judge decides."""
    undecided = 0
    for model in MODEL_NAMES:
        for key, score in own_scores(output, dataset, model).items():
            truth = output.truth[dataset, key, model]
            if score.value is None:
                assert truth.score < 1
                assert truth.failed or dataset == "MathVerse_MINI", (model, key, score.reason)
                undecided += 1
            else:
                assert score.value == pytest.approx(truth.score, abs=1e-12), (model, key)
    wrong = sum(t.score < 1 for (d, _, _), t in output.truth.items() if d == dataset)
    assert undecided == (wrong if dataset == "MathVerse_MINI" else 2 if dataset == "AI2D_TEST" else 0)


def test_model_without_verdicts_is_decided_by_rules(output: Output) -> None:
    """Of the model that has predictions only, no answer is left open: it can be in a benchmark like any other."""
    for dataset in (d for d in DATASET_NAMES if d not in JUDGED):
        scores = own_scores(output, dataset, PREDICTIONS_ONLY)
        assert all(s.value is not None for s in scores.values())
        assert {round(s.value or 0) for s in scores.values()} == {0, 1}, dataset
