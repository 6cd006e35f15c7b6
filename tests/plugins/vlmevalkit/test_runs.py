"""Which of several files of one model and dataset is read: run directories, links, judges, formats."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

ANSWERS = [{"index": 1, "question": "?", "prediction": "A"}]
OLD, NEW = "T20260901-120000", "T20260902-080000"


def scored(hit: int = 1) -> list[dict[str, object]]:
    """Return one row with a verdict."""
    return [ANSWERS[0] | {"hit": hit}]


def run(logs: Any, name: str, *judges: str, hit: int = 1, model: str = "Gemini") -> Path:
    """Write a run directory of MMStar: predictions, and the verdicts of some judges."""
    logs.book(f"{model}/{name}/{model}_MMStar.xlsx", ANSWERS)
    for judge in judges:
        logs.book(f"{model}/{name}/{model}_MMStar_{judge}_result.xlsx", scored(hit))
    return logs.root / model / name


def link(logs: Any, target: Path, *, absolute: bool = False) -> Path:
    """Link a file of a run directory into the folder of its model, as VLMEvalKit does."""
    path: Path = target.parents[1] / target.name
    path.symlink_to(target if absolute else os.path.relpath(target, path.parent))
    return path


def read(logs: Any, **params: Any) -> tuple[list[str], dict[str, str]]:
    """Return the files of the one pair, below its model's folder, and what was passed over, with the reasons."""
    listing = logs.list(**params)
    (part,) = (p for p in listing.parts if p.kind == "outcomes")
    ignored = {Path(path).relative_to(logs.root).as_posix(): why for path, why in listing.ignored.items()}
    return [f.relative_to(logs.root / "Gemini").as_posix() for f in part.files], ignored


# --- run directories --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [OLD, "T20251025_G1a2b3c4d", "T20251025_G", "T20251025_Gunknown"])
def test_run_directories(logs: Any, name: str) -> None:
    """Both forms of run ids are read, and those forms of the older one that VLMEvalKit itself does not know."""
    run(logs, name, "openai")
    assert read(logs) == ([f"{name}/Gemini_MMStar.xlsx", f"{name}/Gemini_MMStar_openai_result.xlsx"], {})


@pytest.mark.parametrize("name", ["T2025-10-25", "20260901-120000", "T20260901", "T20260901-1200", "xT20260901-120000"])
def test_other_folders_are_no_runs(logs: Any, name: str) -> None:
    """A folder of another name is no run, and is reported."""
    run(logs, OLD)
    logs.book(f"Gemini/{name}/Gemini_MMStar.xlsx", ANSWERS)
    files, ignored = read(logs)
    assert files == [f"{OLD}/Gemini_MMStar.xlsx"]
    assert ignored == {f"Gemini/{name}": "a folder"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (OLD, NEW),
        ("T20251025_G1a2b3c4d", OLD),
        ("T20251025_Gffff", "T20251026_G0000"),
        ("T20260901_Gffff", OLD),
        ("", OLD),
        ("", "T20251025_G"),
    ],
)
def test_the_newest_run(logs: Any, older: str, newer: str) -> None:
    """Without links the newest run is read, and the other is reported with the reason."""
    run(logs, newer)
    logs.book(f"Gemini/{older}/Gemini_MMStar.xlsx", [ANSWERS[0] | {"prediction": "B"}])
    files, ignored = read(logs)
    assert files == [f"{newer}/Gemini_MMStar.xlsx"]
    assert list(ignored.values()) == [f"another run: {newer} is the newest, by its name"]


@pytest.mark.parametrize("absolute", [False, True])
def test_links_name_the_run(logs: Any, absolute: bool) -> None:
    """Links name the last run whose evaluation finished: the files of a newer, unfinished one are not mixed with its."""
    old, _ = run(logs, OLD, "openai"), run(logs, NEW)
    link(logs, old / "Gemini_MMStar.xlsx", absolute=absolute)
    link(logs, old / "Gemini_MMStar_openai_result.xlsx", absolute=absolute)
    files, ignored = read(logs)
    assert files == [f"{OLD}/Gemini_MMStar.xlsx", f"{OLD}/Gemini_MMStar_openai_result.xlsx"]
    assert ignored == {f"Gemini/{NEW}/Gemini_MMStar.xlsx": f"another run: the links in the model's folder name {OLD}"}


@pytest.mark.parametrize(
    "form", ["copy", "{run}/{name}", "/elsewhere/Gemini/{run}/{name}", "..\\Gemini\\{run}\\{name}\n"]
)
def test_copied_links_name_the_run(logs: Any, form: str) -> None:
    """What a copying program made of a link, a copy or a text with the path, names the run as the link did, and is reported."""
    old, _ = run(logs, OLD, "openai"), run(logs, NEW, "openai", hit=0)
    names = ["Gemini_MMStar.xlsx", "Gemini_MMStar_openai_result.xlsx"]
    for name in names:
        if form == "copy":
            shutil.copy(old / name, logs.root / "Gemini" / name)
        else:
            logs.text(f"Gemini/{name}", form.format(run=OLD, name=name))
    files, ignored = read(logs)
    assert files == [f"{OLD}/{name}" for name in names]
    for name in names:
        assert f"{OLD}/{name}" in ignored[f"Gemini/{name}"]
        assert "another run" in ignored[f"Gemini/{NEW}/{name}"]


def test_a_file_and_its_link_are_one(logs: Any) -> None:
    """A link and what it names are not two files."""
    link(logs, run(logs, OLD) / "Gemini_MMStar.xlsx")
    assert read(logs) == ([f"{OLD}/Gemini_MMStar.xlsx"], {})


def test_a_run_that_took_over_predictions(logs: Any) -> None:
    """A run may link the predictions of an earlier one: they belong to both."""
    old, new = run(logs, OLD), run(logs, NEW, "openai")
    (new / "Gemini_MMStar.xlsx").unlink()
    (new / "Gemini_MMStar.xlsx").symlink_to(f"../{OLD}/Gemini_MMStar.xlsx")
    assert read(logs)[0] == [f"{NEW}/Gemini_MMStar.xlsx", f"{NEW}/Gemini_MMStar_openai_result.xlsx"]
    assert read(logs, run=OLD)[0] == [f"{old.name}/Gemini_MMStar.xlsx"]


def test_a_link_to_elsewhere(logs: Any, tmp_path: Path) -> None:
    """A link to a file outside the model's folder is that file."""
    path = logs.book("../elsewhere/results.xlsx", scored())
    logs.folder("Gemini")
    (logs.root / "Gemini" / "Gemini_MMStar.xlsx").symlink_to(path)
    assert read(logs) == (["Gemini_MMStar.xlsx"], {})


def test_a_run_directory_on_another_disk(logs: Any, tmp_path: Path) -> None:
    """A run directory may itself be a link."""
    directory = run(logs, OLD)
    shutil.move(directory, tmp_path / "disk")
    directory.symlink_to(tmp_path / "disk")
    link(logs, directory / "Gemini_MMStar.xlsx")
    files, ignored = read(logs)
    assert files == [f"{OLD}/Gemini_MMStar.xlsx"]
    assert set(ignored) == {"Gemini/Gemini_MMStar.xlsx"}


def test_a_moved_tree(logs: Any, tmp_path: Path) -> None:
    """Absolute links break when a tree is moved; they still tell the run, and are reported."""
    old, _ = run(logs, OLD), run(logs, NEW)
    link(logs, old / "Gemini_MMStar.xlsx", absolute=True)
    shutil.move(logs.root, tmp_path / "moved")
    logs.root = tmp_path / "moved"
    files, ignored = read(logs)
    assert files == [f"{OLD}/Gemini_MMStar.xlsx"]
    assert f"which is not there; {OLD}/Gemini_MMStar.xlsx is looked at instead" in ignored["Gemini/Gemini_MMStar.xlsx"]
    assert f"name {OLD}" in ignored[f"Gemini/{NEW}/Gemini_MMStar.xlsx"]


def test_dangling_links_are_reported(logs: Any) -> None:
    """A link whose run was not copied is passed over with the reason where other files are there."""
    run(logs, NEW)
    link(logs, logs.root / "Gemini" / OLD / "Gemini_MMStar.xlsx")
    files, ignored = read(logs)
    assert files == [f"{NEW}/Gemini_MMStar.xlsx"]
    assert ignored == {"Gemini/Gemini_MMStar.xlsx": f"a link to {OLD}/Gemini_MMStar.xlsx, which is not there"}


def test_only_dangling_links(logs: Any, refused: Any) -> None:
    """A tree of links without its run directories is an error that says what to copy."""
    logs.folder("Gemini")
    path = link(logs, logs.root / "Gemini" / OLD / "Gemini_MMStar.xlsx")
    with refused("links to files that are not there", path.name, place=logs.root, fix="with its run directories"):
        logs.list()


def test_a_link_to_itself(logs: Any) -> None:
    """A loop of links is a link to nothing, not a crash."""
    run(logs, OLD)
    (logs.root / "Gemini" / "Gemini_AI2D_TEST.xlsx").symlink_to("Gemini_AI2D_TEST.xlsx")
    assert "not there" in read(logs)[1]["Gemini/Gemini_AI2D_TEST.xlsx"]


def test_what_is_no_file(logs: Any) -> None:
    """A pipe of a file's name would be read for ever."""
    run(logs, OLD)
    os.mkfifo(logs.root / "Gemini" / "Gemini_AI2D_TEST.xlsx")
    assert read(logs)[1] == {"Gemini/Gemini_AI2D_TEST.xlsx": "no regular file"}


# --- what the experiment pins -----------------------------------------------------------------------------------------


def test_a_pinned_run(logs: Any) -> None:
    """[logs] run chooses among runs, whatever is newest or linked."""
    run(logs, OLD)
    link(logs, run(logs, NEW) / "Gemini_MMStar.xlsx")
    files, ignored = read(logs, run=OLD)
    assert files == [f"{OLD}/Gemini_MMStar.xlsx"]
    assert ignored == {f"Gemini/{NEW}/Gemini_MMStar.xlsx": f"another run: [logs] run asks for {OLD}"}


@pytest.mark.parametrize(("there", "shown"), [((OLD, NEW), f"'{OLD}', '{NEW}'"), (("",), "none")])
def test_a_pinned_run_that_is_not_there(logs: Any, refused: Any, there: tuple[str, ...], shown: str) -> None:
    """Files of another run, or of none, never stand in for the run that was asked for."""
    for name in there:
        run(logs, name)
    with refused("Gemini has no results on MMStar in run 'T1'", shown, place="[logs] run", fix="one of these runs"):
        logs.list(run="T1")


def test_a_pinned_run_beside_a_tree_without_runs(logs: Any) -> None:
    """Of the two published trees one may have no run directories."""
    logs.book("VLMEvalKit_evaluation/Gemini/Gemini_MMStar.xlsx", scored())
    for name in (OLD, NEW):
        logs.book(f"VLMEvalKit_inference/Gemini/{name}/Gemini_MMStar.xlsx", ANSWERS)
    (part,) = (p for p in logs.list(run=OLD).parts if p.kind == "outcomes")
    assert [f.parent.name for f in part.files] == [OLD, "Gemini"]


@pytest.mark.parametrize(
    ("pinned", "chosen"),
    [
        (None, "gpt-4o-mini"),
        ("exact_matching", "exact_matching"),
        ("openai", "openai"),
        ("chatgpt-0125", "openai"),
        ("gpt-4-turbo", "gpt-4-turbo"),
    ],
)
def test_judges(logs: Any, pinned: str | None, chosen: str) -> None:
    """One judge's verdicts are read: the default's, or those of the one that is asked for, under either of its names."""
    run(logs, OLD, "gpt-4-turbo", "exact_matching", "openai", "gpt-4o-mini")
    files, ignored = read(logs, judge=pinned)
    assert files[1] == f"{OLD}/Gemini_MMStar_{chosen}_result.xlsx"
    assert len(ignored) == 3
    assert all(why.startswith("another judge: the verdicts of ") for why in ignored.values())


def test_a_pinned_judge_that_is_not_there(logs: Any, refused: Any) -> None:
    """The verdicts of another judge never stand in for those that were asked for."""
    run(logs, OLD, "openai", "exact_matching")
    words = ("no verdicts of judge 'gpt-4o-mini'", "'chatgpt-0125', 'exact_matching'")
    with refused(*words, place="[logs] judge", fix="one of these judges"):
        logs.list(judge="gpt-4o-mini")


@pytest.mark.parametrize("suffix", ["HallusionBench_auxmatch", "ChartQA_TEST_results"])
def test_a_pinned_judge_where_none_is_named(logs: Any, suffix: str) -> None:
    """Files of rules, which name no judge, are read whatever judge is pinned."""
    logs.book(f"Gemini/Gemini_{suffix}.xlsx", ANSWERS)
    assert read(logs, judge="gpt-4o-mini")[0] == [f"Gemini_{suffix}.xlsx"]


# --- formats and kinds ------------------------------------------------------------------------------------------------


def test_formats(logs: Any) -> None:
    """Of one table in several formats the one that loses least is read, and the others are reported."""
    logs.book("Gemini/Gemini_MMStar.xlsx", ANSWERS)
    logs.tsv("Gemini/Gemini_MMStar.tsv", [{"index": "1", "prediction": "A"}])
    logs.text("Gemini/Gemini_MMStar.json", '[{"index": 1, "prediction": "B"}]')
    files, ignored = read(logs)
    assert files == ["Gemini_MMStar.json"]
    assert set(ignored.values()) == {"another format: Gemini_MMStar.json is read"}
    (logs.root / "Gemini" / "Gemini_MMStar.json").unlink()
    assert read(logs)[0] == ["Gemini_MMStar.tsv"]


@pytest.mark.parametrize("extension", [".tsv", ".json"])
def test_results_as_text(logs: Any, extension: str) -> None:
    """PRED_FORMAT=tsv and PRED_FORMAT=json give the same outcomes as a workbook."""
    if extension == ".tsv":
        logs.tsv("Gemini/Gemini_MMStar.tsv", [{"index": "1", "question": "?", "prediction": "007", "hit": "1.0"}])
    else:
        logs.text("Gemini/Gemini_MMStar.json", '[{"index": 1, "question": "?", "prediction": "007", "hit": 1}]')
    parts = logs.list().parts
    (row,) = logs.read(next(p for p in parts if p.kind == "outcomes"))
    assert (row["key"], row["prediction"], row["score"]) == ("1", "007", 1)
    (sample,) = logs.read(next(p for p in parts if p.kind == "samples"), images="none")
    assert (sample["key"], sample["question"]) == ("1", "?")


@pytest.mark.parametrize("suffix", ["openai_result", "exact_matching_result"])
def test_everything_in_the_folder_of_evaluations(logs: Any, suffix: str) -> None:
    """Who copies all of VLMEvalKit's files into VLMEvalKit_evaluation has predictions beside verdicts there."""
    plain = logs.book("VLMEvalKit_evaluation/Gemini/Gemini_MMStar.xlsx", ANSWERS)
    verdicts = logs.book(f"VLMEvalKit_evaluation/Gemini/Gemini_MMStar_{suffix}.xlsx", scored())
    (part,) = (p for p in logs.list().parts if p.kind == "outcomes")
    assert part.files == (plain, verdicts)
    inferred = logs.book("VLMEvalKit_inference/Gemini/Gemini_MMStar.xlsx", ANSWERS)
    listing = logs.list()
    (part,) = (p for p in listing.parts if p.kind == "outcomes")
    assert part.files == (inferred, verdicts)
    assert listing.ignored == {str(plain): "predictions are read from VLMEvalKit_inference"}


def test_pickles_are_refused(logs: Any, refused: Any) -> None:
    """Where a pickle is all there is, the error says that it was seen and is not loaded."""
    path = logs.text("Gemini/Gemini_MMStar.pkl", "cos\nsystem\n(S'false'\ntR.")
    with refused("no results", path.name, "pickles are never loaded", place=logs.root, fix="[logs] path"):
        logs.list()


@pytest.mark.parametrize("extension", [".xlsx", ".tsv", ".json"])
def test_a_pickle_beside_a_broken_twin(logs: Any, refused: Any, extension: str) -> None:
    """A failed dump leaves half a file beside a complete pickle: it is named, and not loaded."""
    path = logs.text(f"Gemini/Gemini_MMStar{extension}", 'index\tprediction\n1\t"A')
    logs.text("Gemini/Gemini_MMStar.pkl", "cos\nsystem\n(S'false'\ntR.")
    with refused(
        place=path, fix="Gemini_MMStar.pkl in the same folder may hold the complete rows: vlrb never loads pickles"
    ):
        logs.outcomes(path)


def test_the_choice_does_not_depend_on_the_order_of_files(logs: Any) -> None:
    """Listing twice, and after writing the files again in another order, gives the same."""
    for name in (NEW, OLD):
        run(logs, name, "openai", "gpt-4o-mini")
    first = read(logs)
    shutil.rmtree(logs.root)
    for name in (OLD, NEW):
        run(logs, name, "gpt-4o-mini", "openai")
    assert read(logs) == first


# --- preferences ------------------------------------------------------------------------------------------------------


def test_without_links_a_run_with_verdicts_comes_before_a_newer_one_without(logs: Any) -> None:
    """A tree that was copied without its links: a run that was never evaluated does not take the place of one that was."""
    logs.book("Gemini/T20260901-120000/Gemini_MMStar.xlsx", ANSWERS)
    logs.book("Gemini/T20260901-120000/Gemini_MMStar_gpt-4o-mini_result.xlsx", scored())
    logs.book("Gemini/T20260902-120000/Gemini_MMStar.xlsx", ANSWERS)
    listing = logs.list()

    (part,) = (p for p in listing.parts if p.kind == "outcomes")
    assert {f.parent.name for f in part.files} == {"T20260901-120000"}
    assert "the newest with verdicts" in listing.ignored[str(logs.root / "Gemini/T20260902-120000/Gemini_MMStar.xlsx")]


def test_several_runs_and_judges_in_order_of_preference(logs: Any, refused: Any) -> None:
    """A tree of several ages: each model has one of the runs and judges that are named; a model with none is an error."""
    logs.book("Gemini/T20260901-120000/Gemini_MMStar_exact_matching_result.xlsx", scored())
    logs.book("Gemini-Pro/T20250101-120000/Gemini-Pro_MMStar_openai_result.xlsx", scored())
    logs.book("Gemini-Pro/T20260901-120000/Gemini-Pro_MMStar_gpt-4o-mini_result.xlsx", scored())
    preferred = {"run": ("T20250101-120000", "T20260901-120000"), "judge": ("openai", "exact_matching")}

    files = {p.model: p.files[0].name for p in logs.list(**preferred).parts if p.kind == "outcomes"}
    assert files == {
        "Gemini": "Gemini_MMStar_exact_matching_result.xlsx",
        "Gemini-Pro": "Gemini-Pro_MMStar_openai_result.xlsx",
    }
    with refused(
        "'T20250101-120000'", "Gemini has no results on MMStar", place="[logs] run", fix="one of these runs too"
    ):
        logs.list(run=("T20250101-120000",))


def test_a_stranger_in_both_trees_is_told_once(logs: Any, refused: Any) -> None:
    """The published layout has two folders per model: one problem each is enough."""
    for tree in ("VLMEvalKit_evaluation", "VLMEvalKit_inference"):
        logs.book(f"{tree}/NoName/NoName_MMStar.xlsx", scored())
    with refused("'NoName' is not a known model", place=logs.root, fix="[[model]]"):
        logs.list()
