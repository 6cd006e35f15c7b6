"""What the reference implementation repairs in silence is an error here, or a counted exclusion that the experiment names.

Each test is one of its repairs, made on a small complete tree of two models and six samples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import DataError

MODELS = ("GPT4o", "SmolVLM2")
RIGHT = {"GPT4o": (1, 1, 1, 1, 0, 0), "SmolVLM2": (0, 0, 1, 1, 1, 0)}
SIX = range(6)


class Study:
    """A tree of logs that can be spoilt, and an experiment on it."""

    def __init__(self, project: Any, logs: Any, png: Callable[[int], str]) -> None:
        self.project, self.logs = project, logs
        self.top = self.more = self.source = ""
        self.routers = '[[router]]\nuse = "strongest"\n'
        rows = [{"index": str(i), "question": f"q{i}", "A": "a", "B": "b", "answer": "A", "image": png(i)} for i in SIX]
        self.tsv = logs.tsv("LMUData/MMStar.tsv", rows)
        self.books = {m: self.book(m, RIGHT[m]) for m in MODELS}

    def book(self, model: str, right: tuple[Any, ...], name: str = "", **changes: Any) -> Path:
        """Write a model's results; ``changes`` replace a column, None leaves it out."""
        rows = []
        for i, verdict in zip(SIX, right, strict=False):
            row = {"index": i, "question": f"q{i}", "prediction": "A" if verdict else "B", "hit": verdict}
            row |= {"input_tokens": 50, "output_tokens": 5} | changes
            rows.append({k: v for k, v in row.items() if v is not None})
        path: Path = self.logs.book(name or f"{model}/{model}_MMStar_openai_result.xlsx", rows)
        return path

    def vlrb(self, command: str = "build", *arguments: str) -> Any:
        """Run a command on the experiment."""
        split = "[split]\ntrain = 0.4\ndev = 0.3\ntest = 0.3\n"
        logs = f'[logs]\nuse = "vlmevalkit"\npath = "{self.logs.root}"\n{self.source}\n'
        text = f'name = "s"\nrequires = []\n{self.top}\n{logs}{split}\n'
        return self.project.vlrb(command, self.project.file(f"{text}{self.more}\n{self.routers}"), *arguments)

    def refused(self, *words: str, status: int = 4) -> None:
        """Expect an error that holds some words."""
        shown = self.vlrb()
        assert shown.status == status, shown.out
        assert all(w in shown.err for w in words), shown.err


@pytest.fixture
def study(project: Any, logs: Any, png: Callable[[int], str]) -> Study:
    """Return a complete study."""
    return Study(project, logs, png)


def test_the_tree_as_it_is(study: Study) -> None:
    """Nothing is wrong before it is spoilt: what the other tests see is their own doing."""
    report = study.vlrb("build", "--json").json
    assert [m["correct"] for m in report["models"]] == [4, 3]
    assert report["excluded"] == []


def test_a_folder_is_not_taken_for_a_model(study: Study) -> None:
    """Reference: the name of the parent folder becomes the model."""
    study.book("backup", RIGHT["GPT4o"], "backup/GPT4o_MMStar.xlsx")
    study.refused("'backup' is not a known model")


def test_prices_that_cannot_be_read_are_no_default_list(study: Study) -> None:
    """Reference: an unreadable models.yaml falls back to a list in the code."""
    study.project.file("not toml at all", "prices.toml")
    study.top = 'include = ["prices.toml"]'
    study.refused("prices.toml", "is not valid TOML")


def test_an_unknown_suffix_is_not_skipped_in_silence(study: Study) -> None:
    """Reference: files whose names it does not know are passed over without a word."""
    study.book("GPT4o", RIGHT["GPT4o"], "GPT4o/GPT4o_NewBench_openai_result.xlsx")
    study.refused("belongs to no known dataset", "GPT4o_NewBench_openai_result.xlsx")


def test_results_in_other_formats_are_read_or_listed(study: Study) -> None:
    """Reference: only .xlsx is looked at, the rest passed over without a word."""
    study.logs.text("GPT4o/GPT4o_MMStar_acc.csv", "x")
    assert any("GPT4o_MMStar_acc.csv" in f for f in study.vlrb("build", "--json").json["ignored_files"])


@pytest.mark.parametrize(
    ("verdict", "message"), [("nan", "hit of index"), ("", "hit of index"), (0.9, "neither 0 nor 1"), (2, "neither")]
)
def test_a_bad_verdict_does_not_drop_the_rows_below_it(study: Study, verdict: Any, message: str) -> None:
    """Reference: the rest of the file is lost after a NaN, and 0.9 becomes 0."""
    study.book("GPT4o", (1, 1, verdict, 1, 0, 0))
    study.refused(message, "row 4")


def test_a_file_without_verdicts_is_scored_and_not_skipped(study: Study) -> None:
    """Reference: a file without a score column is left out of Y."""
    study.book("GPT4o", RIGHT["GPT4o"], hit=None)
    report = study.vlrb("build", "--json").json
    assert [m["correct"] for m in report["models"]] == [4, 3]
    assert report["outcomes"][0]["without_stored_verdict"] == 6


def test_of_several_judges_the_last_does_not_win_by_chance(study: Study) -> None:
    """Reference: whichever file is globbed last overwrites the others."""
    study.book("GPT4o", (0,) * 6, "GPT4o/GPT4o_MMStar_exact_matching_result.xlsx")
    report = study.vlrb("build", "--json").json
    assert report["models"][0]["correct"] == 4
    assert any("another judge" in why for why in report["ignored_files"].values())


def test_a_missing_tsv_is_no_empty_asset_list(study: Study) -> None:
    """Reference: a fuzzy match of names, then no image and 0 image tokens."""
    study.tsv.rename(study.tsv.with_name("MMStar_v2.tsv"))
    study.refused("MMStar.tsv", "there is no such file")


def test_an_answer_to_no_question_is_an_error(study: Study) -> None:
    """Reference: an id that the TSV does not have gets no image."""
    lines = study.tsv.read_text(encoding="utf-8").splitlines(keepends=True)
    study.tsv.write_text("".join(lines[:-1]), encoding="utf-8")
    study.refused("answers of GPT4o belong to no sample of MMStar: MMStar/5")


def test_the_gold_answer_never_stands_in_for_a_prediction(study: Study) -> None:
    """Reference: without a prediction column the gold answer's tokens are counted as output."""
    study.book("GPT4o", RIGHT["GPT4o"], prediction=None)
    study.refused("there is no column 'prediction'")


def test_a_missing_answer_gets_no_made_up_length(study: Study) -> None:
    """Reference: 10, 50, 100 or 150 output tokens, by type of task."""
    study.book("GPT4o", RIGHT["GPT4o"][:4])
    study.refused("GPT4o lacks 2 of 6 samples: MMStar/4, MMStar/5", 'missing = "drop-sample"')
    study.more = '[benchmark]\nmissing = "drop-sample"\n'
    report = study.vlrb("build", "--json").json
    assert (report["samples"], report["excluded"][0]["count"]) == (4, 2)


def test_a_missing_model_is_not_estimated(study: Study) -> None:
    """Reference: all outputs of a model without a folder are estimated."""
    study.more = '[benchmark]\nmodels = ["GPT4o", "Pixtral-12B"]\n'
    study.refused("holds no results of model 'Pixtral-12B'")


def test_a_model_without_a_price_is_not_dropped_from_the_costs_alone(study: Study) -> None:
    """Reference: 1.0 / 3.0, 0.01 or 0 USD; or the model leaves C and stays in Y, so that columns shift."""
    study.book("Mine", RIGHT["GPT4o"], "Mine/Mine_MMStar.xlsx")
    study.more = '[[model]]\nname = "Mine"\n'
    study.refused("model 'Mine' has no price")


def test_missing_tokens_cost_not_nothing(study: Study) -> None:
    """Reference: a pair without a token row costs 0.0, which is the cheapest."""
    study.book("GPT4o", RIGHT["GPT4o"], input_tokens=None, output_tokens=None)
    study.refused("the logs record no input_tokens for 6 answers")


def test_a_repeated_row_is_not_dropped_in_silence(study: Study) -> None:
    """Reference: pivots keep the first, whatever the others say."""
    rows = [{"index": i, "question": "q", "prediction": "A", "hit": 1} for i in (*SIX, 3)]
    study.logs.book("GPT4o/GPT4o_MMStar_openai_result.xlsx", rows)
    study.refused("index '3' stands in row 5 already", "row 8")


def test_a_sample_without_a_split_is_not_trained_on(study: Study) -> None:
    """Reference: without split files all rows are training rows, and without test ids everything is evaluated."""
    study.more = ""
    shown = study.vlrb("run")
    assert shown.status == 0, shown.err
    text = study.project.folder / "experiment.toml"
    shares = re.sub(r"\[split\][^\[]*", '[split]\nuse = "given"\n', text.read_text(encoding="utf-8"))
    text.write_text(shares, encoding="utf-8")
    shown = study.project.vlrb("run", text)
    assert shown.status == 4
    assert "the logs give no split of their 6 samples" in shown.err


def test_the_bounds_of_the_rank_score_are_recorded(study: Study) -> None:
    """Reference: without a file of bounds they become the extremes of single entries of C."""
    result = study.vlrb("run", "--json").json["run"]
    assert result["bounds"]["rows"] == "train"
    assert result["bounds"]["low"] == pytest.approx(55 * 0.06 / 1e6)
    assert result["bounds"]["high"] == pytest.approx((50 * 2.5 + 5 * 10) / 1e6)


def test_an_image_that_cannot_be_read_is_not_black(study: Study) -> None:
    """Reference: a black or white picture, or a vector of zeros."""
    broken = study.tsv.read_text(encoding="utf-8").replace("iVBOR", "AAAAA")
    study.tsv.write_text(broken, encoding="utf-8")
    study.refused("an image cannot be read", "MMStar.tsv", "MMStar/0")


def test_a_missing_question_is_not_empty(study: Study) -> None:
    """Reference: '' or "No text available"."""
    text = study.tsv.read_text(encoding="utf-8")
    study.tsv.write_text(text.replace("question", "kwestion", 1), encoding="utf-8")
    study.refused("must have one column 'question'")


def test_a_router_that_raises_has_no_numbers(study: Study) -> None:
    """Reference: an empty table, or a wrong choice that costs 0."""
    study.project.experiment()  # the tiny plugin stands beside the experiment file
    study.top, study.routers = 'plugins = ["tiny.py"]', '[[router]]\nuse = "faulty"\nfault = "raise"\n'
    shown = study.vlrb("run", "--json")
    assert (shown.status, shown.json["cells"][0]["status"], shown.json["cells"][0]["scores"]) == (1, "failed", {})


def test_what_was_not_measured_is_undefined(study: Study) -> None:
    """Reference: -1 milliseconds where profiling fails."""
    for reference in study.vlrb("run", "--json").json["references"]:
        assert reference["test"]["scores"]["overall"]["routing-ms"] == {"undefined": "no router was timed"}


def test_baselines_are_fitted_on_train(study: Study) -> None:
    """Reference: strongest and cheapest are chosen on test, where they are then evaluated."""
    result = study.vlrb("run", "--json").json
    names = {r["name"]: r["summary"] for r in result["references"]}
    assert all("on train" in names[n] for n in ("best-single", "cheapest-single", "strongest-per-dataset"))


def test_a_check_that_finds_a_problem_does_not_exit_with_0(study: Study) -> None:
    """Reference: its validation tool prints success whatever it finds."""
    study.more = '[benchmark]\nmodels = ["GPT5"]\n'
    assert study.vlrb("check").status == 4


def test_changed_logs_are_read_again(study: Study) -> None:
    """Reference: a step is skipped where its output exists, whatever has changed before it."""
    before = study.vlrb("build", "--json").json["models"][0]["correct"]
    study.book("GPT4o", (1,) * 6)
    assert (before, study.vlrb("build", "--json").json["models"][0]["correct"]) == (4, 6)


def test_models_and_rows_are_joined_by_name_and_id(study: Study) -> None:
    """Reference: columns and rows are taken as they lie; here a file in another order gives the same benchmark."""
    first = study.vlrb("build", "--json").json["fingerprint"]
    rows = [
        {
            "index": i,
            "question": f"q{i}",
            "prediction": "A" if r else "B",
            "hit": r,
            "input_tokens": 50,
            "output_tokens": 5,
        }
        for i, r in zip(SIX, RIGHT["GPT4o"], strict=True)
    ]
    study.logs.book("GPT4o/GPT4o_MMStar_openai_result.xlsx", rows[::-1])
    assert study.vlrb("build", "--json").json["fingerprint"] == first


def test_matrices_without_names_get_none(tmp_path: Path) -> None:
    """Reference: model_0, model_1, ... where the index is missing."""
    import numpy as np

    from vlrb.api.logs import Catalog
    from vlrb_plugins.prepared import vlrb_log_sources

    (tmp_path / "data" / "matrices").mkdir(parents=True)
    np.savez(tmp_path / "data" / "matrices" / "Y.npz", Y=np.ones((2, 2), np.int8))
    np.save(tmp_path / "data" / "matrices" / "C.npy", np.ones((2, 2), np.float32))
    (tmp_path / "data" / "matrices" / "sample_ids.json").write_text(json.dumps(["D/1", "D/2"]), encoding="utf-8")
    (spec,) = vlrb_log_sources()
    with pytest.raises(DataError, match="names"):
        spec.factory(spec.params(path=tmp_path)).list(Catalog((), ()))


@pytest.mark.parametrize(
    "scorer", ["mcq", "mmmu", "yes-no", "anls", "vqa", "relaxed-accuracy", "ocrbench", "exact-match", ""]
)
def test_a_dataset_without_gold_answers_is_not_answered_wrongly(study: Study, png: Any, scorer: str) -> None:
    """unknown = "wrong" is said of answers; without a gold answer there is no right one, whatever the scorer."""
    rule = f'scorer = "{scorer}"\n' if scorer else ""
    study.more = f'[benchmark]\nunknown = "wrong"\n[[dataset]]\nname = "Own"\ngroup = "own"\n{rule}'
    for path in (study.tsv, *study.books.values()):
        path.unlink()
    rows = [
        {"index": str(i), "question": "q", "A": "a", "B": "b", "category": "Doc-oriented VQA", "image": png(i)}
        for i in SIX
    ]
    study.logs.tsv("LMUData/Own.tsv", rows)
    for model in MODELS:
        study.book(model, RIGHT[model], f"{model}/{model}_Own.xlsx", hit=None)
    study.refused("Own: the sample has no gold answer", "6 of 6 samples: Own/0")


def test_a_judge_that_failed_is_no_wrong_answer(study: Study) -> None:
    """Reference: hit is taken as it stands; VLMEvalKit draws it at random where its judge failed."""
    study.book(
        "GPT4o",
        RIGHT["GPT4o"],
        prediction="neither",
        log="Match Log: Failed to predict, thus randomly generate one. . ",
    )
    study.refused("6 answers of GPT4o have no verdict", "the judge of the logs failed on 6 answers")
    study.more = '[benchmark]\nunknown = "wrong"\n'
    report = study.vlrb("build", "--json").json
    assert [m["failed_judges"] for m in report["models"]] == [6, 0]
    assert [(o["model"], o["failed_judges"]) for o in report["outcomes"]] == [("GPT4o", 6), ("SmolVLM2", 0)]
    assert [e["count"] for e in report["excluded"]] == [6]
    assert "the judge of the logs failed on 6 answers" in study.vlrb().out


def test_answers_to_rows_without_an_image(study: Study, png: Callable[[int], str]) -> None:
    """VLMEvalKit leaves such rows out; answers to them name the rows, how many, and the policy, which is counted."""
    rows = [
        {"index": str(i), "question": f"q{i}", "A": "a", "B": "b", "answer": "A", "image": png(i) if i else ""}
        for i in SIX
    ]
    study.logs.tsv("LMUData/MMStar.tsv", rows)
    study.refused("1 answers are to samples that have no image", "MMStar/0", 'without_image = "drop-answers"')

    study.source = 'without_image = "drop-answers"'
    report = study.vlrb("build", "--json").json
    assert (report["samples"], [m["correct"] for m in report["models"]]) == (5, [3, 3])
    assert [(e["reason"].split(" (")[1], e["count"]) for e in report["excluded"]] == [
        (f"MMStar, {m})", 1) for m in MODELS
    ]

    study.source = 'without_image = "keep"'
    report = study.vlrb("build", "--json").json
    assert (report["samples"], [m["correct"] for m in report["models"]]) == (6, [4, 3])
    assert report["datasets"][0]["images"] == 5
