"""Which files belong to which model and dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vlrb.api.records import Dataset

ANSWERS = [{"index": 1, "question": "?", "prediction": "A"}]
SCORED = [{"index": 1, "question": "?", "prediction": "A", "is_correct": 1}]


def parts(listing: Any, root: Path) -> dict[str, list[str]]:
    """Return the files of each part, relative to the root."""
    return {p.id: [f.relative_to(root).as_posix() for f in p.files] for p in listing.parts}


def ignored(listing: Any, root: Path) -> dict[str, str]:
    """Return path -> reason, relative to the root."""
    return {Path(path).relative_to(root).as_posix(): why for path, why in listing.ignored.items()}


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["TSV_images", "LMUData"])
@pytest.mark.parametrize("suffix", ["", "_openai_result"])
def test_published_layout(logs: Any, png: Any, folder: str, suffix: str) -> None:
    """The archive of VL-RouterBench: verdicts and predictions in a tree each, images in a third folder."""
    scored = f"VLMEvalKit_evaluation/Gemini/Gemini_MMStar{suffix}.xlsx"
    answers = "VLMEvalKit_inference/Gemini/Gemini_MMStar.xlsx"
    logs.book(scored, SCORED)
    logs.book(answers, ANSWERS)
    logs.tsv(f"{folder}/MMStar.tsv", [{"index": "1", "question": "?", "image": png()}])
    listing = logs.list(images="required")
    assert parts(listing, logs.root) == {
        "samples/MMStar": [f"{folder}/MMStar.tsv"],
        "outcomes/MMStar/Gemini": [answers, scored],
    }
    assert not listing.ignored
    outcomes = next(p for p in listing.parts if p.kind == "outcomes")
    assert (outcomes.dataset, outcomes.model) == ("MMStar", "Gemini")
    assert logs.read(outcomes)[0]["score"] == 1


def test_only_evaluation(logs: Any) -> None:
    """Scored workbooks hold the predictions too, so they are enough."""
    logs.book("VLMEvalKit_evaluation/Gemini/Gemini_MMStar.xlsx", SCORED)
    (part,) = (p for p in logs.list().parts if p.kind == "outcomes")
    assert [(r["prediction"], r["score"]) for r in logs.read(part)] == [("A", 1.0)]


def test_flat_layout(logs: Any) -> None:
    """A folder per model with predictions, verdicts and everything else that VLMEvalKit writes in one place."""
    logs.book("Gemini/Gemini_MMStar.xlsx", ANSWERS)
    logs.book("Gemini/Gemini_MMStar_gpt-4o-mini_result.xlsx", SCORED)
    logs.book("Gemini/Gemini_MathVerse_MINI.xlsx", ANSWERS)
    logs.book("Gemini/Gemini_MathVerse_MINI_gpt-4o-mini_score.xlsx", SCORED)
    logs.book("Gemini/Gemini_MathVerse_MINI_gpt-4o-mini_extract.xlsx", ANSWERS)
    logs.text("Gemini/Gemini_MMStar_acc.csv", "x")
    logs.text("Gemini/Gemini_OCRBench_score.json", "x")
    listing = logs.list()
    assert parts(listing, logs.root) == {
        "samples/MMStar": ["Gemini/Gemini_MMStar.xlsx"],
        "samples/MathVerse_MINI": ["Gemini/Gemini_MathVerse_MINI.xlsx"],
        "outcomes/MMStar/Gemini": ["Gemini/Gemini_MMStar.xlsx", "Gemini/Gemini_MMStar_gpt-4o-mini_result.xlsx"],
        "outcomes/MathVerse_MINI/Gemini": [
            "Gemini/Gemini_MathVerse_MINI.xlsx",
            "Gemini/Gemini_MathVerse_MINI_gpt-4o-mini_score.xlsx",
        ],
    }
    assert ignored(listing, logs.root) == {
        "Gemini/Gemini_MathVerse_MINI_gpt-4o-mini_extract.xlsx": "a judge's intermediate file",
        "Gemini/Gemini_MMStar_acc.csv": "a summary of scores",
        "Gemini/Gemini_OCRBench_score.json": "a summary of scores",
    }


def test_predictions_as_csv_are_no_summary(logs: Any, refused: Any) -> None:
    """A CSV file without the suffix of a summary is named as what it is, with the formats that are read."""
    path = logs.text("Gemini/Gemini_MMStar.csv", "index,prediction\n1,A\n")
    with refused("CSV is not read", "xlsx, TSV or JSON", path.name, place=logs.root, fix="check"):
        logs.list()


def test_models_beside_the_published_folders_are_reported(logs: Any) -> None:
    """A model's folder in the wrong place is not passed over in silence."""
    logs.book("VLMEvalKit_evaluation/Gemini/Gemini_MMStar.xlsx", SCORED)
    logs.book("Gemini-Pro/Gemini-Pro_MMStar.xlsx", SCORED)
    (reason,) = ignored(logs.list(), logs.root).values()
    assert "stands beside VLMEvalKit_evaluation" in reason


def test_data_folder_elsewhere(logs: Any, png: Any, tmp_path: Path) -> None:
    """The TSV files may stand in a folder of their own."""
    logs.book("Gemini/Gemini_MMStar.xlsx", ANSWERS)
    file = logs.tsv("../data/MMStar.tsv", [{"index": "1", "question": "?", "image": png()}])
    listing = logs.list(images="required", data=tmp_path / "data")
    assert next(p for p in listing.parts if p.kind == "samples").files[0].samefile(file)


def test_missing_tsv_folder(logs: Any, refused: Any) -> None:
    """Images are asked for unless the experiment says otherwise: without them there is no benchmark."""
    logs.book("Gemini/Gemini_MMStar.xlsx", ANSWERS)
    with refused("TSV_images", "LMUData", place="[logs]", fix='images = "none"'):
        logs.list(images="required")


def test_missing_tsv_files(logs: Any, refused: Any) -> None:
    """All missing TSV files are named at once."""
    for dataset in ("MMStar", "AI2D_TEST"):
        logs.book(f"Gemini/Gemini_{dataset}.xlsx", ANSWERS)
    folder = logs.folder("LMUData")
    with refused("no such file", "MMStar.tsv", place=folder / "AI2D_TEST.tsv", fix='images = "none"'):
        logs.list(images="required")


# --- names ------------------------------------------------------------------------------------------------------------


def test_model_names_that_begin_one_another(logs: Any) -> None:
    """The folder says which model it is; names with _ . and - are taken as they are."""
    for model in ("Gemini", "Gemini-Pro", "Gemini-Pro_v1.5", "Qwen2.5-VL_7B", "Qwen2.5-VL_7B-CoT"):
        logs.book(f"{model}/{model}_MMStar.xlsx", ANSWERS)
        logs.book(f"{model}/{model}_MMStar_exact_matching_result.xlsx", SCORED)
    outcomes = [p for p in logs.list().parts if p.kind == "outcomes"]
    assert [p.model for p in outcomes] == sorted(m.name for m in logs.catalog.models)
    assert all(f.name.startswith(f"{p.model}_MMStar") and f.parent.name == p.model for p in outcomes for f in p.files)


def test_a_file_of_another_model(logs: Any, refused: Any) -> None:
    """A workbook in the folder of a model whose name begins its own is not taken for that model's."""
    path = logs.book("Gemini-Pro/Gemini-Pro_v1.5_MMStar.xlsx", ANSWERS)
    with refused("Gemini-Pro_DATASET", place=path, fix="[[dataset]]"):
        logs.list()


def test_aliases(logs: Any) -> None:
    """Models and datasets may be named by an alias; the parts carry the names."""
    logs.known(Dataset("Charts", "general", aliases=("charts-2",)))
    logs.book("Gemini/Gemini_charts-2_gpt-4o.xlsx", SCORED)
    assert [p.dataset for p in logs.list().parts] == ["Charts", "Charts"]


@pytest.mark.parametrize(
    ("stem", "dataset"),
    [
        ("MathVision_MINI", "MathVision_MINI"),
        ("MathVision_MINI_gpt-4o-mini", "MathVision_MINI"),
        ("MathVision", "MathVision"),
        ("MathVision_gpt-4o-mini", "MathVision"),
        ("MMStar_KO_openai_result", "MMStar_KO"),
        ("MMStar_openai_result", "MMStar"),
        ("MMBench_DEV_EN_V11_openai_result", "MMBench_DEV_EN_V11"),
        ("AI2D_openai_result", "AI2D_TEST"),
        ("HallusionBench_auxmatch", "HallusionBench"),
        ("DocVQA_VAL_results", "DocVQA_VAL"),
    ],
)
def test_dataset_names_that_begin_one_another(logs: Any, stem: str, dataset: str) -> None:
    """The longest known name wins, whatever follows it."""
    logs.known(Dataset("MathVision", "stem"), Dataset("MMStar_KO", "general"))
    logs.book(f"Gemini/Gemini_{stem}.xlsx", SCORED)
    assert {p.dataset for p in logs.list().parts} == {dataset}


@pytest.mark.parametrize(
    "stem",
    [
        "MMStar_KO",
        "MMStar_MINI_openai_result",
        "MMStar_FR_openai_result",
        "MathVision_gpt-4o-mini",
        "MMBench_DEV_EN_openai_result",
        "MMBench_V11_MINI",
        "MMBench",
        "AI2D_TEST_NO_MASK",
        "AI2D_MINI",
        "MMMU_Pro_V_COT",
        "MMMU_TEST",
        "OCRBench_v2",
        "DocVQA_TEST",
        "MathVerse_MINI_Vision_Only_gpt-4o-mini_score",
        "SEEDBench_IMG",
    ],
)
def test_other_datasets_are_not_mistaken(logs: Any, refused: Any, stem: str) -> None:
    """A dataset that is not known, though its name begins like a known one's, is an error and never read as the known one."""
    path = logs.book(f"Gemini/Gemini_{stem}.xlsx", SCORED)
    with refused("belongs to no known dataset", place=path, fix="[[dataset]]"):
        logs.list()


def test_unknown_datasets_are_passed_over_when_others_are_asked_for(logs: Any) -> None:
    """With datasets named in [benchmark], everything else is left aside, and listed."""
    logs.known(wanted_datasets=frozenset(["MMStar"]))
    for name in ("MMStar", "MMStar_KO", "AI2D_TEST", "Unheard"):
        logs.book(f"Gemini/Gemini_{name}.xlsx", SCORED)
    listing = logs.list()
    assert {p.dataset for p in listing.parts} == {"MMStar"}
    reason = "a dataset that [benchmark] does not ask for"
    assert ignored(listing, logs.root) == {
        f"Gemini/Gemini_{name}.xlsx": reason for name in ("MMStar_KO", "AI2D_TEST", "Unheard")
    }


def test_unknown_models(logs: Any, refused: Any) -> None:
    """A model without a record has no price: an error that offers the nearest name."""
    logs.book("Gemini/Gemini_MMStar.xlsx", SCORED)
    path = logs.book("Gemini-Prp/Gemini-Prp_MMStar.xlsx", SCORED).parent
    with refused("'Gemini-Prp' is not a known model", place=path, fix="did you mean 'Gemini-Pro'"):
        logs.list()


def test_all_unknown_names_are_reported_at_once(logs: Any, refused: Any) -> None:
    """One run of the command shows everything that is to be repaired."""
    logs.book("Gemini/Gemini_Unheard.xlsx", SCORED)
    logs.book("NoName/NoName_MMStar.xlsx", SCORED)
    with refused("'NoName'", "Gemini_Unheard.xlsx", place=logs.root, fix="declare"):
        logs.list()


def test_unknown_models_are_passed_over_when_others_are_asked_for(logs: Any) -> None:
    """With models named in [benchmark], other folders are left aside, and listed."""
    logs.known(wanted_models=frozenset(["Gemini"]))
    for model in ("Gemini", "Gemini-Pro", "NoName"):
        logs.book(f"{model}/{model}_MMStar.xlsx", SCORED)
    listing = logs.list()
    assert {p.model for p in listing.parts if p.kind == "outcomes"} == {"Gemini"}
    reason = "a model that [benchmark] does not ask for"
    assert ignored(listing, logs.root) == {"Gemini-Pro": reason, "NoName": reason}


@pytest.mark.parametrize(("word", "name"), [("datasets", "AI2D_TEST"), ("models", "Gemini-Pro")])
def test_what_is_asked_for_and_not_there(logs: Any, refused: Any, word: str, name: str) -> None:
    """A model or dataset that [benchmark] names and the logs lack is an error, not a smaller benchmark."""
    logs.known(**{f"wanted_{word}": frozenset([name, "MMStar", "Gemini"])})
    logs.book("Gemini/Gemini_MMStar.xlsx", SCORED)
    with refused(f"no results of {word[:-1]}", repr(name), place=logs.root, fix=f"[benchmark] {word}"):
        logs.list()


# --- several files for one pair ---------------------------------------------------------------------------------------


def test_one_model_under_two_names(logs: Any, refused: Any) -> None:
    """Folders of a model's name and of its alias hold the same pair: both files are shown with their folders."""
    logs.known(Dataset("Charts", "general", aliases=("charts-2",)))
    first = logs.book("Gemini/Gemini_Charts.xlsx", ANSWERS)
    second = logs.book("Gemini/Gemini_charts-2.xlsx", ANSWERS)
    with refused("predictions of Gemini on Charts", str(first), str(second), place=first.parent, fix="keep one"):
        logs.list()


# --- what is passed over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Gemini_MMStar.pkl", "pickles are never loaded"),
        ("Gemini_MMStar_openai_result.pkl", "pickles are never loaded"),
        ("Gemini_MMStar.xlsx.lock", "left-over"),
        ("Gemini_MMStar.xlsx.tmp", "left-over"),
        ("~$Gemini_MMStar.xlsx", "left-over"),
        (".Gemini_MMStar.xlsx", "left-over"),
        ("Gemini_MMStar_checkpoint.pkl", "pickles are never loaded"),
        ("Gemini_MMStar_acc.csv", "a summary"),
        ("Gemini_MMStar.txt", "no table of results"),
        ("status.json", "left-over"),
        ("status.json.lock", "left-over"),
    ],
)
def test_other_files_are_passed_over_with_a_reason(logs: Any, name: str, reason: str) -> None:
    """What VLMEvalKit and spreadsheet programs leave behind is no log, and the listing says so."""
    logs.book("Gemini/Gemini_MMStar.xlsx", SCORED)
    logs.text(f"Gemini/{name}", "not a workbook")
    listing = logs.list()
    assert parts(listing, logs.root)["outcomes/MMStar/Gemini"] == ["Gemini/Gemini_MMStar.xlsx"]
    (path,) = ignored(listing, logs.root)
    assert path == f"Gemini/{name}"
    assert reason in listing.ignored[str(logs.root / path)]


def test_other_folders_in_a_models_folder_are_passed_over(logs: Any) -> None:
    """A folder that is no run directory is listed too."""
    logs.book("Gemini/Gemini_MMStar.xlsx", SCORED)
    logs.folder("Gemini/notes")
    assert ignored(logs.list(), logs.root) == {"Gemini/notes": "a folder"}


# --- nothing to read --------------------------------------------------------------------------------------------------


def test_missing_folder(logs: Any, refused: Any) -> None:
    """A wrong path is named with the key that holds it."""
    with refused(f"no folder {logs.root}", place="[logs] path", fix="a folder per model"):
        logs.list()


def test_a_file_in_place_of_the_folder(logs: Any, refused: Any) -> None:
    """An archive that was not unpacked is not a folder."""
    logs.root.write_text("no folder", encoding="utf-8")
    with refused(f"no folder {logs.root}", place="[logs] path", fix="a folder per model"):
        logs.list()


@pytest.mark.parametrize("folders", [["."], ["Gemini"], ["VLMEvalKit_evaluation", "VLMEvalKit_inference"]])
def test_folders_without_results(logs: Any, refused: Any, folders: list[str]) -> None:
    """An empty tree is an error, whatever its shape."""
    for folder in folders:
        logs.folder(folder)
    with refused("holds no results", place=logs.root, fix="[logs] path"):
        logs.list()


def test_the_folder_of_one_model_is_no_tree(logs: Any, refused: Any) -> None:
    """The path of a model's own folder is a likely slip: the error says what the folder should hold."""
    logs.book("Gemini_MMStar.xlsx", SCORED)
    with refused("holds no results", place=logs.root, fix="a folder per model"):
        logs.list()
