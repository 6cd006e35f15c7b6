"""Which files of a log tree belong to which model and dataset, by their names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from vlrb.errors import DataError, Problem, did_you_mean, shortened
from vlrb.types import Catalog
from vlrb_plugins.vlmevalkit import VlmevalkitParams

SHADOWS = frozenset(
    [
        "MMBench",
        "MMBench_DEV_EN",
        "MMBench_TEST_EN_V11",
        "MMBench_DEV_CN_V11",
        "MMStar_KO",
        "MMStar_TR",
        "MMStar_MINI",
        "AI2D_TEST_NO_MASK",
        "OCRBench_v2",
        "OCRBench_MINI",
        "MathVerse_MINI_Vision_Only",
        "MathVerse_MINI_Vision_Only_cot",
        "MathVerse_MINI_Vision_Dominant",
        "MathVerse_MINI_Vision_Intensive",
        "MathVerse_MINI_Text_Lite",
        "MathVerse_MINI_Text_Dominant",
        "MathVision",
        "MathVision_MINI",
        "DocVQA_TEST",
        "InfoVQA_TEST",
        "MMMU_TEST",
        "MMMU_Pro",
    ]
)
"""VLMEvalKit's names of other datasets that a known name begins, or that begin with one: never to be mistaken for it."""

MORE_OF_A_NAME = re.compile(r"_[A-Z]{2,}(_.*)?")
"""What follows a known name when it is the beginning of another: ``_MINI``, ``_TEST``.  Judges and suffixes look otherwise."""

RUN_DIRECTORY = re.compile(r"T\d{8}(-\d{6}|_G.*)")
_LAYOUT = "it is the folder that holds a folder per model, or VLMEvalKit_evaluation and VLMEvalKit_inference"
_LEFTOVERS = (".lock", ".tmp", ".partial")
_NO_MODELS = frozenset({"LMUData", "TSV_images", "logs", "images", "__pycache__"})


@attrs.frozen
class Files:
    """The workbooks of one model on one dataset."""

    predictions: tuple[Path, ...] = ()
    scored: tuple[Path, ...] = ()


@attrs.frozen
class Tree:
    """A log tree, taken apart."""

    files: Mapping[tuple[str, str], Files]
    ignored: Mapping[str, str]


@attrs.define
class _Found:
    files: dict[tuple[str, str], Files] = attrs.Factory(dict)
    ignored: dict[str, str] = attrs.Factory(dict)
    problems: list[Problem] = attrs.Factory(list)


def read_tree(params: VlmevalkitParams, catalog: Catalog) -> Tree:
    """Take a log tree apart.

    :raises DataError: when it is missing or empty, or holds what belongs to no known model or dataset
    """
    root = params.path
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", where="[logs] path", fix=_LAYOUT)
    found = _Found()
    for folder in _model_folders(root, found):
        _read_model(folder, catalog, found)
    problems = found.problems or _absent(found, catalog, root) or _several(found)
    if problems:
        raise DataError(problems)
    return Tree(found.files, found.ignored)


def tsv_folder(params: VlmevalkitParams) -> Path:
    """Return the folder that holds the datasets' TSV files.

    :raises DataError: when there is none
    """
    choices = [params.data] if params.data else [params.path / "TSV_images", params.path / "LMUData"]
    for choice in choices:
        if choice.is_dir():
            return choice
    raise DataError(
        f"there is no folder with the datasets' TSV files: looked for {shortened(choices)}",
        where="[logs]",
        fix='set data = "FOLDER", or images = "none" to go without images',
    )


def _model_folders(root: Path, found: _Found) -> Iterator[Path]:
    roots = [r for r in (root / "VLMEvalKit_evaluation", root / "VLMEvalKit_inference") if r.is_dir()]
    for one in roots or [root]:
        yield from _folders(one)
    if roots:
        for folder in _folders(root):
            if folder not in roots:
                found.ignored[str(folder)] = f"stands beside {roots[0].name}: only what is inside it is read"


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and p.name not in _NO_MODELS and p.name[0] not in "._")


def _read_model(folder: Path, catalog: Catalog, found: _Found) -> None:
    model = catalog.model(folder.name)
    wanted = catalog.wanted_models
    if wanted is not None and (model is None or model.name not in wanted):
        found.ignored[str(folder)] = "a model that [benchmark] does not ask for"
    elif model is None:
        hint = did_you_mean(folder.name, {m.name for m in catalog.models})
        fix = f"declare it with [[model]], or name the models to use in [benchmark]; {hint}"
        found.problems.append(Problem(f"{folder.name!r} is no known model", str(folder), fix))
    else:
        for file in sorted(folder.iterdir()):
            reason = _why_not_read(file)
            if reason:
                found.ignored[str(file)] = reason
            elif file.is_file() or file.is_symlink():
                _read_workbook(file, folder.name, model.name, catalog, found)


def _why_not_read(file: Path) -> str:
    """Return why a file or folder inside a model's folder is passed over, or an empty text."""
    if file.is_dir():
        run = RUN_DIRECTORY.fullmatch(file.name)
        return "run directories are not read: copy the run's files into the model's folder" if run else "a folder"
    if file.name.startswith(("~$", ".")) or file.suffix in _LEFTOVERS:
        return "a left-over of a program"
    if file.suffix == ".pkl":
        return "pickles are never loaded: convert it to xlsx"
    return "" if file.suffix == ".xlsx" else "not a workbook (.xlsx)"


def _read_workbook(file: Path, prefix: str, model: str, catalog: Catalog, found: _Found) -> None:
    dataset, suffix = _dataset_and_suffix(file.stem, prefix, catalog)
    wanted = catalog.wanted_datasets
    if wanted is not None and dataset not in wanted:
        found.ignored[str(file)] = "a dataset that [benchmark] does not ask for"
    elif not dataset:
        known = shortened(sorted(d.name for d in catalog.datasets))
        found.problems.append(
            Problem(
                f"belongs to no known dataset (a file is named {prefix}_DATASET, then perhaps a judge and a suffix)",
                str(file),
                f"declare the dataset with [[dataset]], or name the datasets to use in [benchmark]; known: {known}",
            )
        )
    elif suffix.endswith("_extract"):
        found.ignored[str(file)] = "a judge's intermediate file"
    else:
        have = found.files.get((dataset, model), Files())
        if suffix or file.parent.parent.name == "VLMEvalKit_evaluation":
            have = attrs.evolve(have, scored=(*have.scored, file))
        else:
            have = attrs.evolve(have, predictions=(*have.predictions, file))
        found.files[dataset, model] = have


def _dataset_and_suffix(stem: str, prefix: str, catalog: Catalog) -> tuple[str, str]:
    """Return the dataset's name and the suffix of a file MODEL_DATASET[_SUFFIX], the longest known name winning.

    The dataset is empty when it is none of the catalog's.
    """
    rest = stem.removeprefix(prefix + "_")
    names = SHADOWS.union(*({d.name, *d.aliases} for d in catalog.datasets))
    name = max((n for n in names if rest == n or rest.startswith(n + "_")), key=len, default="")
    dataset = catalog.dataset(name)
    suffix = rest[len(name) :]
    foreign = dataset is None or rest == stem or (name in SHADOWS and name != dataset.name)
    return ("", "") if dataset is None or foreign or MORE_OF_A_NAME.fullmatch(suffix) else (dataset.name, suffix)


def _absent(found: _Found, catalog: Catalog, root: Path) -> list[Problem]:
    if not found.files:
        return [Problem("holds no workbooks of a known model and dataset", str(root), f"check [logs] path; {_LAYOUT}")]
    problems = []
    for word, wanted, there in (
        ("dataset", catalog.wanted_datasets, {d for d, _ in found.files}),
        ("model", catalog.wanted_models, {m for _, m in found.files}),
    ):
        lacking = sorted((wanted or frozenset()) - there)
        if lacking:
            names = ", ".join(repr(n) for n in lacking)
            problems.append(
                Problem(
                    f"holds no workbook of {word} {names}",
                    str(root),
                    f"leave it out of [benchmark] {word}s, or add its logs",
                )
            )
    return problems


def _several(found: _Found) -> list[Problem]:
    return [
        Problem(
            f"several workbooks hold the {word} of {model} on {dataset}: {shortened(paths)}",
            str(paths[0].parent),
            "keep one of them there",
        )
        for (dataset, model), files in sorted(found.files.items())
        for word, paths in (("predictions", files.predictions), ("verdicts", files.scored))
        if len(paths) > 1
    ]
