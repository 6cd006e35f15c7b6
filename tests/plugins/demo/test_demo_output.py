"""The tree of VLMEvalKit's own output: everything that a real one has, and nothing that only the published archive has."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vlrb_plugins.demo.answer_texts import FAILED, simplified
from vlrb_plugins.demo.profiles import PROFILES
from vlrb_plugins.demo.run_settings import IN_SUPERSEDED, IN_UNFINISHED, RUN, SUPERSEDED_RUN, UNFINISHED_RUN
from vlrb_plugins.demo.scoring import inferred
from vlrb_plugins.scorers.vqa import normalised
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.formats import read_table
from vlrb_plugins.vlmevalkit.table import text
from vlrb_plugins.vlmevalkit.tree import RUN_DIRECTORY

if TYPE_CHECKING:
    from .conftest import Output

DATASET_NAMES = [d.name for d in DATASETS]
MODEL_NAMES = [p.name for p in PROFILES]
CHOICE = ("MMBench_DEV_EN_V11", "MMStar", "MMMU_DEV_VAL", "RealWorldQA", "AI2D_TEST")
MATHS = ("MathVista_MINI", "MathVision_MINI", "MathVerse_MINI")
SHORT = ("InfoVQA_VAL", "DocVQA_VAL", "TextVQA_VAL", "ChartQA_TEST")


def contents(root: Path) -> dict[str, bytes]:
    """Return path below the root -> content, or where a link leads."""
    paths = [p for p in root.rglob("*") if p.is_symlink() or p.is_file()]
    return {str(p.relative_to(root)): str(p.readlink()).encode() if p.is_symlink() else p.read_bytes() for p in paths}


def stored(output: Output, model: str, dataset: str, suffix: str) -> Path:
    """Return the only file of a model on a dataset with this suffix, links and other runs aside."""
    folder = output.root / model
    other = (SUPERSEDED_RUN, UNFINISHED_RUN)
    (path,) = [
        p for p in folder.rglob(f"{model}_{dataset}{suffix}") if not p.is_symlink() and p.parent.name not in other
    ]
    return path


def test_equal_parameters_give_equal_files(output: Output, tmp_path: Path) -> None:
    """Anyone who names samples and seed gets the very same tree, links included, in a process with other hashes too."""
    code = "from pathlib import Path; from vlrb_plugins.demo.vlmevalkit_output import write_output; write_output(Path('.'), 300, 0)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "7"}, check=True)
    assert contents(tmp_path) == contents(output.root)


def test_nothing_says_what_only_the_archive_says(output: Output) -> None:
    """VLMEvalKit stores neither is_correct nor token counts: a reader that needs them fails here."""
    names = {name for path in output.tables() for name in read_table(path).header}
    assert not names & {"is_correct", "input_tokens", "output_tokens"}
    assert {"hit", "score", "eval_match", "res", "extract", "extracted", "thinking"} <= names
    assert sorted(p.name for p in (output.root / "LMUData").iterdir()) == sorted(f"{d}.tsv" for d in DATASET_NAMES)


def test_runs_are_of_several_ages(output: Output) -> None:
    """Run directories of the current and of the older form, and models without any; most are current."""
    runs = {m: sorted(p.name for p in (output.root / m).iterdir() if p.is_dir()) for m in MODEL_NAMES}
    assert all(RUN_DIRECTORY.fullmatch(name) for names in runs.values() for name in names)
    assert [m for m, names in runs.items() if not names] == ["Janus-Pro-1B", "Janus-Pro-7B"]
    old = [m for m, names in runs.items() if any("_G" in name for name in names)]
    assert old == ["InternVL2_5-78B", "Pixtral-12B", "deepseek_vl2_tiny"]
    assert sum(any(re.fullmatch(r"T\d{8}-\d{6}", n) for n in names) for names in runs.values()) == 12


@pytest.mark.parametrize(
    ("model", "suffixes"),
    [
        ("GPT4o", {"_gpt-4o-mini_result.xlsx", "_gpt-4o-mini.xlsx", "_auxmatch.xlsx", "_results.xlsx"}),
        ("GPT4o", {"_gpt-4o-mini_extract.xlsx", "_gpt-4o-mini_score.xlsx", "_gpt-4o-mini_score.csv"}),
        ("GPT4o", {"_acc.csv", "_score.csv", "_score.json"}),
        ("Janus-Pro-1B", {"_openai_result.xlsx", "_gpt-4-turbo.xlsx", "_gpt-4-turbo_score.xlsx"}),
        ("Pixtral-12B", {"_openai_result.xlsx"}),
        ("InternVL2_5-78B", {"_gpt-4o-mini_result.xlsx"}),
        ("SmolVLM2", {"_exact_matching_result.xlsx", "_gpt-4o-mini.xlsx"}),
        (
            "deepseek_vl2",
            {".tsv", "_gpt-4o-mini_result.tsv", "_auxmatch.tsv", "_results.tsv", "_gpt-4o-mini_score.tsv"},
        ),
        ("Qwen2.5-VL-32B-Instruct", {".tsv", "_gpt-4o-mini.tsv", "_gpt-4o-mini_extract.tsv"}),
    ],
)
def test_files_end_as_their_age_and_settings_have_it(output: Output, model: str, suffixes: set[str]) -> None:
    """Judges and formats of each age stand in the names of files, by which alone a reader finds them."""
    names = [p.name for p in (output.root / model).rglob(f"{model}_*")]
    longest = sorted(DATASET_NAMES, key=len, reverse=True)
    found = {name.removeprefix(f"{model}_{next(d for d in longest if d in name)}") for name in names}
    assert suffixes <= found


def test_links_name_the_evaluated_run(output: Output) -> None:
    """Links are relative and lead to files of one run; they name no run that failed or whose evaluation did not finish."""
    links = [p for p in output.root.rglob("*") if p.is_symlink()]
    assert all(not p.readlink().is_absolute() and p.resolve().is_file() for p in links)
    assert all(p.resolve().name == p.name and p.resolve().parent.parent == p.parent.resolve() for p in links)
    runs = {m: {p.resolve().parent.name for p in links if p.parent.name == m} for m in MODEL_NAMES}
    assert runs["GPT4o"] == runs["GeminiFlash2-5"] == {RUN}
    assert runs["InternVL2_5-78B"] == {"T20251025_G1a2b3c4d"}
    assert [m for m, names in runs.items() if not names] == ["Janus-Pro-1B", "Janus-Pro-7B", "deepseek_vl2_tiny"]
    assert {d for p in links if p.parent.name == "Phi-3.5-Vision" for d in DATASET_NAMES if d in p.name} == set(MATHS)


def test_other_runs_hold_other_answers(output: Output) -> None:
    """Whoever reads an earlier run, or a later one that was never evaluated, reads the opposite of what is true."""
    for model, run, datasets in (
        ("GPT4o", SUPERSEDED_RUN, IN_SUPERSEDED),
        ("GeminiFlash2-5", UNFINISHED_RUN, IN_UNFINISHED),
    ):
        found = {d for d in DATASET_NAMES for p in (output.root / model / run).glob(f"{model}_{d}.xlsx")}
        assert found == datasets
        for dataset in datasets:
            name = f"{model}_{dataset}.xlsx"
            pairs = zip(*(output.column(f"{model}/{r}/{name}", "prediction") for r in (RUN, run)), strict=True)
            assert all(a != b for a, b in pairs if FAILED not in (a, b)), dataset
    assert not list((output.root / "GeminiFlash2-5" / UNFINISHED_RUN).glob("*_result*"))


def test_mmbench_is_scored_once_per_question(output: Output) -> None:
    """Predictions hold all rotations, the scored file the questions themselves, with g_index, hit and log."""
    predicted = read_table(stored(output, "SmolVLM2", "MMBench_DEV_EN_V11", ".xlsx"))
    scored = read_table(stored(output, "SmolVLM2", "MMBench_DEV_EN_V11", "_exact_matching_result.xlsx"))
    indices = [int(text(c)) for c in predicted.column("index")]
    assert [int(text(c)) for c in scored.column("index")] == sorted(i for i in indices if i < 1_000_000)
    assert len(indices) > 2 * len(scored.rows)
    assert scored.column("g_index") == scored.column("index")
    assert set(scored.column("hit")) == {0, 1}
    assert all(scored.column("log"))


def test_multiple_choice_changes_the_case_of_columns(output: Output) -> None:
    """Scored files of multiple choice have small letters in all names of columns but those of options; others keep theirs."""
    predicted = read_table(stored(output, "GPT4o", "AI2D_TEST", ".xlsx")).header
    scored = read_table(stored(output, "GPT4o", "AI2D_TEST", "_gpt-4o-mini_result.xlsx")).header
    assert "abcLabel" in predicted
    assert scored == (*(n if len(n) == 1 else n.lower() for n in predicted), "hit", "log")


def test_open_questions_of_mmmu_become_a_choice(output: Output) -> None:
    """Scoring writes the gold answer into A and "Other Answers" into B; the predictions have no options there."""
    predicted = read_table(stored(output, "Gemma3-27B", "MMMU_DEV_VAL", ".xlsx"))
    scored = read_table(stored(output, "Gemma3-27B", "MMMU_DEV_VAL", "_gpt-4o-mini_result.xlsx"))
    spots = [i for i, kind in enumerate(scored.column("question_type")) if kind == "open"]
    assert spots
    for i in spots:
        assert (text(predicted.column("A")[i]), text(predicted.column("B")[i])) == ("", "")
        assert text(scored.column("A")[i]) == text(scored.column("answer")[i])
        assert scored.column("B")[i] == "Other Answers"


@pytest.mark.parametrize("dataset", ["DocVQA_VAL", "InfoVQA_VAL"])
def test_documents_are_scored_by_distances(output: Output, dataset: str) -> None:
    """A perfect answer has distance 0 to its gold answer and a mean above 0: neither column is correctness as it stands."""
    table = read_table(stored(output, "SmolVLM2", dataset, "_results.xlsx"))
    kinds = set()
    cells = [table.column(c) for c in ("prediction", "answer", "eval_gt", "eval_match", "eval_score")]
    for said, answer, gold, match, mean in zip(*cells, strict=True):
        distances = ast.literal_eval(text(match))
        assert ast.literal_eval(text(gold)) == ast.literal_eval(text(answer))
        assert mean == pytest.approx(sum(distances) / len(distances))
        assert (min(distances) == 0) == (text(said) == ast.literal_eval(text(answer))[0])
        kinds.add(0 if min(distances) == 0 else 1 if min(distances) <= 0.5 else 2)
        assert float(text(mean)) > 0
    assert {0, 1} <= kinds


def test_short_answers_are_scored_by_matches(output: Output) -> None:
    """The best of ChartQA's matches counts and the mean of TextVQA's, so a reader that mixes them up is found out."""
    charts = read_table(stored(output, "GPT4o", "ChartQA_TEST", "_results.xlsx"))
    assert set(charts.column("eval_match")) == {"[1.0, 0.0]", "[0.0, 0.0]"}
    assert set(charts.column("eval_score")) == {0.5, 0}
    signs = read_table(stored(output, "SmolVLM2", "TextVQA_VAL", "_results.xlsx"))
    assert {len(ast.literal_eval(text(c))) for c in signs.column("eval_match")} == {10}
    assert {round(float(text(c)), 9) for c in signs.column("eval_score")} == {0, 0.6, 1}


def test_short_answers_are_normalised_as_the_rules_have_it(output: Output) -> None:
    """What eval_gt and eval_pred of TextVQA hold is what the rules of punctuation and small words leave."""
    texts = {r["prediction"] for (d, _), rows in output.outcomes.items() if d == "TextVQA_VAL" for r in rows}
    for sample in output.samples["TextVQA_VAL"].values():
        texts.update(ast.literal_eval(sample["answer"]))
    assert FAILED in texts
    assert {t: simplified(t) for t in texts} == {t: normalised(t) for t in texts}


def test_json_is_predictions_only(output: Output) -> None:
    """No evaluation of VLMEvalKit reads JSON; empty cells are bare NaN there, which strict JSON does not have."""
    (run,) = {p.parent for p in output.tables("Phi-3.5-Vision/*/*.json")}
    names = sorted(p.name for p in run.iterdir() if not p.name.startswith("status.json"))
    assert names == sorted(f"Phi-3.5-Vision_{d}.json" for d in DATASET_NAMES if d not in MATHS)
    mmbench = (run / "Phi-3.5-Vision_MMBench_DEV_EN_V11.json").read_text(encoding="utf-8")
    constants: list[str] = []
    rows = json.loads(mmbench, parse_constant=constants.append)
    assert set(constants) == {"NaN"}
    assert all(isinstance(row["prediction"], str) for row in rows)


def test_thoughts_stand_before_the_answer_or_beside_it(output: Output) -> None:
    """One model thinks in its answer, of another VLMEvalKit splits the thoughts off; both must cost tokens, neither be scored."""
    before = read_table(stored(output, "Kimi-VL-A3B-Thinking-2506", "MMStar", ".xlsx"))
    assert all(
        re.fullmatch(r"<think>[^<]+</think>\nThe answer is [A-D]\.", text(c)) for c in before.column("prediction")
    )
    assert not before.has("thinking")
    for dataset in DATASET_NAMES:
        beside = read_table(stored(output, "MiMo-VL-7B-RL", dataset, ".xlsx"))
        assert beside.header[-2:] == ("prediction", "thinking")
        assert not any("think>" in text(c) for c in beside.column("prediction"))
        assert all(beside.column("thinking"))


def test_failed_calls_are_answers(output: Output) -> None:
    """Remote models fail at times: the marker stands in the predictions and is counted wrong."""
    for model in MODEL_NAMES:
        failed = {key for key, truth in output.truth.items() if key[2] == model and truth.failed}
        assert bool(failed) == (model in ("GPT4o", "GeminiFlash2-5"))
        assert all(output.truth[key].score == 0 for key in failed)
        for dataset, key, _ in failed:
            (row,) = [r for r in output.outcomes[dataset, model] if r["key"] == key]
            assert (row["prediction"], row["failed"]) == (FAILED, True)


def test_scoring_guesses_types_as_pandas_does(output: Output) -> None:
    """A column of nothing but whole numbers comes back as numbers once scoring has read and written it."""
    predicted = read_table(stored(output, "GPT4o", "MathVerse_MINI", ".xlsx")).column("prediction")
    scored = read_table(stored(output, "Gemma3-27B", "MathVerse_MINI", "_gpt-4o-mini_score.xlsx")).column("prediction")
    assert all(isinstance(c, str) for c in predicted)
    assert not any(isinstance(c, str) for c in scored)
    assert inferred(["3", "14"]) == [3, 14]
    assert inferred(["3", ""]) == [3.0, ""]
    assert inferred(["3", "x"]) == ["3", "x"]
    assert inferred(["007", "3"]) == ["007", "3"]
    assert inferred(["True", "False"]) == [True, False]
    assert inferred(["", ""]) == ["", ""]
    assert inferred([3, 4]) == [3, 4]


def test_leftovers_lie_about(output: Output) -> None:
    """Lock files, status files and pickles are there, and no pickle can be loaded: whoever tries fails."""
    names = [p.name for p in output.root.rglob("*")]
    for end in ("status.json", "status.json.lock", "_checkpoint.pkl", "_PREV.pkl", "_result.pkl"):
        assert any(n.endswith(end) for n in names), end
    assert any(n.startswith("~$") and n.endswith(".xlsx") for n in names)
    for path in output.root.rglob("*.pkl"):
        with (
            pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError)),
            contextlib.closing(path.open("rb")) as file,
        ):
            pickle.load(file)


def test_status_says_which_runs_are_finished(output: Output) -> None:
    """Newer versions note the state of a run; the one that was never evaluated says so."""
    folder = output.root / "GeminiFlash2-5"
    states = {}
    for path in folder.glob("*/status.json"):
        status = json.loads(path.read_text(encoding="utf-8"))
        states[path.parent.name] = {d["status"] for d in status["datasets"].values()}
        assert all((path.parent / d["prediction_file"]).is_file() for d in status["datasets"].values())
    assert states == {RUN: {"done"}, UNFINISHED_RUN: {"infer"}}


def test_tree_says_that_it_is_synthetic(output: Output) -> None:
    """Nobody who finds the files can take them for answers of the real models."""
    assert "synthetic" in (output.root / "SYNTHETIC.txt").read_text(encoding="utf-8")
