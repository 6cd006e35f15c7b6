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
    ["MMBench", "MMBench_DEV_EN", "MMBench_TEST_EN_V11", "MMBench_DEV_CN_V11", "MMStar_KO", "MMStar_TR", "MMStar_MINI", "AI2D_TEST_NO_MASK", "OCRBench_v2", "OCRBench_MINI", "MathVerse_MINI_Vision_Only", "MathVerse_MINI_Vision_Only_cot", "MathVerse_MINI_Vision_Dominant", "MathVerse_MINI_Vision_Intensive", "MathVerse_MINI_Text_Lite", "MathVerse_MINI_Text_Dominant", "MathVision", "MathVision_MINI", "DocVQA_TEST", "InfoVQA_TEST", "MMMU_TEST", "MMMU_Pro_10c"]
)
"""VLMEvalKit's names of other datasets that a known name begins, or that begin with one: never to be mistaken for it."""

RUN_DIRECTORY = re.compile(r"T\d{8}(-\d{6}|_G.*)")
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
        raise DataError(f"there is no folder {root}", where="[logs] path", fix="give the folder that holds the logs")
    found = _Found()
    for folder in _model_folders(root):
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


def _model_folders(root: Path) -> Iterator[Path]:
    roots = [r for r in (root / "VLMEvalKit_evaluation", root / "VLMEvalKit_inference") if r.is_dir()] or [root]
    for one in roots:
        yield from sorted(p for p in one.iterdir() if p.is_dir() and p.name not in _NO_MODELS and p.name[0] not in "._")


def _read_model(folder: Path, catalog: Catalog, found: _Found) -> None:
    model = catalog.model(folder.name)
    wanted = catalog.wanted_models
    if model is None or (wanted is not None and model.name not in wanted):
        if wanted is None:
            names = {m.name for m in catalog.models}
            found.problems.append(
                Problem(
                    f"{folder.name!r} is no known model",
                    str(folder),
                    f"declare it with [[model]], or name the models to use in [benchmark]; {did_you_mean(folder.name, names)}",
                )
            )
        else:
            found.ignored[str(folder)] = "a model that [benchmark] does not ask for"
        return
    for file in sorted(folder.iterdir()):
        _read_file(file, folder.name, model.name, catalog, found)


def _read_file(file: Path, prefix: str, model: str, catalog: Catalog, found: _Found) -> None:
    if file.is_dir():
        if RUN_DIRECTORY.fullmatch(file.name):
            found.ignored[str(file)] = "run directories are not read: copy the run's files into the model's folder"
        return
    if file.name.startswith(("~$", ".")) or file.suffix in _LEFTOVERS:
        found.ignored[str(file)] = "a left-over of a program"
        return
    if file.suffix != ".xlsx":
        found.ignored[str(file)] = (
            "pickles are never loaded: convert it to xlsx" if file.suffix == ".pkl" else "not a workbook (.xlsx)"
        )
        return
    named = _dataset_and_suffix(file.stem, prefix, catalog)
    if named is None or (catalog.wanted_datasets is not None and named[0] not in catalog.wanted_datasets):
        if catalog.wanted_datasets is None:
            found.problems.append(
                Problem(
                    f"belongs to no known dataset (a file is named {prefix}_DATASET, then perhaps a judge and a suffix)",
                    str(file),
                    "declare the dataset with [[dataset]], or name the datasets to use in [benchmark]",
                )
            )
        else:
            found.ignored[str(file)] = "a dataset that [benchmark] does not ask for"
        return
    dataset, suffix = named
    have = found.files.get((dataset, model), Files())
    if suffix.endswith("_extract"):
        found.ignored[str(file)] = "a judge's intermediate file"
    elif suffix:
        found.files[dataset, model] = attrs.evolve(have, scored=(*have.scored, file))
    else:
        in_evaluation = file.parent.parent.name == "VLMEvalKit_evaluation"
        kind = "scored" if in_evaluation else "predictions"
        found.files[dataset, model] = attrs.evolve(have, **{kind: (*getattr(have, kind), file)})


def _dataset_and_suffix(stem: str, prefix: str, catalog: Catalog) -> tuple[str, str] | None:
    """Return the dataset's name and the suffix of a file MODEL_DATASET[_SUFFIX], the longest known name winning."""
    if not stem.startswith(prefix + "_"):
        return None
    rest = stem[len(prefix) + 1 :]
    names = SHADOWS.union(*({d.name, *d.aliases} for d in catalog.datasets))
    fitting = [n for n in names if rest == n or rest.startswith(n + "_")]
    if not fitting:
        return None
    name = max(fitting, key=len)
    dataset = catalog.dataset(name)
    return None if dataset is None or (name in SHADOWS and name != dataset.name) else (dataset.name, rest[len(name) :])


def _absent(found: _Found, catalog: Catalog, root: Path) -> list[Problem]:
    if not found.files:
        return [Problem("holds no workbooks of a known model and dataset", str(root), "check [logs] path")]
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
    problems = []
    for (dataset, model), files in sorted(found.files.items()):
        for word, paths in (("predictions", files.predictions), ("verdicts", files.scored)):
            if len(paths) > 1:
                problems.append(
                    Problem(
                        f"several workbooks hold the {word} of {model} on {dataset}: {shortened(p.name for p in paths)}",
                        str(paths[0].parent),
                        "keep one",
                    )
                )
    return problems
